"""Histogram-based outlier score: how rare a row's value is, column by column."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tocsin.base import TableDetector
from tocsin.base.declared import Shape, Within
from tocsin.errors import CorruptModel, ParameterError
from tocsin.features.scaling import beyond
from tocsin.types import Card, FloatArray, IntArray, Scores

_CHUNK = 65_536  # rows


class Hbos(TableDetector):
    """One histogram of equal-width bins per column; the score adds up −log of the bins' shares.

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
        cost="fit O(n d), score O(d) per row",
        also_known_as=("histograms",),
    )

    low_: Annotated[FloatArray, Shape("d")]
    high_: Annotated[FloatArray, Shape("d")]
    counts_: Annotated[IntArray, Shape("d", "n_bins"), Within(0, "rows_")]
    rows_: Annotated[int, Within(1)]

    def __init__(self, n_bins: int = 10) -> None:
        self.n_bins = n_bins

    def _check_parameters(self) -> None:
        if self.n_bins < 1:
            raise ParameterError(f"hbos needs n_bins ≥ 1; got {self.n_bins}.")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.rows_ = len(X)
        self.counts_ = np.zeros((X.shape[1], self.n_bins), dtype=np.int64)
        columns = np.arange(X.shape[1])
        for start in range(0, len(X), _CHUNK):
            np.add.at(self.counts_, (columns, self._bins(X[start : start + _CHUNK])), 1)

    def _derive(self) -> None:
        if (self.low_ > self.high_).any():
            raise CorruptModel("A histogram of hbos ends before it begins.")

    def _bins(self, X: FloatArray) -> IntArray:
        """Return each value's bin (n, d)."""
        # Halves, because the difference of two huge numbers overflows.
        half = self.high_ / 2 - self.low_ / 2
        inside = np.clip(X, self.low_, self.high_)
        position = (inside / 2 - self.low_ / 2) / np.where(half > 0, half, 1.0)
        bins: IntArray = np.minimum((position * self.n_bins).astype(np.int64), self.n_bins - 1)
        return bins

    def _parts(self, count: IntArray, outside: FloatArray, rows: int) -> FloatArray:
        """Return −log of the smoothed share of a bin, the more the farther outside."""
        share = (np.where(outside > 0, 0, count) + 1.0) / (rows + self.n_bins)
        return np.log1p(outside) - np.log(share)

    def _score(self, X: FloatArray) -> Scores:
        parts = np.empty(X.shape)
        columns = np.arange(X.shape[1])
        for start in range(0, len(X), _CHUNK):
            rows = slice(start, start + _CHUNK)
            count = self.counts_[columns, self._bins(X[rows])]
            parts[rows] = self._parts(count, beyond(X[rows], self.low_, self.high_), self.rows_)
        return Scores(parts.sum(axis=1), parts=parts)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        # Leaving out the only lowest or highest value moves the range to the next one.
        second, last = np.partition(X, 1, axis=0)[1], np.partition(X, -2, axis=0)[-2]
        low = np.where(self.low_ == X, second, self.low_)
        high = np.where(self.high_ == X, last, self.high_)
        count = self.counts_[np.arange(X.shape[1]), self._bins(X)] - 1
        values: FloatArray = self._parts(count, beyond(X, low, high), self.rows_ - 1).sum(axis=1)
        return values
