"""Empirical cumulative distributions: how far out in its columns' tails a row lies."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from tocsin.base import TableDetector
from tocsin.base.declared import Shape, Within
from tocsin.errors import ParameterError
from tocsin.features.sampling import subsample
from tocsin.features.scaling import beyond
from tocsin.types import Card, FloatArray, IntArray, Scores

_TAIL_INDEX = 3.0
"""Outside of the training range the tail falls like a power law of this index."""


class Ecod(TableDetector):
    """Sums −log of the smaller tail probability of each column; has no parameter to tune.

    Rows (n, d) in any units. With m reference rows, a tail that holds c of them has the
    probability (c + 1)/(m + 1); beyond the range it goes on falling with the distance. The
    reference is the training rows alone, at most ``max_rows`` of them, so a row's score never
    depends on the rows scored beside it. ``parts`` (n, d) is each column's share. The training
    scores leave each row out exactly. Raises ParameterError for fewer than two ``max_rows``. Li
    et al., ECOD: Unsupervised Outlier Detection Using Empirical Cumulative Distribution
    Functions, TKDE 2022.

    >>> rng = np.random.default_rng(0)
    >>> ecod = Ecod().fit(rng.normal(size=(300, 2)))
    >>> ecod.score([[0, 9]]).parts.argmax()
    np.int64(1)
    """

    card = Card(
        name="ecod",
        modality="tables",
        family="density",
        learning=("one-class", "unlabelled"),
        summary="How far out in the tails of its columns a row lies; nothing to tune.",
        paper="Li et al., ECOD, TKDE 2022",
        cost="fit O(m d log m) on at most 100,000 rows m; score O(d log m) per row",
    )

    sorted_: Annotated[FloatArray, Shape("d", "m"), Within(rising=True)]

    def __init__(self, max_rows: int = 100_000, seed: int = 0) -> None:
        self.max_rows = max_rows
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters under which the reference is a part of the training rows."""
        return {"max_rows": 500}

    def _check_parameters(self) -> None:
        if self.max_rows < 2:
            raise ParameterError(f"{self.card.name} needs max_rows ≥ 2; got {self.max_rows}.")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self._reference = subsample(len(X), self.max_rows, self.seed)
        self.sorted_ = np.sort(X[self._reference].T, axis=1)

    def _score(self, X: FloatArray) -> Scores:
        parts = self._parts(X, np.zeros(len(X), dtype=np.int64))
        return Scores(parts.sum(axis=1), parts=parts)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        own = np.zeros(len(X), dtype=np.int64)
        own[self._reference] = 1
        values: FloatArray = self._parts(X, own).sum(axis=1)
        return values

    def _parts(self, X: FloatArray, own: IntArray) -> FloatArray:
        """Return each column's share (n, d); ``own`` (n,) is 1 where the reference has the row."""
        parts = np.empty(X.shape)
        for column in range(X.shape[1]):
            left, right = self._tails(X[:, column], self.sorted_[column], own)
            parts[:, column] = self._join(left, right, X[:, column], column, own)
        return parts

    def _tails(
        self, x: FloatArray, reference: FloatArray, own: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return −log of the left and of the right tail probability (n,), the row left out."""
        m = len(reference)
        below = np.searchsorted(reference, x, side="right") - own
        above = m - np.searchsorted(reference, x, side="left") - own
        # Leaving out the only lowest or highest value moves the range to the next one.
        low = np.where((own == 1) & (x == reference[0]), reference[1], reference[0])
        high = np.where((own == 1) & (x == reference[-1]), reference[-2], reference[-1])
        outside = _TAIL_INDEX * np.log1p(beyond(x, low, high))
        rows = np.log(m + 1.0 - own)
        left = rows - np.log(below + 1.0) + np.where(x < low, outside, 0.0)
        right = rows - np.log(above + 1.0) + np.where(x > high, outside, 0.0)
        return left, right

    def _join(
        self, left: FloatArray, right: FloatArray, x: FloatArray, column: int, own: IntArray
    ) -> FloatArray:
        return np.maximum(left, right)
