"""Conformal p-values with an extreme-value tail beyond the highest calibration score."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from tocsin.decide.calibration import NEVER
from tocsin.decide.conformal import Conformal
from tocsin.types import FloatArray

_HEAVIEST = 0.9
_PRIOR_SCORES = 10


class ExtremeValue(Conformal):
    """Conformal up to the highest calibration score, a generalised Pareto tail beyond it.

    Every rate that counting supports (``resolution`` and above) keeps its conformal
    guarantee; smaller ones are extrapolated. The tail is fitted to what the min(n/5, 3√n)
    highest scores exceed the next one by (peaks over threshold: Pickands, Annals of Statistics
    1975), with probability-weighted moments (Hosking & Wallis, Technometrics 1987). Its shape is
    shrunk towards the exponential by 10 pseudo-scores and kept in [0, 0.9]: it never ends, so
    no p-value is 0. Where the highest scores are all equal there is no tail to fit, and
    p-values stay at the resolution.

    >>> import numpy as np
    >>> calibration = ExtremeValue().fit(np.random.default_rng(0).exponential(size=1000))
    >>> 7 < calibration.threshold(1e-4) < 12  # exactly: log(10,000) = 9.2
    True
    """

    def p_values(self, scores: ArrayLike) -> FloatArray:
        """Return (n,) in (0, 1]: the share of normal items that score at least as high."""
        counted = super().p_values(scores)
        shape, scale = self.tail
        if scale == 0:
            return counted
        beyond = np.maximum(_difference(np.asarray(scores, np.float64), self.scores_[-1]), 0)
        exponent = -_log1p_over(shape, beyond / scale)
        return counted * np.maximum(np.exp(exponent), np.finfo(np.float64).tiny)

    def _find_threshold(self, rate: float) -> float:
        counted = super()._find_threshold(rate)
        _, scale = self.tail
        if counted < NEVER or scale == 0:
            return counted
        # Bisection rather than the inverse formula: it agrees with p_values to the last bit.
        low = float(self.scores_[-1])
        high = min(low + scale, NEVER)
        while low < high and self.p_values([high])[0] > rate:
            low, high = high, min(high + 2 * (high - low), NEVER)
        while low < (middle := low / 2 + high / 2) < high:
            if self.p_values([middle])[0] <= rate:
                high = middle
            else:
                low = middle
        return low

    @cached_property
    def tail(self) -> tuple[float, float]:
        """Shape and scale of what scores beyond the highest calibration score exceed it by."""
        self._check_fitted()
        k = math.ceil(min(self.n_ / 5, 3 * math.sqrt(self.n_), len(self.scores_) / 2))
        highest = self.scores_[-k - 1 :]
        excess = _difference(highest, highest[0])
        shape, scale = _fit_tail(excess[1:])
        # What exceeds a higher level is Pareto too, of the same shape and a wider scale.
        return shape, min(scale + shape * float(excess[-1]), NEVER)

    def _forget(self) -> None:
        super()._forget()
        vars(self).pop("tail", None)


def _difference(scores: FloatArray, level: float) -> FloatArray:
    """Return scores − level, at most the largest float."""
    with np.errstate(over="ignore"):
        return np.clip(scores - level, -NEVER, NEVER)


def _log1p_over(shape: float, x: FloatArray) -> FloatArray:
    """Return log(1 + shape·x)/shape, which is x where shape is 0."""
    return np.log1p(shape * x) / shape if shape > 0 else x


def _fit_tail(excess: FloatArray) -> tuple[float, float]:
    """Return shape and scale of the generalised Pareto distribution of excesses, ascending."""
    k = len(excess)
    if k == 0 or excess[0] == excess[-1]:
        return 0.0, 0.0
    unit = excess / excess[-1]
    mean = float(unit.mean())
    # The moment E[x·(1 − F(x))], with the plotting position of Hosking and Wallis for F.
    moment = float((unit * (1 - (np.arange(1, k + 1) - 0.35) / k)).mean())
    shape = 2 - mean / (mean - 2 * moment) if mean > 2 * moment else 0.0
    shape = float(np.clip(shape * k / (k + _PRIOR_SCORES), 0, _HEAVIEST))
    return shape, mean * (1 - shape) * float(excess[-1])
