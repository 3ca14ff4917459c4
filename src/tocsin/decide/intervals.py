"""Anomalous points of a series to intervals."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from tocsin.types import BoolArray, FloatArray

Spans = list[tuple[int, int]]


def runs(is_anomaly: BoolArray) -> Spans:
    """Return the first and last position of each run of True.

    >>> runs(np.array([0, 1, 1, 0, 1], dtype=bool))
    [(1, 2), (4, 4)]
    """
    edges = np.flatnonzero(np.diff(np.r_[False, is_anomaly, False]))
    return [(int(first), int(end) - 1) for first, end in edges.reshape(-1, 2)]


def intervals(
    scores: FloatArray, is_anomaly: BoolArray, threshold: float, merged_within: int = 0
) -> Spans:
    """Return the first and last position of each anomaly among points that were flagged.

    Scores of windows rise before an anomaly and fall after it. Around each peak of ``scores``
    (n,), its interval is where they exceed the threshold by at least half of what the peak does;
    a run of flagged points has as many as it has peaks that stand out by half of their height.
    Intervals with at most ``merged_within`` points between them are one.

    >>> scores = np.array([0, 1, 2, 8, 9, 8, 2, 1, 2, 6, 2, 0.0])
    >>> intervals(scores, scores > 0, threshold=0.0)
    [(3, 5), (9, 9)]
    """
    found: Spans = []
    for first, last in runs(is_anomaly):
        above = np.r_[0.0, np.maximum(scores[first : last + 1] - threshold, 0), 0.0]
        peaks, about = find_peaks(above, prominence=0)
        standing = peaks[about["prominences"] >= above[peaks] / 2]
        cores = [_around(above, peak) for peak in standing] or [(1, last - first + 1)]
        found += [(first + start - 1, first + end - 1) for start, end in cores]
    merged: Spans = []
    for start, end in found:
        if merged and start - merged[-1][1] - 1 <= merged_within:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def _around(above: FloatArray, peak: int) -> tuple[int, int]:
    """Return the first and last of the positions around a peak that are half as high."""
    low = np.flatnonzero(above < above[peak] / 2)
    place = int(np.searchsorted(low, peak))
    return int(low[place - 1]) + 1, int(low[place]) - 1
