"""Pixel measures against slow direct computations, and against scikit-learn."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from tocsin.errors import InputError
from tocsin.evaluate.metrics.pixels import PRO_LIMIT, PixelMetrics, pixel_metrics
from tocsin.types import BoolArray, MapArray


def made(n: int = 6, size: int = 12, seed: int = 0) -> tuple[MapArray, list[BoolArray]]:
    """Return maps that are warmer, a little, in the regions; images differ in size."""
    random = np.random.default_rng(seed)
    maps, masks = [], []
    for i in range(n):
        mask = np.zeros((40 + 7 * i, 60 - 3 * i), dtype=bool)
        if i % 3:
            mask[5 : 5 + 2 * i, 7:20] = True
            mask[30:33, 30 : 30 + i] = True
        small = Image.fromarray(mask.astype(np.float32)).resize((size, size))
        maps.append(np.asarray(small) + random.normal(scale=0.4, size=(size, size)))
        masks.append(mask)
    return np.stack(maps).astype(np.float32), masks


def brought(maps: MapArray, masks: list[BoolArray]) -> list[MapArray]:
    return [
        np.asarray(Image.fromarray(heat).resize(mask.shape[::-1], Image.Resampling.BILINEAR))
        for heat, mask in zip(maps, masks, strict=True)
    ]


def slow_pro(heats: list[MapArray], masks: list[BoolArray]) -> float:
    """Return the trapezium area under the curve of overlaps, threshold by threshold."""
    normal = np.concatenate([h[~m] for h, m in zip(heats, masks, strict=True)])
    regions = []
    for heat, mask in zip(heats, masks, strict=True):
        label, n = ndimage.label(mask, np.ones((3, 3)))
        regions += [heat[label == i + 1] for i in range(n)]
    cuts = np.unique(np.concatenate([normal, *regions]))[::-1]
    rates = np.array([0, *((normal >= cut).mean() for cut in cuts)])
    overlaps = np.array([0, *(np.mean([(r >= cut).mean() for r in regions]) for cut in cuts)])
    last = np.searchsorted(rates, PRO_LIMIT, side="right")
    x = np.append(rates[:last], PRO_LIMIT)
    y = np.append(overlaps[:last], np.interp(PRO_LIMIT, rates[last - 1 :], overlaps[last - 1 :]))
    return float(np.trapezoid(y, x) / PRO_LIMIT)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("factor", "offset"), [(1.0, 0.0), (1e-4, 50.0), (1e6, -3.0)])
def test_measures_agree_with_slow_ones(seed: int, factor: float, offset: float) -> None:
    maps, masks = made(seed=seed)
    maps = (maps * factor + offset).astype(np.float32)
    heats = brought(maps, masks)
    found = pixel_metrics(maps, iter(masks))
    labels, values = (np.concatenate([a.ravel() for a in each]) for each in (masks, heats))
    assert found.roc_auc == pytest.approx(roc_auc_score(labels, values), abs=1e-4)
    assert found.pro == pytest.approx(slow_pro(heats, masks), abs=2e-4)
    assert found.pixels == len(labels)
    assert found.regions == sum(ndimage.label(m, np.ones((3, 3)))[1] for m in masks)


def test_ties_count_in_proportion() -> None:
    _, masks = made()
    random = np.random.default_rng(3)
    # Of one cell an image: each is constant, and they share few values.
    maps = random.integers(3, size=(len(masks), 1, 1)).astype(np.float32)
    heats = brought(maps, masks)
    found = pixel_metrics(maps, masks)
    labels, values = (np.concatenate([a.ravel() for a in each]) for each in (masks, heats))
    assert found.roc_auc == pytest.approx(roc_auc_score(labels, values))
    assert found.pro == pytest.approx(slow_pro(heats, masks))
    constant = pixel_metrics(np.zeros_like(maps), masks)
    assert constant.roc_auc == pytest.approx(0.5)
    assert constant.pro == pytest.approx(PRO_LIMIT / 2)


def test_perfect_and_reversed_maps() -> None:
    mask = np.zeros((24, 24), dtype=bool)
    mask[:4, :4] = mask[20:, 20:] = True
    maps = np.stack([mask, np.zeros_like(mask)]).astype(np.float32)
    masks = [mask, np.zeros_like(mask)]
    assert pixel_metrics(maps, masks) == PixelMetrics(2 * 24 * 24, 2, 1.0, 1.0)
    assert pixel_metrics(-maps, masks) == PixelMetrics(2 * 24 * 24, 2, 0.0, 0.0)


def test_small_regions_count_as_much_as_large_ones() -> None:
    mask = np.zeros((64, 64), dtype=bool)
    mask[:30, :30] = True
    mask[50:52, 50:52] = True
    mask[52, 52] = True  # touches by a corner
    heat = mask.astype(np.float32)
    heat[50:53, 50:53] = -1
    found = pixel_metrics(heat[None], [mask])
    assert found.regions == 2
    assert found.pro == pytest.approx(0.5)
    assert found.roc_auc is not None
    assert found.roc_auc > 0.99


def test_images_without_both_kinds_of_pixels_cannot_be_measured() -> None:
    maps = np.zeros((2, 4, 4), dtype=np.float32)
    for mask in (np.zeros((32, 32), dtype=bool), np.ones((32, 32), dtype=bool)):
        found = pixel_metrics(maps, [mask, mask])
        assert (found.pixels, found.roc_auc, found.pro) == (2048, None, None)


@pytest.mark.parametrize("n", [5, 7])
def test_another_number_of_masks_is_refused(n: int) -> None:
    with pytest.raises(InputError, match="one mask a map: expected 6"):
        pixel_metrics(made()[0], made(7)[1][:n])


def test_memory_does_not_grow_with_the_images() -> None:
    def peak(n: int) -> int:
        maps = np.random.default_rng(0).normal(size=(n, 8, 8)).astype(np.float32)
        mask = np.zeros((600, 600), dtype=bool)
        mask[10:20, 10:20] = True
        tracemalloc.start()
        pixel_metrics(maps, (mask.copy() for _ in range(n)))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20) < 1.02 * peak(2)
