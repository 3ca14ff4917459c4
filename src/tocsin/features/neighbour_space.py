"""The nearest reference rows in one scaling of their columns, with the differences to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tocsin.features.column_scalings import ColumnScaling
from tocsin.features.neighbour_search import NeighbourSearch, norm
from tocsin.features.scaling import LIMIT
from tocsin.types import FloatArray, IntArray

_ROWS = 1024
_CELLS = 2**17  # of neighbours worked on at once; they stay in the processor's cache


class Near(NamedTuple):
    """The k nearest reference rows of a block of b rows, nearest first.

    ``rows`` and ``lengths`` (b, k), ``differences`` (b, k, d): reference row less row, scaled.
    """

    block: slice
    rows: IntArray
    differences: FloatArray
    lengths: FloatArray


class NeighbourSpace:
    """Reference rows (m, d) in one scaling of their columns."""

    def __init__(self, scaling: type[ColumnScaling], reference: FloatArray) -> None:
        self.scaling = scaling(reference)
        self.search = NeighbourSearch(self.scaling.transform(reference))

    def neighbours(self, X: FloatArray, k: int, itself: IntArray | None = None) -> Iterator[Near]:
        """Yield the k nearest reference rows of X (n, d), block by block.

        With ``itself`` (n,), the rows of X are reference rows of these numbers, and each is
        compared as if it were not in the reference.
        """
        size = max(1, _CELLS // (k * X.shape[1]))
        for start in range(0, len(X), _ROWS):
            chunk = X[start : start + _ROWS]
            if itself is None:
                Z, stretch = self.scaling.transform(chunk), np.ones((len(chunk), 1))
                rows = self.search.nearest(Z, k)
            else:
                Z, stretch = self.scaling.leave_one_out(chunk)
                rows = self.search.nearest(Z, k, itself[start : start + _ROWS])
            for first in range(0, len(chunk), size):
                part = slice(first, first + size)
                block = slice(start + first, min(start + first + size, start + len(chunk)))
                yield self._measure(block, rows[part], Z[part], stretch[part])

    def _measure(self, block: slice, rows: IntArray, Z: FloatArray, stretch: FloatArray) -> Near:
        # From the differences, not from the search's products: near duplicates lose no digits.
        differences = self.search.reference[rows]
        differences -= Z[:, None]
        differences *= stretch[:, None]
        np.clip(differences, -LIMIT, LIMIT, out=differences)
        lengths = norm(differences)
        order = np.argsort(lengths, axis=1, kind="stable")
        row = np.arange(len(order))[:, None]
        return Near(block, rows[row, order], differences[row, order], lengths[row, order])
