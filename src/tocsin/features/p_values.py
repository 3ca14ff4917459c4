"""From the scores of one view to p-values, so that views can be combined."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.types import FloatArray

_TAIL = 0.05  # of the scores are its tail, but at least 10 scores, and at most a quarter
_SCORES_OF_TAIL, _MOST_OF_TAIL = 10, 0.25
_LEAST, _MOST = 1e-6, 0.999


class MidRankPValues(Stateful):
    """Mid-rank p-values among scores of normal items, with an exponential tail.

    Between known scores p is interpolated; above their 95 % quantile, or where the 10 highest
    of few scores begin, it falls off exponentially, at the rate of the known scores there, down
    to 1e-6.

    >>> fitted = MidRankPValues().fit(np.arange(100.0))
    >>> fitted.p_values(np.array([49.5, 94.0, 120.0])).round(4).tolist()
    [0.5, 0.042, 0.0003]
    """

    scores_: Annotated[FloatArray, Shape("m"), Within(rising=True)]
    p_values_: Annotated[FloatArray, Shape("m"), Within(0, 1)]
    tail_: float
    rate_: float

    def fit(self, scores: FloatArray) -> Self:
        """Learn from the scores (n,) of normal items, each from a view that has not seen it."""
        self.scores_, counts = np.unique(scores, return_counts=True)
        self.p_values_ = 1 - (np.cumsum(counts) - counts / 2) / len(scores)
        share = max(_TAIL, min(_SCORES_OF_TAIL / len(scores), _MOST_OF_TAIL))
        self.tail_ = float(np.quantile(scores, 1 - share))
        beyond = np.maximum(scores - self.tail_, 0)
        self.rate_ = float(self._rate(beyond.sum(), (beyond > 0).sum(dtype=np.float64)))
        return self

    def leave_one_out(self, scores: FloatArray) -> FloatArray:
        """Return the p-values (n,) of the fitted scores, each by the tail of the others."""
        beyond = np.maximum(scores - self.tail_, 0)
        inside = (beyond > 0).astype(np.float64)
        others = self._rate(beyond.sum() - beyond, inside.sum() - inside)
        return self._p_values(scores, others)

    def _rate(self, total: FloatArray, count: FloatArray) -> FloatArray:
        """Return the rate at which p falls off, from the sum and number of excesses of the tail."""
        # Where nothing is beyond, anything new that is will be very unlikely.
        least = 1e-3 * abs(self.tail_) + 1e-9
        rate: FloatArray = 1 / np.maximum(total / np.maximum(count, 1), least)
        return rate

    def p_values(self, scores: FloatArray) -> FloatArray:
        """Return p-values (n,) from 1e-6 to 0.999, the lower the more anomalous."""
        return self._p_values(scores, self.rate_)

    def _p_values(self, scores: FloatArray, rate: FloatArray | float) -> FloatArray:
        p = np.interp(np.minimum(scores, self.tail_), self.scores_, self.p_values_)
        p *= np.exp(-rate * np.maximum(scores - self.tail_, 0))
        return np.clip(p, _LEAST, _MOST)
