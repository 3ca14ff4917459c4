"""Times: which column holds them, and how its cells read as UTC nanoseconds.

The rules. Times with a zone are converted to UTC; times without one are taken as UTC. Numbers
are read by ``tocsin.readers.epochs``, by their size: since 1970 or another year, days of a
spreadsheet, or digits such as 202412311230; smaller ones are elapsed seconds, counted from 1970.
Text is read by ``tocsin.readers.times``. What cannot be read, or lies outside the years
1800 to 2089, is NaT.

Local times without a zone repeat an hour when daylight saving ends: those rows go back in time
and share their times with the hour before, and are sorted and merged like any others. Times
written with their offset have no hour twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import Stateful
from tocsin.readers import epochs, times
from tocsin.readers.names import time_rank
from tocsin.types import FloatArray

Moments = NDArray[np.datetime64]

EARLIEST, LATEST = np.datetime64("1800-01-01"), np.datetime64("2090-01-01")
"""Times between these are read: any two are less than 2^63 nanoseconds apart."""

MOSTLY = 0.95
"""The share of the rows of a time column, found by its content, that goes forward in time."""

_CLOCK = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp]\.?[Mm]\.?)?"
_SAMPLE = 500
_DURATIONS = {"day": 86_400.0, "h": 3_600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6}


class TimeColumn(Stateful):
    """The column that holds the times, and the one with the hours if it holds only days.

    ``name_``: the column. ``style_``: how it reads, see ``read_times``. ``remark_``: what else
    it could be. ``clock_``: the column of texts such as 14:30:00 that go with the days, or None.
    """

    name_: str
    style_: str
    clock_: str | None
    remark_: str

    def __init__(self, name: str = "") -> None:
        self.name_ = name
        self.style_ = ""
        self.remark_ = ""
        self.clock_: str | None = None

    def fit(self, frame: pd.DataFrame) -> Moments:
        """Learn how the column reads, and return the times (n,) as ``read`` does."""
        self.style_, self.remark_ = find_style(frame[self.name_])
        moments, self.style_ = read_times(frame[self.name_], self.style_)
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

    @property
    def words(self) -> str:
        """How the column is read, and what else it could be."""
        return epochs.words(self.style_) + self.remark_

    def _add_clock(self, moments: Moments, frame: pd.DataFrame) -> Moments:
        if self.clock_ is None:
            return moments
        clocks = "1970-01-01 " + _texts(frame[self.clock_]).fillna("")
        on_first_day = times.read(clocks.to_numpy(dtype=object), "%Y-%m-%d")
        both: Moments = moments + (on_first_day - np.datetime64(0, "us")).astype("timedelta64[ns]")
        return both


def find_time(frame: pd.DataFrame) -> str | None:
    """Return the name of the column that holds the times, None without one.

    A column of dates, or of text that reads as dates, is one, whatever its name; numbers are
    if the name shows it and they are as large as times since 1970 or another year, or grow (or
    fall) from row to row. Of several columns, the one with the plainest name is taken, then the
    first.

    >>> find_time(pd.DataFrame({"watts": [3, 4], "ts": [1_700_000_000, 1_700_000_060]}))
    'ts'
    """
    ranks = {str(name): time_rank(str(name)) for name in frame.columns}
    for name in sorted(ranks, key=lambda name: ranks[name]):
        if _holds_times(frame[name], ranks[name]):
            return name
    return None


def read_times(values: pd.Series[Any], style: str = "") -> tuple[Moments, str]:
    """Return the times (n,) of a column as datetime64[ns], UTC, NaT if unreadable, and its style.

    The style is "datetime", one of numbers (see ``tocsin.readers.epochs``), "ISO8601" or another
    strptime format; "" if no cell can be read. The ``style`` given is kept if it reads most.

    >>> read_times(pd.Series(["2024-03-01T02:00+02:00", "2024-03-01", "soon"]))[0].tolist()[:2]
    [1709251200000000000, 1709251200000000000]
    """
    if style not in ("", "datetime"):
        moments = _read(values, style)
        if 2 * np.isnat(moments).sum() <= len(moments):
            return moments, style
    style, _ = find_style(values)
    return _read(values, style), style


def find_style(values: pd.Series[Any]) -> tuple[str, str]:
    """Return the style of a column of times, "" if it holds no times, and what else it could be."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return "datetime", ""
    if pd.api.types.is_bool_dtype(values.dtype):
        return "", ""
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        return "elapsed", ""
    if (numbers := _numbers(values)) is not None:
        return epochs.find(numbers.to_numpy(dtype=np.float64, na_value=np.nan)), ""
    texts = _texts(values)
    texts = texts[texts.str.contains(r"\d", regex=True).fillna(False).astype(bool)]
    found = times.find(texts.drop_duplicates().to_numpy(dtype=object)) if len(texts) else None
    return (found.style, found.remark) if found else ("", "")


