"""From the scores of one view to p-values, so that views can be put together."""

from __future__ import annotations

from typing import Self

import numpy as np

from tocsin.base import Stateful
from tocsin.types import FloatArray

_TAIL = 0.95
_LEAST, _MOST = 1e-6, 0.999


class Calibration(Stateful):
    """Mid-rank p-values among scores of normal texts, with an exponential tail.

    Between known scores p is interpolated; above their 95 % quantile it falls off
    exponentially, at the rate of the known scores there, down to 1e-6.

    >>> calibration = Calibration().fit(np.arange(100.0))
    >>> calibration.p_values(np.array([49.5, 94.0, 120.0])).round(4).tolist()
    [0.5, 0.055, 0.0]
    """

    scores_: FloatArray
    p_values_: FloatArray
    tail_: float
    rate_: float

    def fit(self, scores: FloatArray) -> Self:
        """Learn from the scores (n,) of normal texts, each from a view that has not seen it."""
        self.scores_, counts = np.unique(scores, return_counts=True)
        self.p_values_ = 1 - (np.cumsum(counts) - counts / 2) / len(scores)
        self.tail_ = float(np.quantile(scores, _TAIL))
        beyond = scores[scores > self.tail_] - self.tail_
        # Where nothing is beyond, anything new that is will be very unlikely.
        least = 1e-3 * abs(self.tail_) + 1e-9
        self.rate_ = 1 / max(float(beyond.mean()) if len(beyond) else 0.0, least)
        return self

    def p_values(self, scores: FloatArray) -> FloatArray:
        """Return p-values (n,) from 1e-6 to 0.999, the lower the more anomalous."""
        p = np.interp(np.minimum(scores, self.tail_), self.scores_, self.p_values_)
        p *= np.exp(-self.rate_ * np.maximum(scores - self.tail_, 0))
        return np.clip(p, _LEAST, _MOST)
