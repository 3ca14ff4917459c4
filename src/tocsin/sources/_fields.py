"""Which fields of an event hold its time, its entity and its id, and how times are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from tocsin.readers import epochs
from tocsin.readers.names import event_entity_rank, event_time_rank
from tocsin.settings import Settings
from tocsin.sources._times import EventTimes, is_usual_time
from tocsin.types import TimeArray

_OFFSET = re.compile(r"([+-])(0\d|1[0-4])(?::?([0-5]\d))?")
_SURE = 3  # the first names of times hold nothing else


class Fields(Settings):
    """Which fields of an event hold its time, entity and id; all others are its values.

    ``time`` and ``entity``: by default they are found by name as in files: a field called time,
    timestamp, @timestamp, ts, date or similar that holds a time, and a text called entity, host,
    hostname, machine, server, node, device, instance, sensor or similar (or a number with such a
    name and _id). An event without a time gets that of its arrival.

    A time is a number since 1970, in seconds, milli-, micro- or nanoseconds by its size; or text
    or a number in another format of ``tocsin.readers.times`` and ``epochs`` that is unambiguous
    (03/04/2024 is not); or an object such as {"$date": …}. ``time_format`` states the format: as
    for strptime, such as "%d/%m/%Y %H:%M", or "s", "ms", "us", "ns", "excel" or another style of
    ``epochs``; ISO 8601 is read as well. ``time_zone``, such as Europe/Berlin or +02:00, is that
    of times without one, UTC by default.

    ``columns``: only these are kept. ``largest``: bytes per event at most.
    """

    time: str | None = None
    entity: str | None = None
    id: str = "id"
    columns: tuple[str, ...] | None = None
    largest: int = Field(262_144, ge=64, le=64_000_000)
    time_zone: str | None = None
    time_format: str | None = None

    @model_validator(mode="after")
    def _readable(self) -> Self:
        self.times()
        return self

    def times(self) -> EventTimes:
        """Return the reader of times. Raises ValueError for an unknown zone or format."""
        return _reader(self.time_zone, self.time_format)

    def is_time(self, name: str) -> bool:
        """Return whether a field may hold the time of an event, by its name."""
        return name == self.time if self.time else event_time_rank(name) is not None

    def takes(self, name: str) -> bool:
        """Return whether a field is kept, as a value or as what tells events apart."""
        chosen = self.columns is None or name in self.columns
        return chosen or name == self.id or self.is_time(name) or self.is_entity(name)

    def is_entity(self, name: str) -> bool:
        """Return whether a field may name what an event is about, by its name."""
        return name == self.entity if self.entity else event_entity_rank(name) is not None


def take_times(
    columns: dict[str, list[Any]], fields: Fields, arrivals: TimeArray
) -> tuple[TimeArray, dict[int, str]]:
    """Return the times (n,) of events, and why those that have none do not, by position.

    The fields that held times are taken out of the columns.
    """
    n, reader = len(arrivals), fields.times()
    times = np.full(n, np.datetime64("NaT"), dtype="datetime64[us]")
    left = np.ones(n, dtype=np.bool_)
    refused: dict[int, str] = {}
    names = _time_names(columns, fields)
    if names[:1] in (["time"], [fields.time]) and None not in columns[names[0]]:
        found = reader.read(columns[names[0]])
        if not np.isnat(found).any():  # as nearly always
            del columns[names[0]]
            return found, refused
    for name in names:
        values = columns[name]
        at = [i for i in np.flatnonzero(left).tolist() if values[i] is not None]
        found = reader.read([values[i] for i in at])
        sure = name == fields.time or (event_time_rank(name) or 0) <= _SURE
        if fields.time is None and name != "time":
            usual = np.array([is_usual_time(values[i]) for i in at], dtype=np.bool_)
            found[~usual] = np.datetime64("NaT")
        taken = []
        for i, unread in zip(at, np.isnat(found).tolist(), strict=True):
            if not unread:
                taken.append(i)
            elif name in (fields.time, "time") or (sure and isinstance(values[i], str)):
                refused[i] = reader.why(name, values[i])
                taken.append(i)
        times[at] = found
        left[taken] = False
        _drop_taken(columns, name, taken)
        if not left.any():
            break
    times[left] = arrivals[left]
    return times, refused


def take_entities(columns: dict[str, list[Any]], fields: Fields, n: int) -> list[Any]:
    """Return the entities of n events, None for those that name none; they leave the columns."""
    found: list[Any] = [None] * n
    names = _entity_names(columns, fields)
    if names[:1] in (["entity"], [fields.entity]) and None not in columns[names[0]]:
        return columns.pop(names[0])
    for name in names:
        values = columns[name]
        taken = [
            i
            for i, value in enumerate(values)
            if found[i] is None
            and value is not None
            and (name in (fields.entity, "entity") or _is_name(name, value))
        ]
        for i in taken:
            found[i] = values[i]
        _drop_taken(columns, name, taken)
    return found


def _time_names(columns: Iterable[str], fields: Fields) -> list[str]:
    if fields.time is not None:
        return [fields.time] if fields.time in columns else []
    return _by_rank(columns, event_time_rank)


def _entity_names(columns: Iterable[str], fields: Fields) -> list[str]:
    if fields.entity is not None:
        return [fields.entity] if fields.entity in columns else []
    return _by_rank(columns, event_entity_rank)


def _by_rank(columns: Iterable[str], rank: Callable[[str], int | None]) -> list[str]:
    ranked = [(place, name) for name in columns if (place := rank(name)) is not None]
    return [name for _, name in sorted(ranked)]


def _is_name(field: str, value: Any) -> bool:
    """Return whether a value is the name of a thing: a text, or a number of a field … id."""
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, int) and not isinstance(value, bool) and field.lower().endswith("id")


def _drop_taken(columns: dict[str, list[Any]], name: str, taken: list[int]) -> None:
    """Take values out of a column, and the column out where nothing is left."""
    values = columns[name]
    if len(taken) < len(values):
        columns[name] = values = list(values)
        for i in taken:
            values[i] = None
        if any(value is not None for value in values):
            return
    del columns[name]


@lru_cache
def _reader(zone: str | None, form: str | None) -> EventTimes:
    return EventTimes(_zone(zone), _checked(form))


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    if offset := _OFFSET.fullmatch(name):
        minutes = 60 * int(offset[2]) + int(offset[3] or 0)
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f'time_zone: "{name}" is not known; write Europe/Berlin or +02:00, for instance'
        ) from None


def _checked(form: str | None) -> str | None:
    if form is None or form in epochs.EPOCHS:
        return form
    try:
        if "%" not in form:
            raise ValueError
        pd.to_datetime(pd.Series(["2026"]), format=form, errors="coerce", utc=True)
    except (ValueError, KeyError):
        known = ", ".join(epochs.EPOCHS)
        raise ValueError(
            f'time_format: "{form}" is neither as strptime has it, such as "%d/%m/%Y %H:%M", nor '
            f"one of {known}"
        ) from None
    return form
