"""Times: which column holds them, and how its cells read as UTC nanoseconds.

The rules. Times with a zone are converted to UTC; times without one are taken as UTC. Numbers
are read by their size: seconds since 1970 from 1e8 on, milliseconds from 1e11, microseconds
from 1e14, nanoseconds from 1e17; 20241231 is a day; smaller ones are elapsed seconds, counted
from 1970. Text is ISO 8601, or of the day-first, month-first or year-first form that reads the
most cells, and of two that read alike the one under which time moves least from row to row.
What cannot be read, or lies outside the years 1800 to 2089, is NaT.

Local times without a zone repeat an hour when daylight saving ends: those rows go back in time
and share their times with the hour before, and are sorted and merged like any others. Times
written with their offset have no such hour.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import Stateful
from tocsin.prepare.schema import DATES
from tocsin.types import FloatArray, IntArray

Moments = NDArray[np.datetime64]

EARLIEST, LATEST = np.datetime64("1800-01-01"), np.datetime64("2090-01-01")
"""Times between these are read: any two are less than 2^63 nanoseconds apart."""

MOSTLY = 0.95
"""The share of the rows of a time column, found by its content, that goes forward in time."""

_NAMES = frozenset(
    {"time", "timestamp", "date", "datetime", "ts", "t", "ds", "when", "epoch", "utc", "clock"}
)
_UNITS = {"ns": 1e17, "us": 1e14, "ms": 1e11, "s": 0.0}  # read from this size on
_PER_UNIT = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_CLOCK = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_SAMPLE = 500
_DURATIONS = {"day": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6}


class TimeColumn(Stateful):
    """The column that holds the times, and the one with the hours if it holds but the days.

    ``name_``: the column. ``style_``: how it reads, see ``read_times``. ``clock_``: the column
    of texts such as 14:30:00 that go with the days, or None.
    """

    def __init__(self, name: str = "") -> None:
        self.name_ = name
        self.style_ = ""
        self.clock_: str | None = None

    def fit(self, frame: pd.DataFrame) -> Moments:
        """Learn how the column reads, and return the times (n,) as ``read`` does."""
        moments, self.style_ = read_times(frame[self.name_])
        days = moments.astype("datetime64[D]")
        if (np.isnat(moments) | (moments == days)).all() and (days[1:] == days[:-1]).any():
            clocks = (str(name) for name in frame.columns if _is_clock(frame[name]))
            self.clock_ = next(clocks, None)
        return self._add_clock(moments, frame)

    def read(self, frame: pd.DataFrame) -> Moments:
        """Return the times (n,) of a table as datetime64[ns], UTC, NaT where unreadable."""
        return self._add_clock(read_times(frame[self.name_], self.style_)[0], frame)

    @property
    def columns(self) -> list[str]:
        """Names of the columns that are read."""
        return [self.name_] + ([self.clock_] if self.clock_ else [])

    def _add_clock(self, moments: Moments, frame: pd.DataFrame) -> Moments:
        if self.clock_ is None:
            return moments
        texts = _texts(frame[self.clock_])
        texts = texts.where(texts.str.count(":") > 1, texts + ":00")
        return moments + pd.to_timedelta(texts, errors="coerce").to_numpy("timedelta64[ns]")


def find_time(frame: pd.DataFrame) -> str | None:
    """Return the name of the column that holds the times, None if there is none.

    A column of dates, or of text that reads as dates, is one whatever its name; numbers are
    if the name says so and they are as large as times since 1970, or grow from row to row. Of
    several the one with the plainest name is taken, then the first.

    >>> find_time(pd.DataFrame({"watts": [3, 4], "ts": [1_700_000_000, 1_700_000_060]}))
    'ts'
    """
    ranks = {str(name): _name_rank(str(name)) for name in frame.columns}
    for name in sorted(ranks, key=lambda name: ranks[name]):
        if _holds_times(frame[name], ranks[name]):
            return name
    return None


def read_times(values: pd.Series[Any], style: str = "") -> tuple[Moments, str]:
    """Return the times (n,) of a column as datetime64[ns], UTC, NaT if unreadable, and its style.

    The style is "datetime", a unit since 1970 ("s", "ms", "us", "ns"), "%Y%m%d", "ISO8601" or
    another strptime format; "" if no cell can be read. Text is read in the ``style`` given if
    that reads most of it.

    >>> read_times(pd.Series(["2024-03-01T02:00+02:00", "2024-03-01", "soon"]))[0].tolist()[:2]
    [1709251200000000000, 1709251200000000000]
    """
    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _nanoseconds(values.to_numpy()), "datetime"
    if pd.api.types.is_bool_dtype(dtype):
        return np.full(len(values), np.datetime64("NaT", "ns")), ""
    if pd.api.types.is_timedelta64_dtype(dtype):
        values = values.dt.total_seconds()
    if pd.api.types.is_numeric_dtype(values.dtype):
        return _from_numbers(values)
    texts = _texts(values)
    if style and style not in {"datetime", *_UNITS}:
        moments = _parse(texts, style)
        if 2 * np.isnat(moments).sum() <= len(moments):
            return moments, style
    style = _text_style(texts)
    if style == "number":
        return _from_numbers(pd.Series(pd.to_numeric(texts, errors="coerce")))
    return _parse(texts, style), style


def duration(seconds: float) -> str:
    """Return a length of time in words.

    >>> duration(600), duration(0.25), duration(90), duration(86_400)
    ('10 min', '250 ms', '90 s', '1 day')
    """
    for unit, length in _DURATIONS.items():
        count = seconds / length
        if 1 <= count < 1000 and abs(count - round(count)) < 1e-6 * count:
            return f"{round(count):,} {unit}{'s' if unit == 'day' and round(count) > 1 else ''}"
    unit = next((unit for unit, length in _DURATIONS.items() if seconds >= 2 * length), "µs")
    return f"{seconds / _DURATIONS[unit]:.3g} {unit}{'s' if unit == 'day' else ''}"


def _name_rank(name: str) -> int:
    """Return 0 for a name that means time, 1 for one that ends in such a word, 2 for others."""
    words = [word.lower() for word in _WORD.findall(name)]
    if "".join(words) in _NAMES:
        return 0
    return 1 if words and words[-1] in _NAMES else 2


def _holds_times(values: pd.Series[Any], rank: int) -> bool:
    dtype = values.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return not values.isna().all()
    if pd.api.types.is_bool_dtype(dtype):
        return False
    if pd.api.types.is_timedelta64_dtype(dtype):
        values = values.dt.total_seconds()
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return _are_times(numbers[np.isfinite(numbers)], rank)
    moments, style = read_times(_spread(values.dropna()))
    if style in _UNITS:
        return _holds_times(pd.to_numeric(values, errors="coerce"), rank)
    return bool(moments.size and np.isnat(moments).mean() <= (0.5 if rank == 0 else 1 - MOSTLY))


def _are_times(numbers: FloatArray, rank: int) -> bool:
    if rank == 2 or numbers.size < 2:
        return False
    if np.median(numbers) >= 1e8 or _are_days(numbers):
        return bool((numbers > 0).all())
    return rank == 0 and bool((np.diff(numbers) > 0).mean() >= MOSTLY)


def _spread(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return a sample over the whole column, in its order."""
    return values.iloc[
        np.unique(np.linspace(0, max(len(values) - 1, 0), _SAMPLE).astype(int))[: len(values)]
    ]