def format_duration(seconds: float) -> str:
    """Return a length of time in words.

    >>> format_duration(600), format_duration(0.25), format_duration(90), format_duration(86_400)
    ('10 min', '250 ms', '90 s', '1 day')
    """
    for unit, length in _DURATIONS.items():
        count = seconds / length
        if 1 <= count < 1000 and abs(count - round(count)) < 1e-6 * count:
            return f"{round(count):,} {unit}{'s' if unit == 'day' and round(count) > 1 else ''}"
    unit = next((unit for unit, length in _DURATIONS.items() if seconds >= 2 * length), "µs")
    return f"{seconds / _DURATIONS[unit]:.3g} {unit}{'s' if unit == 'day' else ''}"


def _holds_times(values: pd.Series[Any], rank: int) -> bool:
    dtype = values.dtype
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return not values.isna().all()
    if pd.api.types.is_bool_dtype(dtype):
        return False
    if pd.api.types.is_timedelta64_dtype(dtype):
        values = values.dt.total_seconds()
    known = values.dropna()
    if (numbers := _numbers(known)) is not None:
        found = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
        return _are_times(found[np.isfinite(found)], rank)
    moments, _ = read_times(_spread(known))
    return bool(moments.size and np.isnat(moments).mean() <= (0.5 if rank == 0 else 1 - MOSTLY))


def _are_times(numbers: FloatArray, rank: int) -> bool:
    if rank == 2 or numbers.size < 2:
        return False
    forward = float((np.diff(numbers) > 0).mean())
    ordered = max(forward, float((np.diff(numbers) < 0).mean())) >= MOSTLY
    style = epochs.find(numbers, elapsed=False)
    if style and np.median(numbers) >= 1e6:
        return bool((numbers > 0).all())
    return ordered and (rank == 0 or bool(style))


def _spread(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return a sample over the whole column, in its order."""
    return values.iloc[
        np.unique(np.linspace(0, max(len(values) - 1, 0), _SAMPLE).astype(int))[: len(values)]
    ]


def _texts(values: pd.Series[Any]) -> pd.Series[str]:
    cells = pd.Series(values.to_numpy(dtype=object))
    try:
        texts = cells.astype("str")
    except UnicodeDecodeError:  # bytes that are no text
        texts = cells.map(str, na_action="ignore").astype("str")
    return texts.str.strip()


def _is_clock(values: pd.Series[Any]) -> bool:
    known = values.dropna().iloc[:_SAMPLE]
    if pd.api.types.is_numeric_dtype(values.dtype) or known.empty:
        return False
    return bool(_texts(known).str.fullmatch(_CLOCK).all())


def _numbers(values: pd.Series[Any]) -> pd.Series[Any] | None:
    """Return a column of numbers, or of text that is mostly numbers; None for another."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values
    sample = _spread(values.dropna())
    if not len(sample) or _parse_plain(sample).notna().mean() <= 0.5:
        return None
    return _parse_plain(values)


def _parse_plain(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return the numbers of texts such as 46044.54 and 46044,54."""
    texts = _texts(values)
    if texts.str.contains(",", regex=False).any():
        texts = texts.str.replace(",", ".", n=1, regex=False)
    return pd.Series(pd.to_numeric(texts, errors="coerce"))


def _read(values: pd.Series[Any], style: str) -> Moments:
    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _nanoseconds(values.to_numpy())
    if pd.api.types.is_timedelta64_dtype(dtype):
        values = values.dt.total_seconds()
    nothing = np.full(len(values), np.datetime64("NaT", "ns"))
    if not style or pd.api.types.is_bool_dtype(dtype):
        return nothing
    numbers = _numbers(values)
    if not epochs.is_style(style, written=numbers is not None):
        return nothing if numbers is not None else _nanoseconds(times.read(_cells(values), style))
    if numbers is None:
        return nothing
    plain = isinstance(numbers.dtype, np.dtype) and numbers.dtype.kind in "iu"
    exact = numbers.to_numpy().astype(np.int64) if plain else None
    floats = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    return _nanoseconds(epochs.read(floats, style, exact))


def _cells(values: pd.Series[Any]) -> NDArray[np.object_]:
    cells: NDArray[np.object_] = _texts(values).fillna("").to_numpy(dtype=object)
    return cells


def _nanoseconds(moments: Moments) -> Moments:
    inside = (moments >= EARLIEST) & (moments < LATEST)
    return np.where(inside, moments, np.array("NaT", moments.dtype)).astype("datetime64[ns]")
