"""What detectors of images share: heat maps, what is normal at a position, the score of a map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.errors import CorruptModel
from tocsin.progress import report
from tocsin.readers.image import read_image, resize_image
from tocsin.types import FloatArray, ImageArray, IntArray, MapArray, Scores

Picture = NDArray[np.float32]
"""An image as a detector looks at it: (size, size, 3), float32 from 0 to 255."""

FEW = 8
"""Of fewer good images, shifted and dimmed copies are learned from as well."""

_HOTTEST = 0.003  # the share of a map whose mean is the score of the image
_LEAST_CELLS = 3
_BLUR = 1.0  # cells, of what is known of a position
_SMOOTH = 0.7  # cells
_PRIOR = 20.0  # images that what is known of all positions counts for


class ScoresByMap(ABC):
    """A detector of images whose score is that of the hottest part of a map.

    ``size``: the side in pixels to which images are brought. It stands before ``ImageDetector``
    among the bases of a detector, which gives ``_heat``. The maps that it shows are smoothed a
    little, as defects are larger than the cells that respond most.
    """

    size: int

    @abstractmethod
    def _heat(self, picture: Picture) -> MapArray:
        """Return the heat map (rows, columns) of one picture, in units of the score."""

    def _score(self, X: ImageArray) -> Scores:
        maps = np.stack([self._heat(picture) for picture in pictures(X, self.size, "scoring")])
        return Scores(image_scores(maps), gaussian_filter(maps, (0, _SMOOTH, _SMOOTH)))


class PositionCalibration(Stateful):
    """Heat relative to what good images show at the same position.

    Learned from maps (n, rows, columns) of good images that the model did not learn from; with
    few of them, what is known of a position leans on what is known of all. Without
    ``by_position`` all positions are alike.
    """

    mean_: Annotated[MapArray, Shape("rows", "columns")]
    spread_: Annotated[MapArray, Shape("rows", "columns"), Within(0)]

    def __init__(self, by_position: bool = True) -> None:
        self.by_position = by_position

    def fit(self, maps: MapArray) -> Self:
        """Learn the mean and the spread at every position."""
        weight = len(maps) / (len(maps) + _PRIOR) if self.by_position else 0.0
        mean = gaussian_filter(maps.mean(0), _BLUR)
        variance = gaussian_filter(maps.std(0), _BLUR) ** 2
        self.mean_ = (weight * mean + (1 - weight) * maps.mean()).astype(np.float32)
        total = weight * variance + (1 - weight) * maps.var()
        floor = 1e-6 * (1e-6 + float(np.abs(maps).max()))
        self.spread_ = np.maximum(np.sqrt(total), floor).astype(np.float32)
        return self

    def transform(self, maps: MapArray) -> MapArray:
        """Return maps (…, rows, columns) in units of the spread at each position."""
        if maps.shape[-2:] != self.mean_.shape:
            raise CorruptModel(
                f"Maps of {maps.shape[-2:]} cells have a calibration of {self.mean_.shape}. Train "
                "and save the model again."
            )
        return (maps - self.mean_) / self.spread_


def image_scores(maps: MapArray) -> FloatArray:
    """Return the scores (n,) of maps (n, rows, columns): the mean of the hottest 0.3 % of each.

    >>> image_scores(np.eye(4, dtype=np.float32)[None])
    array([1.])
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    k = min(max(_LEAST_CELLS, round(_HOTTEST * flat.shape[1])), flat.shape[1])
    scores: FloatArray = np.partition(flat, -k, axis=1)[:, -k:].mean(axis=1)
    return scores


def scores_of_all(
    X: ImageArray, learned: IntArray, own: FloatArray, score: Callable[[ImageArray], Scores]
) -> FloatArray:
    """Return scores (n,) of images: those learned from have their ``own``, others are new."""
    scores = np.empty(len(X))
    scores[learned] = own
    for i in np.setdiff1d(np.arange(len(X)), learned):  # one by one, so that no maps are kept
        scores[i] = score(X[i : i + 1]).values[0]
    return scores


def pictures(X: ImageArray, size: int, doing: str) -> Iterator[Picture]:
    """Yield images one at a time, brought to (size, size, 3); raises as ``read_image`` does."""
    for i, image in enumerate(X, 1):
        yield resize_image(read_image(image), size)
        report(f"{doing} images", i, len(X))


def variants(picture: Picture, count: int, seed: int) -> Iterator[Picture]:
    """Yield a picture and copies of it that are shifted by a few pixels, dimmer or brighter."""
    yield picture
    random = np.random.default_rng(seed)
    for _ in range(count - 1):
        shift = random.integers(-4, 5, size=2)
        padded = np.pad(picture, ((4, 4), (4, 4), (0, 0)), mode="edge")
        moved = padded[4 + shift[0] :, 4 + shift[1] :][: len(picture), : len(picture)]
        yield np.clip(moved * random.uniform(0.95, 1.05), 0, 255).astype(np.float32)
