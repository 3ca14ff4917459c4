"""Scalings of columns, each with the position of a reference row among the others alone.

A row that is the extreme of its column widens the scale it is measured on; a new row does
not. ``leave_one_out`` undoes this, so that reference rows score as new rows would.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy.special import ndtri

from tocsin.features.categories import Categories
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import FloatArray

_FEW_ROWS = 80


class ColumnScaling(Protocol):
    """Scales columns as the reference rows (m, d), m ≥ 2, that it is made from."""

    def __init__(self, reference: FloatArray) -> None: ...

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coordinates and stretch, both (n, d), of rows X taken from the reference.

        The stretch multiplies the differences to other reference rows, column by column: it
        makes of them what they would be had the row not been in the reference.
        """


class StandardScaling:
    """Zero mean and unit variance.

    >>> StandardScaling(np.array([[0.0], [2.0]])).transform(np.array([[3.0]]))
    array([[2.]])
    """

    def __init__(self, reference: FloatArray) -> None:
        self.rows = len(reference)
        self.centre, self.width = location_and_scale(reference)

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""
        return standardise(X, self.centre, self.width)

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coordinates, and the deviation over that of the other rows."""
        Z = self.transform(X)
        others = self.rows - 1
        variance = self.rows / others * (1 - Z * Z / others)
        varied = variance > 1e-12
        return Z, np.where(varied, 1 / np.sqrt(np.where(varied, variance, 1)), self.width)


class MinMaxScaling:
    """The range of the reference becomes 0 to 1.

    >>> MinMaxScaling(np.array([[0.0], [2.0]])).transform(np.array([[3.0]]))
    array([[1.5]])
    """

    def __init__(self, reference: FloatArray) -> None:
        self.ends = np.partition(reference, (0, 1, -2, -1), axis=0)[[0, 1, -2, -1]]
        self.largest = np.abs(self.ends).max(axis=0)
        with np.errstate(over="ignore"):
            self.width = _usable(self.ends[-1] - self.ends[0], self.largest)

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""
        return standardise(X, self.ends[0], self.width)

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coordinates, and the range over that of the other rows."""
        lowest, second_lowest, second_highest, highest = self.ends
        low = np.where(lowest == X, second_lowest, lowest)
        high = np.where(highest == X, second_highest, highest)
        with np.errstate(over="ignore"):
            return self.transform(X), self.width / _usable(high - low, self.largest)


class MidRankScaling:
    """Ranks mapped to a normal distribution; beyond the reference, straight on.

    A value becomes the normal quantile of its mid-rank, one between two reference values is
    interpolated, and the distance beyond the outermost ones counts in standard deviations, so
    that far values stay far.

    >>> MidRankScaling(np.array([[0.0], [1.0], [50.0]])).transform(np.array([[1.0]]))
    array([[0.]])
    """

    def __init__(self, reference: FloatArray) -> None:
        self.standard = StandardScaling(reference)
        self.columns = [np.unique(column, return_counts=True) for column in reference.T]
        self.quantiles = [
            ndtri((np.cumsum(counts) - counts / 2) / len(reference)) for _, counts in self.columns
        ]
        centre, width = [], []
        for (_, counts), z in zip(self.columns, self.quantiles, strict=True):
            centre.append(np.average(z, weights=counts))
            width.append(np.sqrt(np.average((z - centre[-1]) ** 2, weights=counts)))
        self.centre = np.array(centre)
        self.width = _usable(np.array(width), np.ones(len(width)))

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""
        Z = np.empty(X.shape)
        for j, ((values, _), z) in enumerate(zip(self.columns, self.quantiles, strict=True)):
            edge = np.clip(X[:, j], values[0], values[-1])
            Z[:, j] = np.interp(edge, values, z)
            Z[:, j] += standardise(X[:, j], edge, self.standard.width[j])
        return standardise(Z, self.centre, self.width)

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the coordinates that the rows would have as new ones; the stretch is 1."""
        Z = np.empty(X.shape)
        stretch = self.standard.leave_one_out(X)[1]
        for j, ((values, counts), z) in enumerate(zip(self.columns, self.quantiles, strict=True)):
            at = np.searchsorted(values, X[:, j])
            lower, upper = np.maximum(at - 1, 0), np.minimum(at + 1, len(values) - 1)
            with np.errstate(over="ignore", invalid="ignore"):
                inside = (X[:, j] - values[lower]) / (values[upper] - values[lower])
            between = z[lower] + inside * (z[upper] - z[lower])
            edge = np.where(at == 0, upper, lower)
            beyond = (
                z[edge] + standardise(X[:, j], values[edge], self.standard.width[j]) * stretch[:, j]
            )
            alone = np.where((at == 0) | (at == len(values) - 1), beyond, between)
            Z[:, j] = np.where(counts[at] > 1, z[at], alone)
        return standardise(Z, self.centre, self.width), np.ones(X.shape)


class RobustScaling:
    """The median becomes 0, the interquartile range that of the standard normal distribution.

    >>> RobustScaling(np.array([[0.0], [1.0], [2.0], [3.0], [1e6]])).transform(np.array([[2.0]]))
    array([[0.]])
    """

    def __init__(self, reference: FloatArray) -> None:
        low, self.median, high = np.percentile(reference, (25, 50, 75), axis=0)
        deviation = location_and_scale(reference)[1]
        width = (high / 2 - low / 2) / 0.6745
        self.width = np.where(width > 1e-6 * deviation, width, deviation)

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""
        return standardise(X, self.median, self.width)

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coordinates, and a stretch of 1: one row hardly moves the quartiles."""
        return self.transform(X), np.ones(X.shape)


