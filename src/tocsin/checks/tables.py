"""The data for detectors of tables, and the checks that only they pass."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tocsin.base import Detector
from tocsin.checks.asserting import require, require_same, scored
from tocsin.checks.common import HUGE
from tocsin.checks.subject import Subject
from tocsin.errors import InputError
from tocsin.types import FloatArray, IntArray, Scores


class TableSubject(Subject):
    """Three clusters of correlated columns, and rows scattered far around them."""

    least_area = 0.8
    shares = (0.03, 0.25)
    least = 2
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
    def training(self) -> tuple[FloatArray, IntArray | None]:
        """Easy rows to learn from, with 30 anomalies if the detector needs labels."""
        if not self.detector.needs_labels:
            return super().training
        anomalies = self.anomalies[:30]
        labels = np.repeat([0, 1], [len(self.normal), len(anomalies)])
        return np.concatenate([self.normal, anomalies]), labels

    @property
    def testing(self) -> tuple[FloatArray, IntArray]:
        """The unseen rows, then 30 anomalies."""
        anomalies = self.anomalies[30:]
        labels = np.repeat([0, 1], [len(self.unseen), len(anomalies)])
        return np.concatenate([self.unseen, anomalies]), labels

    @property
    def testing_first(self) -> tuple[FloatArray, IntArray]:
        """100 unseen rows, then 100 with another first value."""
        X, _ = self.training
        usual, changed = self.unseen[:100], self.unseen[100:200].copy()
        changed[:, 0] += 12 * X[:, 0].std()
        return np.concatenate([usual, changed]), np.repeat([0, 1], 100)

    @property
    def calibration(self) -> tuple[FloatArray, FloatArray]:
        """The scores of normal training rows, and of the unseen ones."""
        _, y = self.training
        own = self.fitted.training_scores_
        return own if y is None else own[y == 0], self.fitted.score(self.unseen).values

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes: also a vector."""
        return {**super().bad, "a vector": self.normal[:40, 0]}


def check_rows_are_scored_alone(subject: Subject) -> None:
    """Check that a row's score depends on neither the rows beside it nor their order."""
    rows, _ = subject.testing
    whole = scored(subject.fitted, rows)
    order = np.random.default_rng(0).permutation(len(rows))
    cuts = np.split(rows, [1, 8, 200])
    others = {
        "permuted": (order, subject.fitted.score(rows[order])),
        "alone": (np.array([len(rows) - 1]), subject.fitted.score(rows[-1:])),
        "in chunks": (np.arange(len(rows)), _joined([subject.fitted.score(cut) for cut in cuts])),
    }
    for how, (index, scores) in others.items():
        for name in ("values", "parts", "expected"):
            given, wanted = getattr(scores, name), getattr(whole, name)
            require((given is None) == (wanted is None), f"{name} are there for some batches only")
            if wanted is not None:
                require_same(given, wanted[index], f"{name} of rows {how}", rtol=1e-5, atol=1e-6)


def check_two_rows(subject: Subject) -> None:
    """Check that two rows are learned from, or refused with InputError."""
    try:
        subject.fits(subject.normal[:2])
    except InputError as error:
        require(bool(str(error)), "two rows are refused without a message")


def check_huge_values_are_anomalous(subject: Subject) -> None:
    """Check that values of 1e300 give finite scores, above those of most normal rows."""
    rows = subject.unseen
    usual = np.quantile(subject.fitted.score(rows).values, 0.9)
    huge = np.stack([np.full(rows.shape[1], HUGE), np.full(rows.shape[1], -HUGE), rows[0]])
    huge[2, 1] = HUGE
    scores = scored(subject.fitted, huge).values
    if not subject.detector.needs_labels:
        require(scores.min() >= usual, "rows with values of 1e300 score like normal rows")


def _joined(pieces: list[Scores]) -> Scores:
    def join(name: str) -> Any:
        arrays = [getattr(piece, name) for piece in pieces]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    return Scores(join("values"), join("parts"), join("expected"))
