"""Exact nearest neighbours among reference rows, by blocks of one matrix product."""

from __future__ import annotations

import numpy as np

from tocsin.types import FloatArray, IntArray

_BLOCK = 64
_GROUP = 32


class NeighbourSearch:
    """The k nearest of the reference rows (m, d), by Euclidean distance.

    Squared distances, less the query's own norm, come from one matrix product a block. Among
    many rows the k nearest are looked for only in the k of the interleaved groups with the
    smallest minima, which must hold them. The distances returned are recomputed from the
    differences, so that near duplicates lose no digits. Blocks always have the same shape: a
    query gets the same neighbours whatever queries stand beside it; ties go by row number.

    >>> search = NeighbourSearch(np.array([[0.0], [1.0], [5.0]]))
    >>> distances, rows = search.nearest(np.array([[0.9]]), k=2)
    >>> rows.tolist(), distances.round(3).tolist()
    ([[1, 0]], [[0.1, 0.9]])
    """

    def __init__(self, reference: FloatArray) -> None:
        self.reference = np.ascontiguousarray(reference, dtype=np.float64)
        rows, columns = self.reference.shape
        self._product = np.zeros((-(-rows // _GROUP) * _GROUP, columns + 1))
        self._product[:rows, :-1] = -2 * self.reference
        self._product[:rows, -1] = (self.reference * self.reference).sum(axis=1)
        self._product[rows:, -1] = np.inf

    def nearest(
        self, X: FloatArray, k: int, itself: IntArray | None = None
    ) -> tuple[FloatArray, IntArray]:
        """Return the distances and the row numbers (n, k) of the k nearest, nearest first.

        ``itself`` (n,) leaves one reference row out of each query's neighbours, by its number;
        its duplicates still count. k is cut to the number of rows there are.
        """
        k = min(k, len(self.reference) - (itself is not None))
        rows = np.empty((len(X), k), dtype=np.int64)
        distances = np.empty((len(X), k))
        for start in range(0, len(X), _BLOCK):
            block = slice(start, start + _BLOCK)
            found = np.sort(
                self._candidates(X[block], k, None if itself is None else itself[block])
            )
            exact = np.sqrt(((self.reference[found] - X[block, None]) ** 2).sum(axis=2))
            order = np.argsort(exact, axis=1, kind="stable")
            rows[block] = np.take_along_axis(found, order, axis=1)
            distances[block] = np.take_along_axis(exact, order, axis=1)
        return distances, rows

    def _candidates(self, X: FloatArray, k: int, itself: IntArray | None) -> IntArray:
        queries = np.ones((_BLOCK, self._product.shape[1]))
        queries[: len(X), :-1] = X
        squared = (queries @ self._product.T)[: len(X)]
        row = np.arange(len(X))
        if itself is not None:
            squared[row, itself] = np.inf
        groups = squared.shape[1] // _GROUP
        if groups < 2 * k:
            return np.argpartition(squared, k - 1, axis=1)[:, :k]
        members = squared.reshape(len(X), _GROUP, groups)
        best = np.argpartition(members.min(axis=1), k - 1, axis=1)[:, :k]
        inside = np.take_along_axis(members, best[:, None], axis=2).reshape(len(X), -1)
        found = np.argpartition(inside, k - 1, axis=1)[:, :k]
        nearest: IntArray = found // k * groups + np.take_along_axis(best, found % k, axis=1)
        return nearest
