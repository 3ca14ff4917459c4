"""What all calibrations share: sorted scores of normal items, and counting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.base.declared import Shape, Within
from tocsin.base.state import Stateful
from tocsin.decide.budget import check_rate
from tocsin.errors import InputError, NotFitted
from tocsin.types import FloatArray, IntArray

MOST_KEPT = 100_000
"""Scores kept at most: the upper half exactly the highest ones, the rest even in rank."""

NEVER = float(np.finfo(np.float64).max)
"""The threshold that no score exceeds."""


class Calibration(Stateful, ABC):
    """Turns scores into p-values and budgets into thresholds, from scores of normal items.

    ``fit`` once; then any rate has its threshold. For every score s and rate,
    ``s > threshold(rate)`` exactly if ``p_values([s]) <= rate``.

    At most 100,000 calibration scores are kept. Beyond that the 50,000 highest are exact, and
    of the others an evenly spaced part is kept; a p-value there is rounded up, by less than
    (n − 50,000)/50,000 counts.
    """

    scores_: Annotated[FloatArray, Shape("m"), Within(rising=True)]
    at_or_below_: Annotated[IntArray, Shape("m"), Within(0, "n_", rising=True)]
    n_: Annotated[int, Within(1)]
    independent_: Annotated[float, Within(0, "n_")]

    def fit(self, scores: ArrayLike, independent: float | None = None) -> Self:
        """Keep the scores (n,) of normal items that the model has not been trained on.

        ``independent``: how many independent items they are worth, n if not given. Raises
        InputError for an empty array, another shape, or values that are not finite.
        """
        ordered = np.sort(check_scores(scores))
        self.n_ = len(ordered)
        if self.n_ == 0:
            raise InputError("Calibration needs scores of normal items; got none.")
        kept = _kept_ranks(self.n_)
        self.scores_ = ordered[kept]
        self.at_or_below_ = kept + 1
        self.independent_ = float(self.n_ if independent is None else independent)
        self._forget()
        return self

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        self._forget()
        # Models of versions that did not measure it hold no count.
        return super().set_state({"independent_": float(state["n_"]), **state})

    @property
    def resolution(self) -> float:
        """The smallest rate that counting supports: 1/(m + 1) of m independent scores."""
        self._check_fitted()
        return 1 / (self.independent_ + 1)

    def p_values(self, scores: ArrayLike) -> FloatArray:
        """Return (n,) in (0, 1]: the share of normal items that score at least as high."""
        self._check_fitted()
        position = np.searchsorted(self.scores_, check_scores(scores), side="left")
        below = np.where(position > 0, self.at_or_below_[position - 1], 0)
        return self._p_of_count(self.n_ - below)

    def threshold(self, false_alarm_rate: float) -> float:
        """Return the score above which an item is an anomaly at this rate, always finite.

        Where no score can have so small a p-value, it is the largest float: nothing is flagged.
        Raises ParameterError for a rate outside (0, 1).
        """
        self._check_fitted()
        rate = check_rate(false_alarm_rate)
        if rate not in self._thresholds:
            self._thresholds[rate] = self._find_threshold(rate)
        return self._thresholds[rate]

    def _find_threshold(self, rate: float) -> float:
        just_above = self._p_of_count(self.n_ - self.at_or_below_)
        enough = np.flatnonzero(just_above <= rate)
        return float(self.scores_[enough[0]]) if len(enough) else NEVER

    @cached_property
    def _thresholds(self) -> dict[float, float]:
        """The thresholds found so far, by their rates."""
        return {}

    def _forget(self) -> None:
        """Drop what was derived from earlier scores."""
        vars(self).pop("_thresholds", None)

    @abstractmethod
    def _p_of_count(self, count: IntArray) -> FloatArray:
        """Return the p-value of a score that ``count`` of the n calibration scores reach."""

    def _check_fitted(self) -> None:
        if not hasattr(self, "scores_"):
            raise NotFitted(f"{type(self).__name__} has no calibration scores yet: call fit.")


def check_scores(scores: ArrayLike) -> FloatArray:
    """Return scores (n,) as float64. Raises InputError for another shape or infinite values."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"Scores are one number per item; got an array of shape {values.shape}.")
    if not np.isfinite(values).all():
        raise InputError(
            f"{int((~np.isfinite(values)).sum())} of {len(values)} scores are not finite."
        )
    return values


def _kept_ranks(n: int) -> NDArray[np.int64]:
    if n <= MOST_KEPT:
        return np.arange(n)
    half = MOST_KEPT // 2
    lower = np.linspace(0, n - half - 1, half).astype(np.int64)
    return np.concatenate([lower, np.arange(n - half, n)])
