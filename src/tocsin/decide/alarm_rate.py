"""Alarms per day: how many intervals a threshold raises in normal series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.decide.calibration import NEVER, Calibration
from tocsin.decide.intervals import intervals
from tocsin.types import FloatArray

MOST_POINTS = 0.05
"""The largest share of normal points that is flagged, whatever the alarms allowed."""

LEAST_ALARMS = 3
"""A rate at which the normal series would have raised fewer alarms is extrapolated."""

_MOST_ALARMS, _EXACT, _RATIO = 200, 20, 1.25


def alarm_heights(scores: Sequence[FloatArray], merged_within: int) -> FloatArray:
    """Return the thresholds (k,), descending, below which one more alarm is raised each.

    ``scores``: those of each stretch, in order; an alarm is an interval, see ``intervals``. Where
    a lower threshold joins intervals, none is counted less. The 200 highest are returned, the
    first exactly, further ones at most too high.

    >>> alarm_heights([np.array([0, 5, 4, 0, 0, 0, 3, 0.0]), np.array([0, 2.0])], 1).tolist()
    [5.0, 3.0, 2.0]
    """
    lowest = min(float(each.min()) for each in scores) - 1
    apart = np.full(merged_within + 1, lowest)
    joined = np.concatenate([part for each in scores for part in (each, apart)])
    ordered = np.append(np.sort(np.concatenate(list(scores)))[::-1], lowest)
    heights: list[float] = []
    exceeded, last, above = 1, len(ordered) - 1, float(ordered[0])
    while exceeded < len(ordered) and len(heights) < _MOST_ALARMS:
        threshold = float(ordered[exceeded])
        raised = len(intervals(joined, joined > threshold, threshold, merged_within))
        heights += [above] * (raised - len(heights))
        above = threshold
        following = max(exceeded + 1, int(exceeded * _RATIO) if exceeded > _EXACT else 0)
        exceeded = following if exceeded == last else min(following, last)
    return np.array(heights)


def threshold_for(heights: Calibration, alarms: float) -> float:
    """Return the score that normal series of the same duration exceed in at most ``alarms`` alarms.

    ``heights``: calibrated on ``alarm_heights``; fewer alarms than one are extrapolated as its
    method does, NEVER where it does not.
    """
    most = heights.n_ + 1
    return heights.threshold(alarms / most) if alarms < most else float(heights.scores_[0])


def point_rate(points: Calibration, threshold: float) -> float:
    """Return the false-alarm rate of points at which the threshold is this one, 5 % at most."""
    if threshold >= NEVER:
        return float(np.finfo(np.float64).tiny)
    return min(float(points.p_values([np.nextafter(threshold, np.inf)])[0]), MOST_POINTS)
