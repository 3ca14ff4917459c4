"""What detectors share that compare rows with stored reference rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from tocsin.base import TableDetector
from tocsin.detectors.column_scalings import ColumnScaling
from tocsin.detectors.neighbour_search import NeighbourSearch
from tocsin.detectors.scaling import LIMIT, choose_rows
from tocsin.errors import ParameterError
from tocsin.types import FloatArray, IntArray, Scores

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


class ReferenceDetector(TableDetector):
    """A table detector whose fitted state is its reference rows.

    It learns from at most ``max_reference`` of the training rows, drawn at random. Reference
    rows get training scores that leave them out; all others are scored as new rows. A subclass
    defines ``_prepare`` and ``_compare``.
    """

    max_reference: int
    seed: int

    reference_: FloatArray
    reference_rows_: IntArray

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self._prepare()
        return self

    def _prepare(self) -> None:
        """Derive from ``reference_`` what scoring needs."""
        raise NotImplementedError

    def _compare(self, X: FloatArray, itself: IntArray | None = None) -> Scores:
        """Score X; with ``itself`` (n,), as the reference rows of these numbers, left out."""
        raise NotImplementedError

    def _score(self, X: FloatArray) -> Scores:
        return self._compare(X)

    def _rows_to_learn(self, X: FloatArray) -> IntArray:
        return np.arange(len(X))

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        if self.max_reference < 2:
            raise ParameterError(f"max_reference is {self.max_reference}; it must be 2 or more.")
        rows = self._rows_to_learn(X)
        self.reference_rows_ = rows[choose_rows(len(rows), self.max_reference, self.seed)]
        self.reference_ = X[self.reference_rows_]
        self._prepare()

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        scores = np.empty(len(X))
        others = np.ones(len(X), dtype=bool)
        others[self.reference_rows_] = False
        itself = np.arange(len(self.reference_))
        scores[self.reference_rows_] = self._compare(self.reference_, itself).values
        scores[others] = self._compare(X[others]).values
        return scores


def norm(vectors: FloatArray) -> FloatArray:
    """Return Euclidean lengths along the last axis."""
    lengths: FloatArray = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    return lengths


def check_count(name: str, value: int) -> None:
    """Raise ParameterError unless the parameter is a whole number of 1 or more."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ParameterError(f"{name} is {value!r}; it must be a whole number of 1 or more.")
