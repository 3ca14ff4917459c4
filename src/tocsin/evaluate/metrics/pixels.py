"""How well heat maps locate anomalies, over the pixels of the images themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from tocsin.errors import InputError
from tocsin.types import BoolArray, FloatArray, IntArray, MapArray

PRO_LIMIT = 0.3
"""The false-positive rate up to which the overlap of regions is counted."""

_BITS = 20
_BINS = 1 << _BITS


@dataclass(frozen=True, slots=True)
class PixelMetrics:
    """How well heat puts anomalous pixels before normal ones; fractions from 0 to 1.

    ``roc_auc`` is over all pixels. ``pro`` is the area under the mean overlap with each anomalous
    region, up to a false-positive rate of 0.3 and divided by that, so that small regions count as
    much as large ones. Both are None when all pixels are of one kind.
    """

    pixels: int
    regions: int
    roc_auc: float | None
    pro: float | None


def pixel_metrics(maps: MapArray, masks: Iterable[BoolArray]) -> PixelMetrics:
    """Return how well maps (n, rows, columns) fit n masks, True = anomalous, one per image.

    A mask has the size of its image, to which the map is brought bilinearly; one without anything
    True is that of a good image, and its pixels count as normal ones. Regions are 8-connected.
    Masks are taken one at a time, and memory does not grow with their number: heat is counted in
    2^20 bins, which distinguish values that differ by 0.05 % of their distance from the median of
    the maps; what is in one bin is tied. Raises InputError for another number of masks than maps.

    Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021.

    >>> mask = np.zeros((32, 32), dtype=bool)
    >>> mask[:8, :8] = True
    >>> heat = mask[::8, ::8].astype(np.float32)
    >>> pixel_metrics(heat[None], [mask]).regions
    1
    """
    centre = np.float32(np.median(maps))
    normal = np.zeros(_BINS, dtype=np.int64)
    anomalous = np.zeros(_BINS, dtype=np.int64)
    shares = np.zeros(_BINS)
    regions = 0
    for heat, mask in zip_longest(maps, masks):
        if heat is None or mask is None:
            raise InputError(f"There is one mask a map: expected {len(maps)} of them.")
        bins = _bins(_brought(heat, mask.shape), centre)
        normal += np.bincount(bins[~mask], minlength=_BINS)
        if mask.any():
            region, found = ndimage.label(mask, structure=np.ones((3, 3)))
            inside, sizes = bins[mask], np.bincount(region.ravel())
            anomalous += np.bincount(inside, minlength=_BINS)
            shares += np.bincount(inside, 1 / sizes[region[mask]], minlength=_BINS)
            regions += found
    pixels, positive = int(normal.sum() + anomalous.sum()), int(anomalous.sum())
    if positive in (0, pixels):
        return PixelMetrics(pixels, regions, None, None)
    roc_auc = float(anomalous @ _credit(normal, 1.0)) / positive
    return PixelMetrics(
        pixels, regions, roc_auc, float(shares @ _credit(normal, PRO_LIMIT)) / regions
    )


def _credit(normal: IntArray, limit: float) -> FloatArray:
    """Return what a pixel of each bin adds to the area up to a false-positive rate, over the limit.

    A pixel at the false-positive rate f is found from f on: it adds clip(1 − f / limit, 0, 1).
    In a bin f goes evenly from the share of normal pixels above it to the share with it, as the
    trapezium rule has it, and the pixel adds the mean of that.
    """
    after = np.cumsum(normal[::-1])[::-1] / normal.sum()
    before = np.append(after[1:], 0.0)
    f = np.minimum([before, after], limit)
    start, end = f - f**2 / (2 * limit)
    width = after - before
    there = np.clip(1 - before / limit, 0, 1)
    credit: FloatArray = np.divide(end - start, width, out=there, where=width > 0)
    return credit


def _brought(heat: MapArray, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a map at the size (rows, columns) of its image."""
    rows, columns = shape
    picture = Image.fromarray(np.ascontiguousarray(heat, dtype=np.float32))
    return np.asarray(picture.resize((columns, rows), Image.Resampling.BILINEAR))


def _bins(heat: NDArray[np.float32], centre: np.float32) -> NDArray[np.int32]:
    """Return the bin of each value, higher for higher ones: the first bits of a float, in order."""
    bits = (heat - centre + np.float32(0)).view(np.int32)  # + 0 makes −0 the same as 0
    ordered = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
    return (ordered >> (32 - _BITS)) + np.int32(_BINS // 2)
