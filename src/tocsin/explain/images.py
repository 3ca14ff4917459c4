"""Where images are anomalous: the hot parts of their heat maps, in pixels of the image."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from tocsin.types import MapArray, Reason, Region

__all__ = ["WHOLE", "describe_region", "explain_map", "explain_whole", "resize_map"]

WHOLE = "image as a whole"
"""The name of the reason where a detector does not locate it."""

_LONGEST = 512
_TOUCHING = np.ones((3, 3))  # cells that touch at a corner are connected


def explain_map(
    heat: MapArray, size: tuple[int, int], score: float, threshold: float, most: int
) -> tuple[tuple[Region, ...], tuple[Reason, ...]]:
    """Return the connected parts of an image that are hot, the hottest first, and as reasons.

    ``heat``: a map (rows, columns) over the whole image, whose ``size`` is height and width. Hot
    is what exceeds the threshold; if nothing does, what exceeds the middle between the map's
    median and its peak. There are at most ``most`` parts, found on a grid of at most 512 cells per
    side: boxes in a larger image are that coarse. A reason is named by its box, with its peak,
    the threshold, and its share of all heat above it. An even map has no parts; the reason then
    is the image as a whole.

    >>> heat = np.zeros((4, 4), dtype=np.float32)
    >>> heat[1, 2] = 8
    >>> found, reasons = explain_map(heat, (400, 400), 7.0, 4.0, 5)
    >>> found[0].left, found[0].top, found[0].right, found[0].bottom
    (200, 100, 300, 200)
    >>> reasons[0].name, reasons[0].expected, reasons[0].weight
    ('x 200–300, y 100–200', 4.0, 1.0)
    """
    height, width = size
    shrunk = min(1.0, _LONGEST / max(size))
    grid = resize_map(heat, (max(1, round(height * shrunk)), max(1, round(width * shrunk))))
    peak, middle = float(grid.max()), float(np.median(grid))
    if peak <= middle:
        return (), explain_whole(score, threshold)
    level = threshold if peak > threshold else (peak + middle) / 2
    labels, count = ndimage.label(grid > level, _TOUCHING)
    down, across = height / grid.shape[0], width / grid.shape[1]
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels, count), 1):
        hot = grid[rows, columns][labels[rows, columns] == number]
        region = Region(
            left=int(columns.start * across),
            top=int(rows.start * down),
            right=min(width, int(np.ceil(columns.stop * across))),
            bottom=min(height, int(np.ceil(rows.stop * down))),
            area=max(1, round(hot.size * down * across)),
            peak=float(hot.max()),
        )
        found.append((region, float((hot.astype(np.float64) - level).sum())))
    found = sorted(found, key=lambda pair: -pair[0].peak)[:most]
    total = sum(excess for _, excess in found)
    reasons = (
        Reason(describe_region(region), region.peak, _expected(threshold), excess / total)
        for region, excess in found
    )
    return tuple(region for region, _ in found), tuple(reasons)


def explain_whole(score: float, threshold: float) -> tuple[Reason, ...]:
    """Return the reason where nothing is located: the image as a whole, with its score."""
    return (Reason(WHOLE, score, _expected(threshold), 1.0),)


def describe_region(region: Region) -> str:
    """Return where a region is, in words.

    >>> describe_region(Region(120, 40, 180, 90, 2000, 7.5))
    'x 120–180, y 40–90'
    """
    return f"x {region.left}–{region.right}, y {region.top}–{region.bottom}"


def _expected(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None


def resize_map(heat: MapArray, size: tuple[int, int]) -> MapArray:
    """Return a heat map brought to a size, height and width, by interpolating.

    >>> resize_map(np.ones((2, 2), dtype=np.float32), (4, 6)).shape
    (4, 6)
    """
    resized = Image.fromarray(np.ascontiguousarray(heat, dtype=np.float32)).resize(
        (size[1], size[0]), Image.Resampling.BILINEAR
    )
    return np.asarray(resized)
