"""Numbers that only grow, as times, ids and counters do: every later row lies beyond them.

The rules, for columns of at least 50 finite values, 20 of them different (3, of times by name):

- a time: all values lie between 1990 and 2100 as seconds, milliseconds, microseconds or
  nanoseconds since 1970, and the column is called a time or goes one way only;
- a counter: it goes one way only, or grows within each value of another column, or restarts at
  its lowest value after rises to different heights, and it is called an id, a counter or a time,
  or its steps are more even than those of sorted random values can be; as good as equal where it
  restarts, because ramps of a measured column do so too.

Sorted values of independent items have exponential gaps, or wider ones where they are rare, so
that their standard deviation is at least their mean: a measured column by which a table was
sorted is not a counter, and neither is one that grows with noise, which goes both ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice, starmap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.types import FloatArray, IntArray

FEWEST_ROWS = 50
FIRST_ROWS = 5_000
"""Rows that show which columns grow within the values of others, or restart."""
_FEWEST_VALUES = 20
_FEW_PER_GROUP = 10
_MOST_GROUPINGS = 10
_FROM_1990, _TO_2100 = 631_152_000, 4_102_444_800
EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
"""How many units of a time since 1970 are a second."""
_UNITS = {
    "epoch_s": "seconds",
    "epoch_ms": "milliseconds",
    "epoch_us": "microseconds",
    "epoch_ns": "nanoseconds",
}
_TIMES = frozenset(("time", "timestamp", "ts", "date", "datetime", "epoch", "unixtime"))
_SPANS = frozenset(
    f"{span}{plural}"
    for span in ("second", "minute", "hour", "day", "week", "month", "year")
    for plural in ("", "s")
)
_IDS = frozenset(
    ("id", "ids", "no", "nr", "index", "idx", "seq", "sequence", "counter", "odometer", "uptime")
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_EVEN = 0.8
_SURE = 3.0
_EQUAL = 0.05
_MOST_RESTARTS = 0.05  # of the rows; a column that falls more often is not a counter
_ALIKE = 0.05  # peaks that differ by less are those of a cycle, as the hours of days


class Growing(NamedTuple):
    """What a column that only grows is: a time of this style, or else a counter; and why."""

    style: str | None
    reason: str


def growing_columns(
    values: FloatArray, names: Sequence[str], texts: Mapping[str, NDArray[np.object_]]
) -> dict[int, Growing]:
    """Return what the columns of values (n, d) are that only grow, by position.

    ``names``: those of the columns. ``texts``: the categories of the first rows by column, within
    whose values numbers may grow. The first 5,000 rows decide, and all rows of a column that goes
    one way only in these.
    """
    first = values[:FIRST_ROWS]
    cells = [*texts.items(), *zip(names, first.T, strict=True)]
    groups = list(islice(filter(None, starmap(_grouping, cells)), _MOST_GROUPINGS))
    found = {}
    for position, name in enumerate(names):
        others = [group for group in groups if group[0] != name]
        if len(first) < len(values) and is_one_way(first[:, position]):
            growing = find_growing(values[:, position], name, ())
        else:
            growing = find_growing(first[:, position], name, others)
        if growing is not None:
            found[position] = growing
    return found


def _grouping(name: str, cells: NDArray[Any]) -> tuple[str, IntArray] | None:
    """Return the codes of a column of few values, within which others may grow."""
    codes, distinct = pd.factorize(cells)
    few = 2 <= len(distinct) <= len(cells) / _FEW_PER_GROUP
    return (name, codes + 1) if few else None


def find_growing(
    values: FloatArray, name: str, groups: Sequence[tuple[str, IntArray]]
) -> Growing | None:
    """Return what a column (n,), NaN where missing, is if it only grows, or None.

    ``groups``: the names and codes (n,) of columns within whose values it may grow.
    """
    known = np.isfinite(values)
    x = values[known]
    words = {word.lower() for word in _WORD.findall(name)}
    timed = bool(words & (_TIMES | _SPANS))
    if len(x) < FEWEST_ROWS or len(np.unique(x)) < (3 if timed else _FEWEST_VALUES):
        return None
    style = _epoch(x)
    if style is not None and (words & _TIMES or is_one_way(x)):
        return Growing(style, f"read as {_UNITS[style]} since 1970: parts of the day and week")
    reason = _why_counter(
        x, [(name, codes[known]) for name, codes in groups], timed or words & _IDS
    )
    return Growing(None, reason) if reason else None


def _why_counter(
    x: FloatArray, groups: Sequence[tuple[str, IntArray]], named: object
) -> str | None:
    """Return in which way values (n,) only grow, or None; ``named``, as a counter or a time."""
    if is_one_way(x):
        if (np.diff(x) == 1).all():
            return "it numbers the rows"
        even = named or _is_even(np.diff(x))
        return "it only grows, as an id, a counter or an elapsed time does" if even else None
    if _restarts(x, named):
        return "it grows from the same start again and again"
    within = (group for group, codes in groups if _grows_within(x, codes, named))
    group = next(within, None)
    return None if group is None else f'it only grows for each value of "{group}"'


def moments(values: FloatArray, style: str) -> NDArray[np.datetime64]:
    """Return times (n,) since 1970 as datetime64[s]; NaT beyond the years 1 to 9999.

    >>> moments(np.array([86_400_000.0, np.nan]), "epoch_ms").astype(str).tolist()
    ['1970-01-02T00:00:00', 'NaT']
    """
    with np.errstate(invalid="ignore", over="ignore"):
        seconds = np.floor(values / EPOCHS[style])
        inside = (seconds > -62_135_596_800) & (seconds < 253_402_300_800)
    found = np.full(len(values), np.datetime64("NaT", "s"))
    found[inside] = seconds[inside].astype(np.int64).astype("datetime64[s]")
    return found


def is_one_way(x: FloatArray) -> bool:
    """Return whether values never fall or never rise from one row to the next."""
    steps = np.diff(x)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _epoch(x: FloatArray) -> str | None:
    """Return as which times since 1970 all values lie between 1990 and 2100."""
    for style, per_second in EPOCHS.items():
        if x.min() >= _FROM_1990 * per_second and x.max() <= _TO_2100 * per_second:
            return style
    return None


def _is_even(steps: FloatArray, most: float = _EVEN) -> bool:
    """Return whether steps vary less than the gaps between sorted random values can."""
    mean = abs(float(steps.mean()))
    return bool(steps.std() < min(most, 1 - _SURE / np.sqrt(len(steps))) * mean)


def _restarts(x: FloatArray, named: object) -> bool:
    """Return whether a column falls seldom, then to its lowest value, and from unlike heights."""
    steps = np.diff(x)
    falls = np.flatnonzero(steps < 0)
    if not 0 < len(falls) <= _MOST_RESTARTS * len(x) or (x[falls + 1] != x.min()).any():
        return False
    return not _is_cycle(x, falls) and (bool(named) or _is_even(steps[steps >= 0], _EQUAL))


def _is_cycle(x: FloatArray, ends: IntArray) -> bool:
    """Return whether several rises end at about the same height, as the seconds of a day do."""
    peaks = x[ends]
    return len(peaks) > 1 and bool(np.ptp(peaks) <= _ALIKE * (peaks.max() - x.min()))


def _grows_within(x: FloatArray, codes: IntArray, named: object) -> bool:
    """Return whether a column never falls within any of several groups of rows."""
    order = np.argsort(codes, kind="stable")
    grouped = codes[order]
    steps = np.diff(x[order])[grouped[1:] == grouped[:-1]]
    if len(steps) < max(FEWEST_ROWS, len(x) / 2) or (steps < 0).any():
        return False
    ends = np.flatnonzero(np.diff(codes))
    if len(ends) < len(np.unique(codes)) and _is_cycle(x, ends):  # one group after another
        return False
    owner = grouped[1:][grouped[1:] == grouped[:-1]]
    totals = np.bincount(owner, weights=steps)
    means = totals / np.maximum(np.bincount(owner), 1)
    moving = means[owner] > 0
    return bool(moving.any()) and (bool(named) or _is_even(steps[moving] / means[owner][moving]))
