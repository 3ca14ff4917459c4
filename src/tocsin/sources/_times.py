"""Times of events, each read by itself, whatever the others are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from tocsin.readers import epochs
from tocsin.readers import times as written
from tocsin.types import FloatArray, TimeArray

_LATEST = 250_000_000_000_000
_USUAL = {"s": (-1e8, 3.6e9), "ms": (1e12, 1.9e13), "us": (1e15, 1.2e16), "ns": (7e17, 9e18)}
"""Numbers that are nothing else than times since 1970."""
_EARLIEST_USUAL = 1e8
_LAST = np.datetime64("9892-01-01", "us")
_OF_A_CLOCK = frozenset({"excel", "matlab", "ticks", "labview", "mjd", "julian"})
"""Numbers that count what a clock on the wall shows."""


@dataclass(frozen=True, slots=True)
class EventTimes:
    """How times of events are read.

    ``zone``: that of times without one, None for UTC. ``format``: the one way they are written
    in besides ISO 8601, None for any.
    """

    zone: tzinfo | None = None
    format: str | None = None

    def read(self, values: Sequence[Any]) -> TimeArray:
        """Return times (n,), datetime64[us] UTC; NaT for what is not a time."""
        try:
            return self._read(values)
        except Exception:  # noqa: BLE001 - one event never stops the others
            if len(values) == 1:
                return np.full(1, np.datetime64("NaT", "us"))
            return np.concatenate([self.read([value]) for value in values])

    def _read(self, values: Sequence[Any]) -> TimeArray:
        if all(type(value) is float or type(value) is int for value in values):
            return self._of_numbers(np.asarray(values, dtype=np.float64))
        times = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
        texts = [i for i, value in enumerate(values) if isinstance(value, str)]
        if texts:
            times[texts] = self._of_texts([values[i].strip() for i in texts])
        for i, value in enumerate(values):
            if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
                times[i] = self._of_numbers(np.array([float(value)]))[0]
            elif isinstance(value, date):
                moment = value if isinstance(value, datetime) else datetime(*value.timetuple()[:3])
                zoned = moment.replace(tzinfo=moment.tzinfo or self.zone or UTC)
                with suppress(OverflowError):
                    times[i] = np.datetime64(zoned.astimezone(UTC).replace(tzinfo=None), "us")
        return times

    def why(self, field: str, value: Any) -> str:
        """Return why a value is not taken as a time, and what to do."""
        given = repr(value)[:80]
        if self.format is not None:
            return f'its "{field}" is {given}, neither of fields.time_format {self.format} nor ISO'
        style = written.find(np.array([value], dtype=object)) if isinstance(value, str) else None
        if style and "year" in style.remark:
            return f'its "{field}" is {given}, which names no year; send one'
        if style:
            return (
                f'its "{field}" is {given}, whose day and month could be exchanged; state '
                f'fields.time_format, for instance "{style.style}"'
            )
        return (
            f'its "{field}" is {given}, which is not a time; expected ISO 8601, a number since '
            "1970 or another usual way, or what fields.time_format states"
        )

    def _of_texts(self, texts: list[str]) -> TimeArray:
        if self.format is not None:
            return self._of_format(texts)
        found = self._of_iso(texts)
        for i in np.flatnonzero(np.isnat(found)).tolist():
            with suppress(ValueError):
                found[i] = self._of_numbers(np.array([float(texts[i])]))[0]
                continue
            alone = np.array([texts[i]], dtype=object)
            if (style := written.find(alone)) and not style.remark:
                found[i] = self._localized(written.read(alone, style.style), [texts[i]])[0]
        return found

    def _of_format(self, texts: list[str]) -> TimeArray:
        """Return times of the one format, or of ISO 8601."""
        form = self.format or ""
        if form in epochs.EPOCHS:
            numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
            found = self._of_numbers(numbers.to_numpy(dtype=np.float64))
        else:
            parsed = pd.to_datetime(
                pd.Series(texts, dtype=object), format=form, errors="coerce", utc=True
            )
            found = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
            if self.zone is not None and "%z" not in form and "%Z" not in form:
                found = written.in_utc(found, self.zone)
        left = np.flatnonzero(np.isnat(found))
        if left.size:
            found = found.copy()
            some = [texts[i] for i in left.tolist()]
            found[left] = self._of_iso(some)
        return found

    def _of_iso(self, texts: list[str]) -> TimeArray:
        return self._localized(written.read(np.array(texts, dtype=object), written.ISO), texts)

    def _localized(self, moments: TimeArray, texts: list[str]) -> TimeArray:
        """Return times (n,) in UTC, those whose texts name no zone taken as of ``zone``."""
        moments = moments.astype("datetime64[us]")
        if self.zone is not None:
            naive = np.array([not written.has_zone(text) for text in texts], dtype=np.bool_)
            moments[naive] = written.in_utc(moments[naive], self.zone)
        return moments

    def _of_numbers(self, numbers: FloatArray) -> TimeArray:
        """Return times of numbers (n,), each by itself; small ones are seconds since 1970."""
        if self.format is not None:
            if self.format not in epochs.EPOCHS:
                return self._of_format([f"{number:.0f}" for number in numbers.tolist()])
            return self._in_zone(epochs.read(numbers, self.format), self.format)
        times = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[us]")
        left = np.isfinite(numbers)
        for style, (low, high) in _USUAL.items():
            usual = (numbers >= low) & (numbers < high)
            times[usual] = epochs.read(numbers[usual], style).astype("datetime64[us]")
            left &= ~usual
        for i in np.flatnonzero(left).tolist():
            one = numbers[i : i + 1]
            style = epochs.find(np.abs(one))
            moment = self._in_zone(epochs.read(one, style), style)
            if moment[0] < _LAST:
                times[i] = moment[0]
        return times

    def _in_zone(self, moments: TimeArray, style: str) -> TimeArray:
        moments = moments.astype("datetime64[us]")
        if self.zone is None or not (style in _OF_A_CLOCK or "%" in style):
            return moments
        return written.in_utc(moments, self.zone)


def is_usual_time(value: Any) -> bool:
    """Return whether a value is a time whatever its field is called: no small number, no bool.

    >>> [is_usual_time(each) for each in (1_772_353_200, 21.5, "2026-03-01", "21.5", True)]
    [True, False, True, False, False]
    """
    if isinstance(value, str):
        with suppress(ValueError):
            return is_usual_time(float(value))
        return True
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return isinstance(value, date)
    return any(max(low, _EARLIEST_USUAL) <= value < high for low, high in _USUAL.values())


def times_of(millis: Sequence[int]) -> TimeArray:
    """Return times of milliseconds since 1970, those beyond the year 9892 as of then."""
    return np.array([min(each, _LATEST) for each in millis], dtype="datetime64[ms]").astype(
        "datetime64[us]"
    )


def now(n: int) -> TimeArray:
    """Return the time of the clock (n,), as that at which n events came."""
    clock = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
    return np.full(n, clock)
