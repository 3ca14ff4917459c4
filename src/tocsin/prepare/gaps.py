"""What is missing in series on a grid: where windows must not cross, and when it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
import pandas as pd

from tocsin.prepare.grid import Layout, format_count
from tocsin.prepare.timestamps import format_duration
from tocsin.types import BoolArray, IntArray

Missing = Literal["ignore", "zero", "anomaly"]
"""What missing points are: unknown, zeros, or an outage that is an anomaly."""

LONGEST_SHOWN = 10_000
"""Points of a gap that is shown at most; longer ones are thinned out."""

LEAST_GAPS, USUAL, BEYOND = 10, 0.9, 3
"""With this many gaps in training, an outage is a gap this many times their 90 % quantile."""

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Gaps:
    """The runs of missing points of all series, each beside its times.

    ``first`` and ``last``: (k,) places of each run, or an empty run (last = first − 1) before
    the place where the series goes on, if its points are left out. ``count``: (k,) points that
    are missing. ``before`` and ``after``: (k,) nanoseconds, the times around it.
    """

    first: IntArray
    last: IntArray
    count: IntArray
    before: IntArray
    after: IntArray

    def take(self, where: BoolArray | IntArray) -> Gaps:
        """Return some of the gaps."""
        return Gaps(*(getattr(self, name)[where] for name in self.__slots__))

    def describe(self) -> str:
        """Return when the longest of the gaps were, in order of time."""
        longest = np.sort(np.argsort(-self.count, kind="stable")[:_NAMED])
        when = [f"{_time(self.before[i])} to {_time(self.after[i])}" for i in longest]
        more = len(self.count) - len(when)
        return ", ".join(when) + (f" and {format_count(more, 'shorter one')}" if more else "")


def find_gaps(layout: Layout, observed: BoolArray, times: IntArray, owner: IntArray) -> Gaps:
    """Return what is missing among places (n,) with their times and owners.

    ``layout``: of the m points there, of which ``observed`` (m,) have a value.
    """
    n, points = len(times), layout.places
    absent = np.ones(n, dtype=np.bool_)
    absent[points] = False
    empty = np.flatnonzero(absent)
    absent[empty] = layout.missing[np.searchsorted(points, empty)] > 0  # else sampled more slowly
    absent[points] = ~observed
    begins = np.diff(owner, prepend=-1) != 0
    edge = np.diff(absent, prepend=False) | begins
    left_out = points[layout.cut & (np.diff(points, prepend=0) == 1)]
    first = np.append(np.flatnonzero(absent & edge), left_out)
    last = np.append(np.flatnonzero(absent & np.append(edge[1:], True)), left_out - 1)
    onward = np.minimum(last + 1, n - 1)
    known = np.zeros(n, dtype=np.int64)
    known[points] = layout.missing
    after = np.where(owner[onward] == owner[np.maximum(last, 0)], onward, last)
    gaps = Gaps(
        first,
        last,
        count=np.maximum(last - first + 1, known[onward]),
        before=times[np.where(begins[first], first, first - 1)],
        after=times[after],
    )
    return gaps.take(np.argsort(first, kind="stable"))


def spans(gaps: Gaps, owner: IntArray) -> list[list[tuple[int, int]]]:
    """Return for each owner of places (n,) the parts between gaps: first place, and after the last.

    >>> gaps = Gaps(*(np.array([each]) for each in (2, 3, 2, 0, 1)))
    >>> spans(gaps, np.array([0, 0, 0, 0, 0, 0, 1]))
    [[(0, 2), (4, 6)], [(6, 7)]]
    """
    n = len(owner)
    inside = np.ones(n, dtype=np.bool_)
    for first, last in zip(gaps.first.tolist(), gaps.last.tolist(), strict=True):
        inside[first : last + 1] = False
    begins = np.diff(owner, prepend=-1) != 0
    begins[gaps.first[gaps.first > gaps.last]] = True
    start = np.flatnonzero(inside & (begins | ~np.append(False, inside[:-1])))
    end = np.flatnonzero(inside & np.append(begins[1:] | ~inside[1:], True)) + 1
    found: list[list[tuple[int, int]]] = [[] for _ in range(int(owner[-1]) + 1)]
    for one, low, high in zip(owner[start].tolist(), start.tolist(), end.tolist(), strict=True):
        found[one].append((low, high))
    return found


def mark_covered(parts: list[list[tuple[int, int]]], n: int) -> BoolArray:
    """Return which of n places lie in one of the spans."""
    inside = np.zeros(n, dtype=np.bool_)
    for start, end in chain.from_iterable(parts):
        inside[start:end] = True
    return inside


def usual_gap(gaps: Gaps) -> int:
    """Return how many missing points in a row are usual in a table, 0 where gaps are rare."""
    if len(gaps.count) < LEAST_GAPS:
        return 0
    return int(BEYOND * np.quantile(gaps.count, USUAL))


def remarks_on(gaps: Gaps, filled: int, longest: int, missing: Missing) -> Iterator[str]:
    """Yield what was done about the gaps, and when they were.

    ``filled``: the number of points added; ``longest``: a gap of more points cuts its series.
    """
    short, long = gaps.take(gaps.count <= longest), gaps.take(gaps.count > longest)
    if filled:
        how = "taken as 0" if missing == "zero" else "filled by straight lines"
        when = f": {short.describe()}" if len(short.count) else ""
        yield f"{format_count(filled, 'missing point')} {how}{when}"
    if len(long.count):
        most = int(long.count.argmax())
        spent = format_duration(float(long.after[most] - long.before[most]) / 1e9)
        many = format_count(len(long.count), "gap")
        yield (
            f"{many} longer than {longest:,} points, up to {spent}: "
            f"nothing is compared across; {long.describe()}"
        )


def _time(nanoseconds: int) -> str:
    return str(pd.Timestamp(int(nanoseconds)))
