"""The base of detectors that compare rows with stored reference rows."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tocsin.base import TableDetector
from tocsin.base.declared import Shape, Within
from tocsin.errors import ParameterError
from tocsin.features.sampling import subsample
from tocsin.types import FloatArray, IntArray, Scores


class ReferenceDetector(TableDetector):
    """A table detector whose fitted state is its reference rows.

    It learns from at most ``max_reference`` of the training rows, drawn at random. Reference
    rows get training scores that leave them out; all others are scored as new rows. A subclass
    defines ``_derive`` and ``_compare``.
    """

    max_reference: int
    seed: int

    reference_: Annotated[FloatArray, Shape("m", "d")]
    reference_rows_: Annotated[IntArray, Shape("m"), Within(0)]

    def _derive(self) -> None:
        """Derive from ``reference_`` what scoring needs."""
        raise NotImplementedError

    def _compare(self, X: FloatArray, itself: IntArray | None = None) -> Scores:
        """Score X; with ``itself`` (n,), as the reference rows of these numbers, left out."""
        raise NotImplementedError

    def _score(self, X: FloatArray) -> Scores:
        return self._compare(X)

    def _rows_to_learn(self, X: FloatArray) -> IntArray:
        return np.arange(len(X))

    def _check_parameters(self) -> None:
        if self.max_reference < 2:
            raise ParameterError(f"max_reference is {self.max_reference}; it must be 2 or more.")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        rows = self._rows_to_learn(X)
        self.reference_rows_ = rows[subsample(len(rows), self.max_reference, self.seed)]
        self.reference_ = X[self.reference_rows_]
        self._derive()

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        scores = np.empty(len(X))
        others = np.ones(len(X), dtype=bool)
        others[self.reference_rows_] = False
        itself = np.arange(len(self.reference_))
        scores[self.reference_rows_] = self._compare(self.reference_, itself).values
        scores[others] = self._compare(X[others]).values
        return scores
