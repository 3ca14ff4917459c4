"""The data for detectors of tables, and the checks that only they pass."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tocsin.base import Detector
from tocsin.checks import common, hostile, items, numbers
from tocsin.checks.asserting import require, scored
from tocsin.checks.numbers import HUGE
from tocsin.checks.subject import ItemSubject, MatrixSubject
from tocsin.types import FloatArray, IntArray


class TableSubject(MatrixSubject, ItemSubject):
    """Three clusters of correlated columns, and rows scattered far around them."""

    modality = "tables"
    shared = (common, hostile, numbers, items)
    least_area = 0.8
    shares = (0.03, 0.25)
    columns: ClassVar[int] = 5

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        rng = np.random.default_rng(7)
        d = self.columns
        centres = rng.uniform(-3, 3, size=(3, d))
        mixing = np.eye(d) + 0.3 * rng.normal(size=(d, d))
        rows = centres[rng.integers(3, size=700)] + 0.7 * rng.normal(size=(700, d)) @ mixing
        self.normal, self.unseen = rows[:400], rows[400:]
        self.anomalies = rng.uniform(-12, 12, size=(60, d))
        self.spots = np.arange(60)

    @property
    def testing_first(self) -> tuple[FloatArray, IntArray]:
        """100 unseen rows, then 100 with another first value."""
        X, _ = self.training
        usual, changed = self.unseen[:100], self.unseen[100:200].copy()
        changed[:, 0] += 12 * X[:, 0].std()
        return np.concatenate([usual, changed]), np.repeat([0, 1], 100)

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes: also a vector."""
        return {**super().bad, "a vector": self.normal[:40, 0]}


def check_huge_values_are_anomalous(subject: MatrixSubject) -> None:
    """Check that values of 1e300 give finite scores, above those of most normal rows."""
    rows = subject.unseen
    usual = np.quantile(subject.fitted.score(rows).values, 0.9)
    huge = np.stack([np.full(rows.shape[1], HUGE), np.full(rows.shape[1], -HUGE), rows[0]])
    huge[2, 1] = HUGE
    scores = scored(subject.fitted, huge).values
    if not subject.detector.needs_labels:
        require(scores.min() >= usual, "rows with values of 1e300 score like normal rows")
