"""Decisions about the items of a file that is too small to count its false alarms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tocsin.decide.budget import check_rate
from tocsin.decide.calibration import NEVER, check_scores
from tocsin.decide.extreme_value import ExtremeValue
from tocsin.decide.quantile import Quantile
from tocsin.types import Decision, FloatArray

FILES = 0.005
"""Of files of ordinary items, the share in which the tail lets an item be flagged."""

_TAIL = 1 / 3  # of the scores
_MOST = 0.1  # of the items that can stand out together
_LEAST = 8  # items: fewer have no tail to compare with


def stand_out(scores: ArrayLike, rate: float) -> Decision:
    """Return which of the items of one file stand out from all others of it.

    For files of fewer than 1/rate items, in which counting cannot flag a single one. The m
    highest of the scores (n,) are anomalies if even the lowest of them lies beyond the
    extreme-value tail of the rest at the rate 0.005/n; the largest such m counts, up to a tenth
    of the items (after the generalised extreme Studentised deviate test: Rosner, Technometrics
    1983). The tail of so few scores is itself uncertain: of files of 36 ordinary scores 1 % had
    an alarm with an exponential tail, 11 % with a lognormal one. The p-value of an anomaly is
    0.005/n, for the tail tells no more; of any other item it is the share of items that score at
    least as high.

    Raises InputError for scores that are not finite, ParameterError for a rate outside (0, 1).

    >>> scores = np.append(np.random.default_rng(0).exponential(size=35), 30.0)
    >>> np.flatnonzero(stand_out(scores, rate=0.01).is_anomaly).tolist()
    [35]
    """
    values = check_scores(scores)
    level = min(check_rate(rate), FILES / max(len(values), 1))
    ordered = np.sort(values)
    p_values = Quantile().fit(values).p_values(values)
    threshold = NEVER
    for m in range(math.ceil(_MOST * len(values)) if len(values) >= _LEAST else 0, 0, -1):
        threshold = _beyond(ordered[:-m], level)
        is_anomaly = values > threshold
        if is_anomaly.sum() == m:
            p_values[is_anomaly] = level
            break
    return Decision(p_values, threshold, values > threshold, float(rate))


def _beyond(rest: FloatArray, level: float) -> float:
    """Return the score that is beyond the tail of the rest, ascending, at this level.

    Few scores tell little of a tail: it is fitted to their highest fifth, and once more, as an
    exponential, to their highest third; the farther of both counts.
    """
    tail = ExtremeValue().fit(rest)
    highest = rest[-1 - math.ceil(len(rest) * _TAIL) :]
    scale = float((highest[1:] - highest[0]).mean())
    exponential = rest[-1] + scale * max(-math.log((len(rest) + 1) * level), 0.0)
    # Where the highest scores are all equal, whatever exceeds them stands out.
    fitted = rest[-1] if tail.tail[1] == 0 else tail.threshold(level)
    return float(max(exponential, fitted))
