"""Points in time to an even grid: the step, the place of each point, and what fills the rest.

All functions work on every series of a table at once: points lie entity after entity, each in
order of time, and a flag marks the first point of each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tocsin.prepare.timestamps import format_duration
from tocsin.types import BoolArray, FloatArray, IntArray

JITTER = 0.25
"""A point on the grid comes within this share of a step of where it is due."""

LONGEST_GAP = 10
"""Missing points in a row that are filled in at most; a longer gap cuts the series."""

SLOWEST, SLOW_RUN = 60, 5
"""Sampling up to 60 times slower is brought to the step, if 5 differences in a row are alike."""


def find_step(differences: IntArray, tolerance: float = JITTER) -> float | None:
    """Return the common step of time differences, None if they have none.

    The step is the most common difference, up to the tolerance, a share of it; it is common if
    at least half of the differences, all of them positive, are as close to it.

    >>> find_step(np.array([10, 10, 11, 10, 20, 300]))
    10.0
    >>> find_step(np.array([1, 7, 30, 1000])) is None
    True
    """
    if not differences.size:
        return None
    ordered = np.sort(differences).astype(np.float64)
    until = np.searchsorted(ordered, ordered * (1 + tolerance), side="right")
    start = int(np.argmax(until - np.arange(ordered.size)))
    near = ordered[start : until[start]]
    values, counts = np.unique(near, return_counts=True)
    most = int(np.argmax(counts))
    exact = 2 * counts[most] >= near.size
    step = float(values[most] if exact else np.median(near))
    common = np.abs(ordered / step - 1) <= tolerance
    return step if 2 * common.sum() >= ordered.size else None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the points of all series lie, and what was found on the way.

    ``places``: (n,) from 0, never falling; several points may share one. ``missing``: (n,), how
    many points are missing before each one. ``cut``: (n,), True for the first point after a gap
    too long to fill. ``repeated``: points of the same time as the one before. ``slow``:
    differences longer than a step because the sampling there is slower.
    """

    places: IntArray
    missing: IntArray
    cut: BoolArray
    repeated: int
    slow: int = 0

    def take(self, where: IntArray) -> Layout:
        """Return the layout of some of the points."""
        return replace(
            self,
            places=self.places[where],
            missing=self.missing[where],
            cut=self.cut[where],
        )

    def remarks(self, step: float | None) -> list[str]:
        """Return what was done to the points, gaps aside, in words; the step in seconds."""
        kept = int((np.diff(self.places, prepend=-1) > 0).sum())
        faster = len(self.places) - self.repeated - kept
        every = "" if step is None else format_duration(step)
        repeated, sooner = format_count(self.repeated, "row"), format_count(faster, "row")
        slower = format_count(self.slow, "point")
        counts = {
            f"{repeated} repeated a time: merged to their mean": self.repeated,
            f"{sooner} came sooner than {every} after another: averaged": faster,
            f"{slower} came more slowly than every {every}": self.slow,
        }
        found = [text for text, count in counts.items() if count]
        if 2 * self.repeated > len(self.places):
            found.append("most rows repeat a time: if they are of several series, name the entity")
        return found


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> format_count(1, "row"), format_count(2_000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def lay_out(
    times: IntArray,
    first: BoolArray,
    step: float | None,
    fill: int = LONGEST_GAP,
    shown: int = 0,
) -> Layout:
    """Place points (n,) on the grid of a step; without a step, each time is a place of its own.

    A point within a quarter of a step of where it is due, counted from the one before it, takes
    the next place, so that drifting clocks make no gaps. Others are counted from the last
    of these: several may share a place, and places between them may stay empty. A gap of more
    than ``fill`` points cuts the series, and leaves at most ``shown`` places empty.

    >>> lay_out(np.array([0, 10, 21, 40, 50]), np.arange(5) == 0, 10.0).places.tolist()
    [0, 1, 2, 4, 5]
    >>> layout = lay_out(np.array([0, 10, 200]), np.arange(3) == 0, 10.0)
    >>> layout.places.tolist(), layout.missing.tolist(), layout.cut.tolist()
    ([0, 1, 2], [0, 0, 18], [False, False, True])
    """
    n = len(times)
    difference = np.diff(times, prepend=times[0])
    difference[first] = 0
    repeated = int((difference == 0).sum() - first.sum())
    if step is None:
        nothing = np.zeros(n, dtype=np.int64)
        places = np.cumsum(first | (difference > 0)) - 1
        return Layout(places, nothing, nothing > 0, repeated)
    ratio = difference / step
    whole = np.maximum(_nearest(ratio), 1)
    slow = _slower(ratio) & ~first
    cut = whole - 1 > np.where(slow, max(SLOWEST, fill), fill)
    anchor = first | cut | (np.abs(ratio - whole) <= JITTER)
    last = np.maximum.accumulate(np.where(anchor, np.arange(n), 0))
    offset = _nearest((times - times[last]) / step)
    before = np.maximum(np.arange(n) - 1, 0)
    next_place = offset[before] + 1
    due = np.maximum(_nearest((times - times[last[before]]) / step), next_place)
    due = np.where(cut, next_place + np.minimum(whole - 1, shown), due)
    advance = np.where(anchor, np.where(first, next_place, due), 0)
    advance[0] = 0
    places = np.cumsum(advance) + offset
    missing = np.where(cut, whole - 1, np.maximum(np.diff(places, prepend=0) - 1, 0))
    missing[first | (slow & ~cut)] = 0
    return Layout(places, missing, cut, repeated, int((slow & ~cut).sum()))


def pace(times: IntArray, places: IntArray, breaks: BoolArray, step: float) -> float:
    """Return the mean time between places, of the longest part between breaks.

    It shows where later points lie: months are not all of 31 days, and clocks drift. As long as
    it leads to the same place at the end of that part, the step itself is taken.

    >>> at = np.arange(1000)
    >>> pace(102 * at, at, at == 0, 100.0), pace(100 * at, at, at == 0, 100.0)
    (102.0, 100.0)
    """
    begin = np.flatnonzero(breaks)
    end = np.append(begin[1:], len(times)) - 1
    elapsed, passed = times[end] - times[begin], places[end] - places[begin]
    longest = int(passed.argmax())
    if passed[longest] == 0 or abs(elapsed[longest] - passed[longest] * step) < step / 2:
        return step
    return float(elapsed[longest] / passed[longest])


def times_between(times: IntArray, places: IntArray) -> IntArray:
    """Return the times of all places, evenly between those (n,) known at some places (n,).

    >>> times_between(np.array([0, 10, 40]), np.array([0, 1, 4])).tolist()
    [0, 10, 20, 30, 40]
    """
    every = np.arange(int(places[-1]) + 1)
    after = np.searchsorted(places, every)
    before = np.maximum(after - 1, 0)
    share = (every - places[before]) / np.maximum(places[after] - places[before], 1)
    between = np.rint((times[after] - times[before]) * share).astype(np.int64)
    return np.where(places[after] == every, times[after], times[before] + between)


def merge(values: FloatArray, starts: IntArray) -> FloatArray:
    """Return the mean of each group of rows (n, c) that begins at ``starts``, missing ones aside.

    >>> merge(np.array([[1.0], [3.0], [np.nan]]), np.array([0, 2])).ravel().tolist()
    [2.0, nan]
    """
    if len(starts) == len(values):
        return values
    known = ~np.isnan(values)
    counts = np.add.reduceat(known.astype(np.int64), starts, axis=0)
    sizes = np.diff(starts, append=len(values))
    # Divided before the sum, since the sum of huge values overflows.
    shares = np.where(known, values, 0.0) / np.maximum(np.repeat(counts, sizes, axis=0), 1)
    means = np.add.reduceat(shares, starts, axis=0)
    means[counts == 0] = np.nan
    return means


def bridge(column: FloatArray, x: IntArray, owner: IntArray, default: float) -> None:
    """Fill what is missing in a column (n,), in place: linear over x, nearest at the ends.

    Nothing is carried from one owner (n,) to another; one without any value takes the default.

    >>> column = np.array([np.nan, 1.0, np.nan, 4.0, np.nan])
    >>> bridge(column, np.array([0, 1, 2, 4, 5]), np.array([0, 0, 0, 0, 1]), 9.0)
    >>> column.tolist()
    [1.0, 1.0, 2.0, 4.0, 9.0]
    """
    unknown = np.isnan(column)
    missing, known = np.flatnonzero(unknown), np.flatnonzero(~unknown)
    if not known.size:
        column[:] = default
    if not known.size or not missing.size:
        return
    after = np.searchsorted(known, missing)
    left = known[np.maximum(after - 1, 0)]
    right = known[np.minimum(after, known.size - 1)]
    has_left = (after > 0) & (owner[left] == owner[missing])
    has_right = (after < known.size) & (owner[right] == owner[missing])
    left = np.where(has_left, left, right)
    right = np.where(has_right, right, left)
    width = np.maximum(x[right] - x[left], 1)
    weight = np.where(left == right, 0.0, (x[missing] - x[left]) / width)
    between = (1 - weight) * column[left] + weight * column[right]
    column[missing] = np.where(has_left | has_right, between, default)


def _nearest(ratio: FloatArray) -> IntArray:
    return np.floor(ratio + 0.5).astype(np.int64)


def _slower(ratio: FloatArray) -> BoolArray:
    """Return which differences are of five or more in a row that are alike and over one step."""
    long = ratio > 1 + JITTER
    alike = np.zeros(len(ratio), dtype=np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        alike[1:] = np.abs(np.log(ratio[1:] / ratio[:-1])) <= np.log1p(JITTER)
    alike[1:] &= long[1:] & long[:-1]
    run = np.cumsum(~alike)
    return long & (np.bincount(run)[run] >= SLOW_RUN)
