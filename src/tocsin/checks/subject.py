"""What the checks work on: a detector under check, made-up data, and one fit of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from sklearn.base import clone

from tocsin.base import Detector
from tocsin.types import FloatArray, IntArray

COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Easy:
    """Three clusters of correlated columns, and rows scattered far around them."""

    normal: FloatArray
    new: FloatArray
    anomalies: FloatArray

    @classmethod
    def make(cls) -> Easy:
        """Return 400 normal rows to learn from, 300 new ones and 60 anomalies."""
        rng = np.random.default_rng(7)
        centres = rng.uniform(-3, 3, size=(3, COLUMNS))
        mixing = np.eye(COLUMNS) + 0.3 * rng.normal(size=(COLUMNS, COLUMNS))
        rows = centres[rng.integers(3, size=700)] + 0.7 * rng.normal(size=(700, COLUMNS)) @ mixing
        return cls(rows[:400], rows[400:], rng.uniform(-12, 12, size=(60, COLUMNS)))


class Subject:
    """An untrained detector under check; ``fitted`` is one copy, trained once on easy data."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.easy = Easy.make()

    def new(self) -> Detector:
        """Return an untrained copy."""
        copy: Detector = clone(self.detector)
        return copy

    @property
    def training(self) -> tuple[FloatArray, IntArray | None]:
        """Easy rows to learn from: with anomalies and labels if the detector needs them."""
        if not self.detector.needs_labels:
            return self.easy.normal, None
        anomalies = self.easy.anomalies[:30]
        labels = np.repeat([0, 1], [len(self.easy.normal), len(anomalies)])
        return np.concatenate([self.easy.normal, anomalies]), labels

    @property
    def testing(self) -> tuple[FloatArray, IntArray]:
        """Rows the detector has not seen, and which of them are anomalies."""
        anomalies = self.easy.anomalies[30:]
        labels = np.repeat([0, 1], [len(self.easy.new), len(anomalies)])
        return np.concatenate([self.easy.new, anomalies]), labels

    def fit(self, X: FloatArray) -> Detector:
        """Return a copy trained on these rows; every fourth is labelled an anomaly if need be."""
        labels = (np.arange(len(X)) % 4 == 1).astype(np.int64)
        return self.new().fit(X, labels if self.detector.needs_labels else None)

    @cached_property
    def fitted(self) -> Detector:
        """A copy trained on the easy rows. Checks must leave it as it is."""
        X, y = self.training
        return self.new().fit(X, y)
