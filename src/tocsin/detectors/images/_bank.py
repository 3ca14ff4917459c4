"""A memory bank of patches: how far a patch is from those of good images."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray

from tocsin.base import Stateful
from tocsin.base.declared import Shape
from tocsin.types import IntArray, MapArray

Features = NDArray[np.float32]
"""Features of an image's patches: (rows, columns, channels)."""

_SAMPLE = 40_000
"""Patches kept of all images together while learning: at most 37 MB of 232 channels each."""
_SKETCH = 32  # dimensions in which the bank is chosen
_WORK = 3_200_000  # distances worked out for an image: cells times patches of the bank


class PatchBank(Stateful):
    """Mean distance to the ``k`` nearest patches of a bank of at most ``size``.

    Of every image the same number of patches is kept, at random, 40,000 of all images together;
    from these the bank is chosen so that no patch is far from it (greedy k-center on a random
    projection). Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022.
    """

    bank_: Annotated[Features, Shape("m", "c")]

    def __init__(self, size: int = 2000, k: int = 3, seed: int = 0) -> None:
        self.size = size
        self.k = k
        self.seed = seed
        self._kept: list[Features] = []

    def expect(self, images: int) -> Self:
        """Prepare for this number of images."""
        self._random = np.random.default_rng(self.seed)
        self._share = _SAMPLE / images
        return self

    def add(self, features: Features) -> None:
        """Learn from the patches of a good image."""
        patches = features.reshape(-1, features.shape[-1])
        self._cells = len(patches)
        whole = int(self._share)
        count = whole + int(self._random.random() < self._share - whole)
        if count < len(patches):
            patches = patches[self._random.choice(len(patches), count, replace=False)]
        self._kept.append(patches.copy())

    def finish(self) -> Self:
        """Choose the bank from what was kept."""
        patches, self._kept = np.concatenate(self._kept), []
        size = min(self.size, max(100, _WORK // self._cells))
        self.bank_ = patches[spread_out(patches, size, self._random)]
        self._derive()
        return self

    def heat(self, features: Features) -> MapArray:
        """Return the map (rows, columns) of an image's distances."""
        patches = features.reshape(-1, features.shape[-1])
        squares = patches @ self._doubled
        squares += self._lengths
        k = min(self.k, squares.shape[1])
        nearest = np.partition(squares, k - 1, axis=1)[:, :k]
        nearest += np.einsum("nd,nd->n", patches, patches)[:, None]
        heat: MapArray = np.sqrt(np.maximum(nearest, 0)).mean(axis=1)
        return heat.reshape(features.shape[:2])

    def _derive(self) -> None:
        self._doubled = np.ascontiguousarray(-2 * self.bank_.T)
        self._lengths = np.einsum("nd,nd->n", self.bank_, self.bank_)


def spread_out(patches: Features, size: int, random: np.random.Generator) -> IntArray:
    """Return the numbers of at most ``size`` rows, each next the farthest from those before.

    Distances are those of a random projection, by Johnson and Lindenstrauss. Gonzalez, Clustering
    to minimize the maximum intercluster distance, 1985.

    >>> rows = np.array([[0.0], [0.1], [9.0], [5.0]], dtype=np.float32)
    >>> sorted(spread_out(rows, 3, np.random.default_rng(0)).tolist())[1:]
    [2, 3]
    """
    if len(patches) <= size:
        return np.arange(len(patches))
    projection = random.normal(size=(patches.shape[1], _SKETCH)).astype(np.float32)
    sketch = patches @ projection
    lengths = np.einsum("nd,nd->n", sketch, sketch)
    chosen = np.empty(size, dtype=np.int64)
    chosen[0] = random.integers(len(patches))
    distance = np.full(len(patches), np.inf, dtype=np.float32)
    for i in range(1, size):
        last = chosen[i - 1]
        np.minimum(distance, lengths - 2 * (sketch @ sketch[last]) + lengths[last], out=distance)
        chosen[i] = distance.argmax()
    return chosen