def _texts(values: pd.Series[Any]) -> pd.Series[str]:
    return pd.Series(values.to_numpy(dtype=object)).astype("str").str.strip()


def _is_clock(values: pd.Series[Any]) -> bool:
    known = values.dropna().iloc[:_SAMPLE]
    if pd.api.types.is_numeric_dtype(values.dtype) or known.empty:
        return False
    return bool(_texts(known).str.fullmatch(_CLOCK).all())


def _text_style(texts: pd.Series[str]) -> str:
    """Return the style that reads the most of a sample; "number" for numbers since 1970."""
    sample = _spread(texts[texts.str.contains(r"\d", regex=True).fillna(False)])
    if sample.empty:
        return ""
    if pd.to_numeric(sample, errors="coerce").notna().mean() > 0.5:
        return "number"
    best, style = (0.0, -np.inf), ""
    for candidate in ("ISO8601", *DATES):
        moments = _parse(sample, candidate)
        read = moments[~np.isnat(moments)].astype(np.int64)
        found = (read.size / len(sample), -float(np.abs(np.diff(read) / 1e9).sum()))
        if read.size and found > best:
            best, style = found, candidate
        if candidate == "ISO8601" and read.size == len(sample):
            break
    return style


def _parse(texts: pd.Series[str], style: str) -> Moments:
    if not style:
        return np.full(len(texts), np.datetime64("NaT", "ns"))
    moments = pd.to_datetime(texts, format=style, errors="coerce", utc=True)
    return _nanoseconds(moments.dt.tz_localize(None).to_numpy())


def _nanoseconds(moments: Moments) -> Moments:
    inside = (moments >= EARLIEST) & (moments < LATEST)
    return np.where(inside, moments, np.array("NaT", moments.dtype)).astype("datetime64[ns]")


def _from_numbers(values: pd.Series[Any]) -> tuple[Moments, str]:
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return np.full(len(numbers), np.datetime64("NaT", "ns")), ""
    if _are_days(finite):
        return _parse(pd.Series(numbers).map("{:.0f}".format), "%Y%m%d"), "%Y%m%d"
    typical = np.median(np.abs(finite))
    unit = next(unit for unit, least in _UNITS.items() if typical >= least)
    with np.errstate(over="ignore", invalid="ignore"):
        inside = np.abs(numbers) * _PER_UNIT[unit] < 9.2e18
    counted = _count(values, np.where(inside, numbers, 0.0), unit)
    counted[~inside] = np.iinfo(np.int64).min  # NaT
    return _nanoseconds(counted.view("datetime64[ns]")), unit


def _count(values: pd.Series[Any], numbers: FloatArray, unit: str) -> IntArray:
    """Return nanoseconds (n,): exact for integers, rounded to microseconds for fractions."""
    per_unit = _PER_UNIT[unit]
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "iu":
        return np.where(numbers == 0.0, 0, values.to_numpy().astype(np.int64)) * per_unit
    if per_unit < 1000:
        return np.rint(numbers).astype(np.int64) * per_unit
    return np.rint(numbers * (per_unit // 1000)).astype(np.int64) * 1000


def _are_days(numbers: FloatArray) -> bool:
    """Return whether these finite numbers are all days such as 20241231."""
    if numbers.min() < 19_000_101 or numbers.max() > 22_001_231:
        return False
    month, day = numbers // 100 % 100, numbers % 100
    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())
