"""Pictures of brick walls, some with a white spot."""

from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

BRICK = data.brick()


def wall(i: int, *, spot: tuple[int, int] | None = None, side: int = 16) -> np.ndarray:
    """A picture (96, 128, 3) of bricks, with a white square whose corner is at x, y."""
    rng = np.random.default_rng(i)
    row, column = rng.integers(0, 4, 2)
    pixels = np.repeat(BRICK[row : row + 96, column : column + 128, None], 3, axis=2).copy()
    if spot is not None:
        x, y = spot
        pixels[y : y + side, x : x + side] = 255
    return pixels


def walls(n: int, first: int = 0) -> list[np.ndarray]:
    return [wall(first + i) for i in range(n)]


def fill(folder: Path, n: int = 12, spotted: tuple[int, ...] = ()) -> Path:
    """Write n walls into a folder, those in ``spotted`` with a spot, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        pixels = wall(i, spot=(80, 40) if i in spotted else None)
        Image.fromarray(pixels).save(folder / f"wall{i:02}.png")
    return folder
