"""Exact nearest neighbours among sparse rows, by blocks of one sparse product."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from tocsin.types import FloatArray, IntArray

_CELLS = 2**20  # of distances held at once
_CANCELLED = 1e-6  # of a squared length; above it, a squared distance has ten digits


class SparseSearch:
    """The k nearest of the sparse reference rows (m, d), by Euclidean distance.

    A query gets the same neighbours whatever queries stand beside it, and a query equal to a
    reference row is at distance 0 exactly.

    >>> search = SparseSearch(csr_array([[0.0, 1.0], [2.0, 0.0]]))
    >>> distances, rows = search.nearest(csr_array([[2.0, 0.0]]), k=2)
    >>> rows.tolist(), distances.round(2).tolist()
    ([[1, 0]], [[0.0, 2.24]])
    """

    def __init__(self, reference: csr_array) -> None:
        reference.check_format(full_check=True)  # compiled code takes indices as they are
        self.reference = reference
        self._transposed = reference.T.tocsr()
        self._squared = _row_sums(reference.power(2))

    def nearest(
        self, X: csr_array, k: int, itself: IntArray | None = None
    ) -> tuple[FloatArray, IntArray]:
        """Return the distances and numbers (n, k) of the k nearest reference rows, nearest first.

        ``itself`` (n,) leaves one reference row out of each query's neighbours, by its number;
        -1 leaves none out.
        k is cut to the number of rows there are.
        """
        k = min(k, len(self._squared) - (itself is not None))
        distances, rows = np.empty((X.shape[0], k)), np.empty((X.shape[0], k), dtype=np.int64)
        size = max(1, _CELLS // len(self._squared))
        for start in range(0, X.shape[0], size):
            block = slice(start, start + size)
            left_out = None if itself is None else itself[block]
            distances[block], rows[block] = self._nearest(X[block], k, left_out)
        return distances, rows

    def _nearest(
        self, X: csr_array, k: int, itself: IntArray | None
    ) -> tuple[FloatArray, IntArray]:
        # The query's own norm is the same for all reference rows and left out.
        squared = (X @ self._transposed).toarray()
        squared *= -2
        squared += self._squared
        if itself is not None:
            own = np.flatnonzero(itself >= 0)
            squared[own, itself[own]] = np.inf
        if k == 1:
            found = squared.argmin(axis=1)[:, None]
        else:
            found = np.sort(np.argpartition(squared, k - 1, axis=1)[:, :k], axis=1)
        own_square = _row_sums(X.power(2))[:, None]
        product = np.take_along_axis(squared, found, axis=1) + own_square
        distances = np.sqrt(product.clip(0))
        # Products cancel where rows are nearly equal; there, and only there, differences count.
        near, place = np.nonzero(product < _CANCELLED * own_square)
        if near.size:
            differences = X[near] - self.reference[found[near, place]]
            distances[near, place] = np.sqrt(_row_sums(differences.power(2)))
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(found, order, 1)


def _row_sums(rows: csr_array) -> FloatArray:
    sums: FloatArray = np.asarray(rows.sum(axis=1), dtype=np.float64).ravel()
    return sums
