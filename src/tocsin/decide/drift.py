"""Where more is flagged than a budget allows for: what is normal may have changed."""

from __future__ import annotations

import numpy as np

from tocsin.decide.calibration import Calibration
from tocsin.types import BoolArray

FEWEST_ITEMS = 50
"""A shorter stretch of many anomalies is an event, not a drift."""

_FACTOR = 2
_CHANCE = 1e-4


def drifting_stretch(
    is_anomaly: BoolArray, rate: float, calibration: Calibration
) -> tuple[int, int] | None:
    """Return first and last of the items (n,) of which too many are flagged, or None.

    The stretch is the one with the largest excess over twice the rate. It counts if it has 50
    items or more, and its alarms are improbable under the budget: a threshold that k of m
    independent calibration scores exceed is exceeded by new ones at a rate with a beta
    distribution, and a stretch holds as many independent items as one of calibration scores
    of that length.

    >>> from tocsin.decide import Conformal
    >>> calibration = Conformal().fit(np.arange(1000.0))
    >>> drifting_stretch(np.repeat([False, True], [900, 100]), 0.01, calibration)
    (900, 999)
    """
    first, last = _largest_excess(is_anomaly, _FACTOR * rate)
    # Single alarms before the change would lengthen it: half of its own share bounds it better.
    share = is_anomaly[first : last + 1].mean()
    start, end = _largest_excess(is_anomaly[first : last + 1], max(share / 2, _FACTOR * rate))
    if end - start + 1 >= FEWEST_ITEMS:
        first, last = first + start, first + end
    length, flagged = last - first + 1, int(is_anomaly[first : last + 1].sum())
    if length < FEWEST_ITEMS or flagged <= _FACTOR * rate * length:
        return None
    from scipy.stats import betabinom  # it takes long to load, and drift is rare

    worth = calibration.independent_ / calibration.n_
    items, alarms = max(round(length * worth), 1), round(flagged * worth)
    above = rate * (calibration.independent_ + 1)
    chance = betabinom.sf(alarms - 1, items, above, calibration.independent_ + 1 - above)
    # The stretch could have been at any of these places.
    return (first, last) if chance * len(is_anomaly) / length < _CHANCE else None


def _largest_excess(is_anomaly: BoolArray, allowed: float) -> tuple[int, int]:
    """Return first and last of the stretch whose sum of alarms, less what is allowed, is largest.

    Kadane's algorithm, by running sums.
    """
    sums = np.concatenate([[0.0], np.cumsum(is_anomaly - allowed)])
    lowest = np.minimum.accumulate(sums)
    last = int(np.argmax(sums - lowest))
    first = int(np.flatnonzero(sums[: last + 1] == lowest[last])[-1])
    return first, max(last - 1, first)
