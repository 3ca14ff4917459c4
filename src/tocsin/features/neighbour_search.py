"""Exact nearest neighbours among reference rows, by blocks of one matrix product."""

from __future__ import annotations

import numpy as np

from tocsin.types import FloatArray, IntArray

_BLOCK = 64
_GROUP = 32


class NeighbourSearch:
    """The k nearest of the reference rows (m, d), by Euclidean distance.

    Squared distances, less the query's own norm, come from one matrix product per block. Among
    many rows the k nearest are sought only in the k of the interleaved groups with the
    smallest minima, which must hold them. Blocks always have the same shape, so that a query
    gets the same neighbours whatever queries stand beside it.

    >>> search = NeighbourSearch(np.array([[0.0], [1.0], [5.0]]))
    >>> search.nearest(np.array([[0.9]]), k=2)
    array([[0, 1]])
    """

    def __init__(self, reference: FloatArray) -> None:
        self.reference = np.ascontiguousarray(reference, dtype=np.float64)
        rows, columns = self.reference.shape
        self._product = np.zeros((-(-rows // _GROUP) * _GROUP, columns + 1))
        self._product[:rows, :-1] = -2 * self.reference
        self._product[:rows, -1] = (self.reference * self.reference).sum(axis=1)
        self._product[rows:, -1] = np.inf

    def nearest(self, X: FloatArray, k: int, itself: IntArray | None = None) -> IntArray:
        """Return the numbers (n, k) of the k nearest reference rows, in ascending order.

        ``itself`` (n,) leaves one reference row out of each query's neighbours, by its number;
        its duplicates still count. k is cut to the number of rows there are.
        """
        k = min(k, len(self.reference) - (itself is not None))
        rows = np.empty((len(X), k), dtype=np.int64)
        for start in range(0, len(X), _BLOCK):
            block = slice(start, start + _BLOCK)
            left_out = None if itself is None else itself[block]
            rows[block] = np.sort(self._nearest(X[block], k, left_out), axis=1)
        return rows

    def _nearest(self, X: FloatArray, k: int, itself: IntArray | None) -> IntArray:
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


def norm(vectors: FloatArray) -> FloatArray:
    """Return Euclidean lengths along the last axis."""
    lengths: FloatArray = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    return lengths
