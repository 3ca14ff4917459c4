"""Histogram-based outlier score: how rare a row's value is, column by column."""

from __future__ import annotations

import numpy as np

from tocsin.base import TableDetector
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, IntArray, Scores

_CHUNK = 65_536  # rows


class Hbos(TableDetector):
    """One histogram of equal-width bins a column; the score adds up −log of the bins' shares.

    Rows (n, d) in any units; constant columns are ignored as long as they stay constant. A value
    outside the training range falls into an empty bin and adds log(1 + its distance from the
    range in ranges), so that farther is more anomalous. ``parts`` (n, d) is each column's share
    of the score. The training scores leave each row out exactly. Raises ParameterError for fewer
    than one bin. Goldstein and Dengel, Histogram-based Outlier Score (HBOS), KI 2012.

    >>> rng = np.random.default_rng(0)
    >>> hbos = Hbos().fit(rng.normal(size=(300, 2)))
    >>> hbos.score([[0, 9]]).parts.argmax()
    np.int64(1)
    """

    card = Card(
        name="hbos",
        modality="tables",
        family="density",
        learning=("one-class", "unlabelled"),
        summary="How rare each column's value is, by histograms; blind to how columns relate.",
        paper="Goldstein, Dengel, Histogram-based Outlier Score, KI 2012",
        cost="fit O(n d), score O(d) a row",
    )

    def __init__(self, n_bins: int = 10) -> None:
        self.n_bins = n_bins

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        if self.n_bins < 1:
            raise ParameterError(f"hbos needs n_bins ≥ 1; got {self.n_bins}.")
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.rows_ = len(X)
        self.counts_ = np.zeros((X.shape[1], self.n_bins), dtype=np.int64)
        columns = np.arange(X.shape[1])
        for start in range(0, len(X), _CHUNK):
            bins, _ = self._bins(X[start : start + _CHUNK], self.low_, self.high_)
            np.add.at(self.counts_, (columns, bins), 1)

    def _bins(
        self, X: FloatArray, low: FloatArray, high: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Return each value's bin (n, d), and how many ranges it lies outside the range."""
        position = _position(X, low, high)
        outside = np.maximum(np.maximum(-position, position - 1.0), 0.0)
        bins = np.clip(position, 0.0, 1.0) * self.n_bins
        return np.minimum(bins.astype(np.int64), self.n_bins - 1), outside

    def _parts(self, count: IntArray, outside: FloatArray, rows: int) -> FloatArray:
        """Return −log of the smoothed share of a bin, the more the farther outside."""
        share = (count + 1.0) / (rows + self.n_bins)
        return np.log1p(outside) - np.log(share)

    def _score(self, X: FloatArray) -> Scores:
        parts = np.empty(X.shape)
        columns = np.arange(X.shape[1])
        for start in range(0, len(X), _CHUNK):
            rows = slice(start, start + _CHUNK)
            bins, outside = self._bins(X[rows], self.low_, self.high_)
            count = np.where(outside > 0, 0, self.counts_[columns, bins])
            parts[rows] = self._parts(count, outside, self.rows_)
        return Scores(parts.sum(axis=1), parts=parts)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        values = np.zeros(len(X))
        for column, counts in enumerate(self.counts_):
            x = X[:, [column]]
            bins, _ = self._bins(x, self.low_[[column]], self.high_[[column]])
            parts = self._parts(counts[bins[:, 0]] - 1, np.zeros(len(X)), len(X) - 1)
            # Without the only lowest or highest value the range itself is another one.
            for end in (x.argmin(), x.argmax()):
                others = np.delete(x, end, axis=0)
                low, high = others.min(axis=0), others.max(axis=0)
                outside = self._bins(x[[end]], low, high)[1][0, 0]
                if outside > 0:
                    parts[end] = self._parts(np.array(0), outside, len(X) - 1)
            values += parts
        return values


def _position(X: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return where values lie in the range, 0 at its low and 1 at its high end."""
    # Halves, because the difference of two huge numbers overflows.
    half = high / 2 - low / 2
    with np.errstate(over="ignore"):
        position: FloatArray = (X / 2 - low / 2) / np.where(half > 0, half, 0.5)
    return np.clip(position, -1e300, 1e300)
