"""Anomalous points of a series to intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

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
    Those with at most ``merged_within`` points between them are one, which reaches from the first
    to the last of them that is half as high as the highest, or longer than ``merged_within``: a
    single point beside noise stays a single point.

    >>> scores = np.array([0, 1, 2, 8, 9, 8, 2, 1, 2, 6, 2, 0.0])
    >>> intervals(scores, scores > 0, threshold=0.0)
    [(3, 5), (9, 9)]
    """
    merged: list[list[_Core]] = []
    for core in _cores(scores, is_anomaly, threshold):
        if merged and core.start - merged[-1][-1].end - 1 <= merged_within:
            merged[-1].append(core)
        else:
            merged.append([core])
    found = []
    for cores in merged:
        half = max(core.height for core in cores) / 2
        kept = [c for c in cores if c.height >= half or c.end - c.start >= merged_within]
        found.append((kept[0].start, kept[-1].end))
    return found


class _Core(NamedTuple):
    start: int
    end: int
    height: float


def _cores(scores: FloatArray, is_anomaly: BoolArray, threshold: float) -> Iterator[_Core]:
    """Yield what lies around each peak that stands out, with its height above the threshold."""
    from scipy.signal import find_peaks  # it takes long to load, and only series have intervals

    for first, last in runs(is_anomaly):
        above = np.r_[0.0, np.maximum(scores[first : last + 1] - threshold, 0), 0.0]
        peaks, about = find_peaks(above, prominence=0)
        standing = peaks[about["prominences"] >= above[peaks] / 2]
        for start, end in [_around(above, peak) for peak in standing] or [(1, last - first + 1)]:
            yield _Core(first + start - 1, first + end - 1, float(above[start : end + 1].max()))


def _around(above: FloatArray, peak: int) -> tuple[int, int]:
    """Return the first and last of the positions around a peak that are half as high."""
    low = np.flatnonzero(above < above[peak] / 2)
    place = int(np.searchsorted(low, peak))
    return int(low[place - 1]) + 1, int(low[place]) - 1
