"""Decisions about the items of a file that is too small to count its false alarms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tocsin.decide.budget import check_rate
from tocsin.decide.calibration import check_scores
from tocsin.decide.extreme_value import ExtremeValue
from tocsin.decide.quantile import Quantile
from tocsin.types import Decision

FILES = 0.02
"""Of files of ordinary items, the share in which any item may be flagged."""

_MOST = 0.1  # of the items can stand out together
_LEAST = 8  # items: fewer have no tail to compare with


def stand_out(scores: ArrayLike, rate: float) -> Decision:
    """Return which of the items of one file stand out from all others of it.

    For files of fewer than 1/rate items, in which not one may be flagged by counting. The m
    highest of the scores (n,) are anomalies if even the lowest of them exceeds the rest by more
    than the extreme-value tail of the rest allows at the rate of 0.02/n, so that 2 % of such
    files without an anomaly have a false alarm; the largest such m counts, up to a tenth of the
    items (a generalised extreme Studentised deviate test, as Rosner, Technometrics 1983, with
    another tail). That is extrapolated. The p-value of an anomaly is that of the tail, of any
    other item the share of items that score at least as high.

    Raises InputError for scores that are not finite, ParameterError for a rate outside (0, 1).

    >>> scores = np.append(np.random.default_rng(0).exponential(size=35), 30.0)
    >>> np.flatnonzero(stand_out(scores, rate=0.01).is_anomaly).tolist()
    [35]
    """
    values = check_scores(scores)
    n = len(values)
    ordered = np.sort(values)
    level = min(check_rate(rate), FILES / n)
    p_values = Quantile().fit(values).p_values(values)
    for m in range(math.ceil(_MOST * n) if n >= _LEAST else 0, 0, -1):
        rest = ExtremeValue().fit(ordered[:-m])
        threshold = rest.threshold(level)
        is_anomaly = values > threshold
        if is_anomaly.sum() == m:
            p_values[is_anomaly] = rest.p_values(values[is_anomaly])
            break
    ...
