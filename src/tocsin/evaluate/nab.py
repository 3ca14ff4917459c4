"""The score of the Numenta anomaly benchmark: early alarms count more, false ones cost."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from tocsin.base import check_labels
from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.ranges import check_calls, events
from tocsin.types import FloatArray, IntArray

Profile = Literal["standard", "reward_low_FP", "reward_low_FN"]
"""What matters to the user: both alike, few false alarms, or few misses."""

_COSTS = {"standard": (0.11, 1.0), "reward_low_FP": (0.22, 1.0), "reward_low_FN": (0.11, 2.0)}
"""What a far false alarm and a missed window cost; an alarm at a window's start earns 1."""


def nab_score(
    y: ArrayLike, is_anomaly: ArrayLike, profile: Profile = "standard", probation: float = 0.15
) -> float | None:
    """Return the NAB score of alarms (n,) bool: 100 is perfect, 0 is silence, less is worse.

    The runs of ones in y (n,) are the windows; see ``nab_windows``. The first alarm in a
    window earns by a sigmoid, 1 at its start and almost 0 at its end; an alarm outside costs,
    the less the sooner after a window; a missed window costs as well. The first points, the
    share ``probation`` of at most 5,000, are not judged. None when there is no window left.
    The score of a corpus is the mean weighted by windows.

    Raises InputError for values other than 0 and 1 or unequal lengths, ParameterError for an
    unknown profile or a probation outside 0 ≤ p < 1.
    Lavin and Ahmad, Evaluating real-time anomaly detection algorithms: the Numenta anomaly
    benchmark, ICMLA 2015.

    >>> y = np.repeat([0, 1, 0], [500, 50, 450])
    >>> early, late = (np.arange(1000) == at for at in (500, 545))
    >>> [round(nab_score(y, alarms), 1) for alarms in (early, late, np.zeros(1000))]
    [100.0, 62.4, 0.0]
    """
    labels, calls = check_calls(y, is_anomaly)
    if profile not in _COSTS:
        raise ParameterError(f"The profile is one of {get_args(Profile)}; got {profile!r}.")
    if not 0 <= probation < 1:
        raise ParameterError(f"The probation is a share, 0 ≤ p < 1; got {probation}.")
    false_cost, miss_cost = _COSTS[profile]
    start = int(min(probation * len(labels), probation * 5000))
    begin, end = events(labels)
    begin, end = begin[end >= start], end[end >= start]
    if not len(begin):
        return None
    alarms = np.flatnonzero(calls)
    alarms = alarms[alarms >= start]

    window = np.searchsorted(begin, alarms, side="right") - 1
    inside = labels[alarms] == 1
    found, first = np.unique(window[inside], return_index=True)
    width = end[found] - begin[found] + 1
    earned = _sigmoid((alarms[inside][first] - end[found] - 1) / width) / _sigmoid(-1.0)
    false = _false(alarms[~inside], *events(labels))
    raw = earned.sum() + false_cost * false.sum() - miss_cost * (len(begin) - len(found))
    return float(100 * (raw / len(begin) + miss_cost) / (1 + miss_cost))


def nab_windows(y: ArrayLike, share: float = 0.1) -> IntArray:
    """Return labels (n,) whose ranges are NAB's windows around the middles of those of y (n,).

    The windows take a share of the series together, each alike, but none is shorter than its
    range. Raises InputError for other labels than 0 and 1, ParameterError for a share outside
    0 to 1.

    >>> int(nab_windows(np.arange(100) == 50).sum())
    11
    """
    labels = check_labels(y, np.size(y))
    if not labels.size:
        raise InputError("There is nothing to measure: no labels were given.")
    if not 0 <= share <= 1:
        raise ParameterError(f"The share is from 0 to 1; got {share}.")
    begin, end = events(labels)
    half = int(share * len(labels) / max(len(begin), 1) / 2)
    middle = (begin + end) // 2
    windows = labels.copy()
    for left, right in zip(middle - half, middle + half, strict=True):
        windows[max(left, 0) : right + 1] = 1
    return windows


def _false(alarms: IntArray, begin: IntArray, end: IntArray) -> FloatArray:
    """Return what alarms outside of windows add, from 0 right after a window down to −1."""
    last = np.searchsorted(end, alarms) - 1
    width = np.maximum(end - begin, 1)[last]
    return np.where(last >= 0, _sigmoid((alarms - end[last]) / width), -1.0)


def _sigmoid(position: FloatArray | float) -> FloatArray:
    """Return the value of an alarm: near 1 at position −1, 0 at the end of a window, then below."""
    return np.asarray(2 * expit(-5 * np.asarray(position)) - 1, dtype=np.float64)
