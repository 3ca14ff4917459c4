"""A detector of another package that declares nothing of what it learns."""

from __future__ import annotations

import numpy as np

from tocsin.base import TableDetector
from tocsin.types import Card, FloatArray, IntArray, Scores


class Undeclared(TableDetector):
    """How far values are from those of training, in their spread."""

    card = Card("undeclared", "tables", "density", ("one-class",), "Distance", "None", "O(n)")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.centre_ = X.mean(axis=0)
        self.spread_ = X.std(axis=0) + 1e-9

    def _score(self, X: FloatArray) -> Scores:
        parts = np.abs(X - self.centre_) / self.spread_
        return Scores(parts.max(axis=1), parts=parts)
