"""Which year times are of that are written without one, as those of syslog are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import date
from functools import lru_cache

import numpy as np

from tocsin.types import IntArray

DAY = 86_400
"""Seconds of a day."""


@lru_cache(maxsize=1_000)
def midnight(year: int, month: int, day: int) -> int:
    """Return when a day begins, in seconds since 1970; raises ValueError for no such day."""
    return (date(year, month, day).toordinal() - 719_163) * DAY


def nearest_midnight(month: int, day: int, last: float | None, now: float) -> int:
    """Return when a day without a year begins, in seconds since 1970.

    The year brings it closest to ``last``, the time before it in its file, or without one is the
    latest that is at most a day after ``now``. Raises ValueError for what is no day of any year.
    """
    around = time.gmtime(now if last is None else last).tm_year
    values = []
    for year in range(around + 1, around - 9, -1):
        try:
            values.append(midnight(year, month, day))
        except ValueError:  # the 29th of February
            continue
    if not values:
        raise ValueError("not a day of any year")
    if last is None:
        return next((value for value in values if value <= now + DAY), values[-1])
    return min(values, key=lambda value: abs(value - last))


def years_of(months: IntArray, days: IntArray, now: float | None = None) -> IntArray:
    """Return the years (n,) of days (n,) in the order of their file, 0 where there is no such day.

    ``now``: seconds since 1970, today by default. Rows of more than a year that end today would
    lie ahead of it if the first were the latest possible: then the last one is.

    >>> years_of(np.array([12, 12, 1]), np.array([30, 31, 1]), now=1_767_355_200.0).tolist()
    [2025, 2025, 2026]
    """
    now = time.time() if now is None else now
    pairs = list(zip(months.tolist(), days.tolist(), strict=True))
    found = _midnights(pairs, now)
    if max(found) > now + DAY:
        backwards = _midnights(reversed(pairs), now)[::-1]
        found = backwards if max(backwards) <= now + DAY else found
    years = np.array(found, dtype="datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    return np.where(np.array(found) < 0, 0, years)


def _midnights(pairs: Iterable[tuple[int, int]], now: float) -> list[int]:
    last: float | None = None
    before, value = (0, 0), -1
    found = []
    for pair in pairs:
        if pair != before:
            try:
                value = nearest_midnight(*pair, last, now)
                last = value
            except ValueError:
                value = -1
            before = pair
        found.append(value)
    return found
