"""Defects drawn into good images: what a configuration is chosen by where there are no labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from tocsin.readers.image import Pixels
from tocsin.types import BoolArray

_LEAST, _MOST = 0.02, 0.12  # of the shorter side: how large defects are
_CONTRAST = (0.35, 1.2)  # in standard deviations of the image


def draw_defect(image: Pixels, random: np.random.Generator) -> tuple[Pixels, BoolArray]:
    """Return an image (rows, columns, 3) with one defect, and where it is (rows, columns).

    The defect is a scratch, a spot, or a piece of the image put elsewhere. Li et al., CutPaste,
    CVPR 2021.
    """
    kind = random.integers(3)
    size = float(np.exp(random.uniform(np.log(_LEAST), np.log(_MOST)))) * min(image.shape[:2])
    if kind == 0:
        return _moved(image, size, random)
    shape = _scratch if kind == 1 else _spot
    opacity = shape(image.shape[:2], size, random)
    contrast = random.uniform(*_CONTRAST) * random.choice([-1, 1]) * max(float(image.std()), 8.0)
    drawn = np.clip(image + (contrast * opacity)[..., None], 0, 255)
    return drawn.astype(image.dtype), opacity > 0.3


def _moved(image: Pixels, size: float, random: np.random.Generator) -> tuple[Pixels, BoolArray]:
    """Put a piece of the image elsewhere, a little dimmer or brighter."""
    ratio = random.uniform(0.4, 2.5) ** 0.5
    rows, columns = (
        int(np.clip(2 * size * r, 4, 0.4 * min(image.shape[:2]))) for r in (ratio, 1 / ratio)
    )
    taken, put = (
        (
            int(random.integers(image.shape[0] - rows)),
            int(random.integers(image.shape[1] - columns)),
        )
        for _ in range(2)
    )
    piece = image[taken[0] : taken[0] + rows, taken[1] : taken[1] + columns].astype(float)
    changed = image.copy()
    place = (slice(put[0], put[0] + rows), slice(put[1], put[1] + columns))
    changed[place] = np.clip(piece * random.uniform(0.9, 1.1), 0, 255).astype(image.dtype)
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[place] = True
    return changed, mask


def _scratch(shape: Any, size: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the opacity of a thin broken line, some five times as long as other defects."""
    canvas = Image.new("L", (shape[1], shape[0]))
    point = random.uniform(0.1, 0.9, 2) * (shape[1], shape[0])
    angle = random.uniform(0, 2 * np.pi)
    points = [tuple(point)]
    for _ in range(5):
        angle += random.normal(0, 0.4)
        point = point + size * np.array([np.cos(angle), np.sin(angle)])
        points.append(tuple(point))
    width = max(1, round(size * random.uniform(0.05, 0.2)))
    ImageDraw.Draw(canvas).line(points, fill=255, width=width)
    return gaussian_filter(np.asarray(canvas, dtype=float) / 255, 0.7)


def _spot(shape: Any, size: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the opacity of a round or oval spot with a soft edge."""
    centre = random.uniform(0.1, 0.9, 2) * shape
    radii = 0.5 * size * random.uniform(0.6, 1.6, 2)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    away = np.hypot((rows - centre[0]) / radii[0], (columns - centre[1]) / radii[1])
    opacity: NDArray[np.float64] = np.clip(1.5 - away, 0, 1)
    return opacity
