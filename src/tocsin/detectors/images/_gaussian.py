"""Normal distributions of patches by their position in the image."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray

from tocsin.base import State, Stateful
from tocsin.base.declared import Shape
from tocsin.detectors.images._bank import Features
from tocsin.types import MapArray

_BLOCKS = 16  # a side, at most
_SAMPLES = 500  # patches at least that a covariance is learned from, where there are as many


class PositionGaussian(Stateful):
    """Mahalanobis distance of a patch from what good images show at its position.

    Every position has a mean of its own, every block of neighbouring positions a covariance, to
    which ``shrinkage`` times the identity is added. Defard et al., PaDiM: a Patch Distribution
    Modeling Framework, ICPR Workshops 2021.
    """

    mean_: Annotated[Features, Shape("rows", "columns", "c")]
    whitening_: Annotated[NDArray[np.float16], Shape("q", "c", "c")]

    def __init__(self, shrinkage: float = 1.0) -> None:
        self.shrinkage = shrinkage

    def expect(self, images: int) -> Self:
        """Prepare for this number of images."""
        self._images = images
        self._sum: Any = None
        return self

    def add(self, features: Features) -> None:
        """Learn from the patches of a good image."""
        if self._sum is None:
            grid, channels = features.shape[0], features.shape[-1]
            self._side = _block_side(grid, self._images)
            blocks = (grid // self._side) ** 2
            self._sum = np.zeros(features.shape)
            self._products = np.zeros((blocks, channels, channels), dtype=np.float32)
            self._seen = 0
        blocked = _blocks(features, self._side)
        self._sum += features
        self._products += blocked.transpose(0, 2, 1) @ blocked
        self._seen += 1

    def finish(self) -> Self:
        """Work out the distributions from the sums."""
        self.mean_ = (self._sum / self._seen).astype(np.float32)
        mean = _blocks(self.mean_, self._side).astype(float)
        within = self._products / self._seen - mean.transpose(0, 2, 1) @ mean
        covariance = within / self._side**2 + self.shrinkage * np.eye(mean.shape[-1])
        inverse = np.linalg.inv(np.linalg.cholesky(covariance))
        self.whitening_ = inverse.transpose(0, 2, 1).astype(np.float16)
        del self._sum, self._products
        self._derive()
        return self

    def get_state(self) -> State:
        """Return means and whitening matrices."""
        return {"mean_": self.mean_, "whitening_": self.whitening_}

    def heat(self, features: Features) -> MapArray:
        """Return the map (rows, columns) of an image's distances."""
        white = _blocks(features - self.mean_, self._side) @ self._whitening
        squares = np.einsum("bnd,bnd->bn", white, white)
        grid, across = features.shape[0], features.shape[0] // self._side
        heat: MapArray = np.sqrt(squares).reshape(across, across, self._side, self._side)
        return heat.transpose(0, 2, 1, 3).reshape(grid, grid)

    def _derive(self) -> None:
        self._whitening = self.whitening_.astype(np.float32)
        self._side = int(self.mean_.shape[0] // round(len(self.whitening_) ** 0.5))


def _blocks(features: Features, side: int) -> Features:
    """Return features (rows, columns, d) as blocks (blocks, side · side, d)."""
    rows, columns, d = features.shape
    cut = features.reshape(rows // side, side, columns // side, side, d)
    return np.ascontiguousarray(cut.transpose(0, 2, 1, 3, 4)).reshape(-1, side * side, d)


def _block_side(grid: int, images: int) -> int:
    """Return the side of blocks in cells: a divisor of the grid's that gives patches enough.

    >>> _block_side(32, 298), _block_side(80, 50), _block_side(32, 8)
    (2, 5, 8)
    """
    sides = [side for side in range(1, grid + 1) if grid % side == 0]
    fine = [side for side in sides if grid // side <= _BLOCKS and images * side**2 >= _SAMPLES]
    return fine[0] if fine else grid