class ArcsinhScaling:
    """Robust scaling, compressed far out, then standard: outliers hardly move it.

    Values less the median, over the interquartile range in normal deviations, go through
    arcsinh, which is linear near 0 and logarithmic far from it.

    >>> scaling = ArcsinhScaling(np.array([[0.0], [1.0], [2.0], [3.0], [1e6]]))
    >>> scaling.transform(np.array([[2.0], [1e6]])).round(1).ravel().tolist()
    [-0.4, 2.0]
    """

    def __init__(self, reference: FloatArray) -> None:
        self.robust = RobustScaling(reference)
        self.standard = StandardScaling(self._compress(reference))

    def _compress(self, X: FloatArray) -> FloatArray:
        return np.arcsinh(self.robust.transform(X))

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""
        return self.standard.transform(self._compress(X))

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coordinates, and the deviation over that of the other rows."""
        return self.standard.leave_one_out(self._compress(X))


class MixedScaling:
    """Arcsinh scaling, of fewer than 80 rows robust scaling; a category varies as one column.

    Scaled one by one, the columns of a category of many values would outweigh all others. With
    few rows, how far one stands out is all there is, and arcsinh would hide it.

    >>> X = np.array([[1.0, 1, 0, 0], [2, 0, 1, 0], [3, 0, 0, 1], [4, 1, 0, 0]])
    >>> MixedScaling(X).transform(X)[:, 1:].var(axis=0).sum().round(6)
    np.float64(1.0)
    """

    def __init__(self, reference: FloatArray) -> None:
        categories = Categories(reference)
        self.others = categories.others
        numbers = ArcsinhScaling if len(reference) >= _FEW_ROWS else RobustScaling
        self.numbers: ColumnScaling = numbers(reference[:, self.others])
        self.weight = np.ones(reference.shape[1])
        for block in categories.blocks:
            self.weight[block] = 1 / np.sqrt(reference[:, block].var(axis=0).sum())

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""
        Z = standardise(X, np.zeros(X.shape[1]), 1 / self.weight)
        Z[:, self.others] = self.numbers.transform(X[:, self.others])
        return Z

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coordinates and stretch (n, d), which is 1 for the columns of categories."""
        Z, stretch = self.transform(X), np.ones(X.shape)
        stretch[:, self.others] = self.numbers.leave_one_out(X[:, self.others])[1]
        return Z, stretch


class HeavyTailScaling:
    """Standard scaling, but mid-rank scaling where the reference is heavy-tailed.

    Heavy-tailed is a column with a kurtosis above 9 (the normal distribution has 3, the Laplace
    6): its deviation is that of a few far values and describes the others badly.

    >>> column = np.array([[0.0], [1.0], [2.0]])
    >>> HeavyTailScaling(column).transform(column + 1).round(2).ravel().tolist()
    [0.0, 1.22, 2.45]
    """

    def __init__(self, reference: FloatArray) -> None:
        self.standard = StandardScaling(reference)
        kurtosis = (self.standard.transform(reference) ** 4).mean(axis=0)
        low, high = reference.min(axis=0), reference.max(axis=0)
        # Ranks of two values are those values, shifted and stretched.
        several = ((reference != low) & (reference != high)).any(axis=0)
        self.heavy = np.flatnonzero((kurtosis > 9) & several)
        self.mid_rank = MidRankScaling(reference[:, self.heavy])

    def transform(self, X: FloatArray) -> FloatArray:
        """Return X (n, d) in scaled coordinates, finite."""
        Z = self.standard.transform(X)
        Z[:, self.heavy] = self.mid_rank.transform(X[:, self.heavy])
        return Z

    def leave_one_out(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return coordinates and stretch (n, d), each column as its scaling has them."""
        Z, stretch = self.standard.leave_one_out(X)
        heavy = self.mid_rank.leave_one_out(X[:, self.heavy])
        Z[:, self.heavy], stretch[:, self.heavy] = heavy
        return Z, stretch


def _usable(width: FloatArray, largest: FloatArray) -> FloatArray:
    """Return the width with 1 for columns that are constant up to rounding."""
    usable = np.minimum(width, np.finfo(float).max)
    return np.where(width > 10 * np.finfo(float).eps * largest, usable, 1.0)
