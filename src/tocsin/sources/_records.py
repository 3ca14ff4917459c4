"""Events as JSON objects or lines of text, from any source, to batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from pydantic import Field

from tocsin.readers import epochs
from tocsin.readers import times as written
from tocsin.settings import Settings
from tocsin.types import LINE_COLUMN, Batch, FloatArray, Offset, Rejection, TimeArray

_SHOWN = 2_000
_DEEPEST = 4
_NESTED = {dict, list}
_LATEST = 250_000_000_000_000
_USUAL = {"s": (-1e8, 3.6e9), "ms": (1e12, 1.9e13), "us": (1e15, 1.2e16), "ns": (7e17, 9e18)}
"""Numbers that are nothing else than times since 1970."""
_LAST = np.datetime64("9892-01-01", "us")
_decode = msgspec.json.Decoder().decode


class Fields(Settings):
    """Which fields of a JSON event hold its time, entity and id; all others are its values.

    A time is a number since 1970, in seconds, milli-, micro- or nanoseconds by its size, or text
    or a number in one of the other ways of ``tocsin.readers.times`` and ``epochs`` that leaves
    nothing open (03/04/2024 does), or an object such as {"$date": …}; an event without one takes
    the time at which it came. ``columns`` keeps only those.
    ``largest``: bytes of one event at most.
    """

    time: str = "time"
    entity: str = "entity"
    id: str = "id"
    columns: tuple[str, ...] | None = None
    largest: int = Field(262_144, ge=64, le=64_000_000)


def batch_of(
    raw: Sequence[bytes],
    fields: Fields,
    *,
    times: TimeArray | None = None,
    entities: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    offset: Offset = None,
    acknowledge: Callable[[], Awaitable[None]] | None = None,
) -> Batch:
    """Return JSON objects, one event each, as a batch; what is no such object is a Rejection.

    ``times``, ``entities`` and ``ids``: one for each of ``raw``, what the source knows of events
    that do not say it themselves. Without, their time is that at which they came, and ids count
    only if all have one.

    >>> batch = batch_of([b'{"time": 0, "entity": "pump", "heat": 21.5}', b"oops"], Fields())
    >>> batch.frame.to_dict("records"), batch.entities, batch.rejected[0].kind
    ([{'heat': 21.5}], ('pump',), 'malformed')
    """
    events: list[dict[str, Any]] = []
    kept: list[int] = []
    rejected: list[Rejection] = []
    for i, each in enumerate(raw):
        event = _event(each, fields)
        if isinstance(event, Rejection):
            rejected.append(event)
        else:
            events.append(event)
            kept.append(i)
    columns = _columns(events)
    arrivals = None if times is None else times[kept]
    found = _times(columns.get(fields.time, [None] * len(events)), arrivals)
    if (unknown := np.isnat(found)).any():
        for i in np.flatnonzero(unknown).tolist():
            reason = f'its "{fields.time}" is no time'
            rejected.append(Rejection("malformed", reason, shown(raw[kept[i]])))
        good = np.flatnonzero(~unknown).tolist()
        kept, found = [kept[i] for i in good], found[~unknown]
        columns = _columns([events[i] for i in good])
    columns.pop(fields.time, None)
    about = _own(columns.pop(fields.entity, None), kept, entities)
    own = _own(columns.pop(fields.id, None), kept, ids)
    names = fields.columns or tuple(columns)
    return Batch(
        pd.DataFrame({name: columns.get(name, [None] * len(kept)) for name in names}),
        found,
        tuple(map(str, own)) if own and None not in own else None,
        None
        if all(entity is None for entity in about)
        else tuple("" if entity is None else str(entity) for entity in about),
        offset,
        tuple(rejected),
        acknowledge,
    )


def rows_of(frame: pd.DataFrame, fields: Fields, *, offset: Offset = None) -> Batch:
    """Return rows of a table, one event each, as a batch; its own columns may be typed.

    >>> batch = rows_of(pd.DataFrame({"time": ["2026-03-01T08:20Z"], "heat": [21.5]}), Fields())
    >>> batch.times[0].item().isoformat(), list(batch.frame)
    ('2026-03-01T08:20:00', ['heat'])
    """
    rejected: list[Rejection] = []
    times = _times(_column(frame, fields.time), None)
    if (unknown := np.isnat(times)).any():
        reason = f'its "{fields.time}" is no time'
        for _, row in frame[unknown].iterrows():
            raw = str(row.to_json(default_handler=str))
            rejected.append(Rejection("malformed", reason, raw[:_SHOWN]))
        frame, times = frame[~unknown], times[~unknown]
    ids, entities = _column(frame, fields.id), _column(frame, fields.entity)
    own = [c for c in frame.columns if c not in (fields.time, fields.id, fields.entity)]
    return Batch(
        frame[[c for c in own if fields.columns is None or c in fields.columns]].reset_index(
            drop=True
        ),
        times,
        None if None in ids else tuple(map(str, ids)),
        None
        if all(entity is None for entity in entities)
        else tuple("" if entity is None else str(entity) for entity in entities),
        offset,
        tuple(rejected),
    )


def _column(frame: pd.DataFrame, name: str) -> list[Any]:
    """Return the values of a column as JSON has them, times as text; None for what is missing."""
    if name not in frame.columns:
        return [None] * len(frame)
    column = frame[name]
    if column.dtype.kind == "M":
        column = pd.Series(column.dt.strftime("%Y-%m-%dT%H:%M:%S.%f%z"), index=column.index)
    return column.astype(object).where(column.notna(), None).tolist()


def lines_of(
    raw: Sequence[bytes],
    largest: int,
    *,
    times: TimeArray | None = None,
    entities: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    offset: Offset = None,
    acknowledge: Callable[[], Awaitable[None]] | None = None,
) -> Batch:
    """Return lines of a log as a batch: what is not UTF-8 is replaced, what is too long cut."""
    text = [each[:largest].decode("utf-8", errors="replace").rstrip("\r\n") for each in raw]
    if times is None:
        times = _times([None] * len(text), None)
    return Batch(
        pd.DataFrame({LINE_COLUMN: pd.Series(text, dtype=object)}),
        times,
        None if ids is None else tuple(ids),
        None if entities is None else tuple(entities),
        offset,
        (),
        acknowledge,
    )


def times_of(millis: Sequence[int]) -> TimeArray:
    """Return times of milliseconds since 1970, those beyond the year 9892 as of then."""
    return np.array([min(each, _LATEST) for each in millis], dtype="datetime64[ms]").astype(
        "datetime64[us]"
    )


def shown(raw: bytes) -> str:
    """Return the beginning of what came, as text."""
    return raw[:_SHOWN].decode("utf-8", errors="backslashreplace")


def _event(raw: bytes, fields: Fields) -> dict[str, Any] | Rejection:
    if len(raw) > fields.largest:
        reason = f"it has {len(raw):,} bytes; at most {fields.largest:,} are taken"
        return Rejection("oversized", reason, shown(raw))
    try:
        event = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Rejection("malformed", f"it is no JSON: {error}", shown(raw))
    if not isinstance(event, dict):
        reason = f"it is a JSON {type(event).__name__}, not an object of named values"
        return Rejection("malformed", reason, shown(raw))
    if not _NESTED.isdisjoint(map(type, event.values())):
        time = event.get(fields.time)
        if isinstance(time, dict):
            event[fields.time] = written.of_object(time) or str(time)
        event = dict(_flat(event, "", 0))
    if len(event) <= 3 and not event.keys() - {fields.time, fields.entity, fields.id}:
        return Rejection("malformed", "it holds no values", shown(raw))
    return event


def _flat(event: Mapping[str, Any], prefix: str, depth: int) -> list[tuple[str, Any]]:
    """Return nested values by dotted names; lists, and what is nested too deep, as JSON text."""
    found: list[tuple[str, Any]] = []
    for name, value in event.items():
        if isinstance(value, dict) and depth < _DEEPEST:
            found += _flat(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, dict | list):
            found.append((prefix + name, msgspec.json.encode(value).decode()))
        else:
            found.append((prefix + name, value))
    return found


def _columns(events: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of events by name, None where an event has none."""
    if not events:
        return {}
    names = tuple(events[0])
    if all(tuple(event) == names for event in events):
        values = zip(*map(dict.values, events), strict=True)
        return dict(zip(names, map(list, values), strict=True))
    every = dict.fromkeys(name for event in events for name in event)
    return {name: [event.get(name) for event in events] for name in every}


def _own(values: list[Any] | None, kept: list[int], known: Sequence[str] | None) -> list[Any]:
    """Return a field of each event; where it has none, what the source knows of it."""
    values = values or [None] * len(kept)
    if known is None:
        return values
    return [known[i] if value is None else value for i, value in zip(kept, values, strict=True)]


def _times(values: list[Any], arrivals: TimeArray | None) -> TimeArray:
    """Return times (n,), datetime64[us] UTC; NaT for what is no time, the arrival for None."""
    if arrivals is None:
        clock = np.datetime64(datetime.now(UTC).replace(tzinfo=None), "us")
        arrivals = np.full(len(values), clock)
    if all(type(value) is float or type(value) is int for value in values):
        return _of_numbers(np.asarray(values, dtype=np.float64))
    times = np.full(len(values), np.datetime64("NaT"), dtype="datetime64[us]")
    texts = [i for i, value in enumerate(values) if isinstance(value, str)]
    if texts:
        times[texts] = _of_texts([values[i].strip() for i in texts])
    for i, value in enumerate(values):
        if value is None:
            times[i] = arrivals[i]
        elif isinstance(value, int | float) and not isinstance(value, bool):
            times[i] = _of_numbers(np.array([float(value)]))[0]
        elif isinstance(value, datetime):
            zoned = value.replace(tzinfo=value.tzinfo or UTC)
            times[i] = np.datetime64(zoned.astimezone(UTC).replace(tzinfo=None), "us")
    return times


def _of_texts(texts: list[str]) -> TimeArray:
    """Return times of texts (n,), each by itself: NaT where the day could be the month."""
    found = written.read(np.array(texts, dtype=object), written.ISO).astype("datetime64[us]")
    for i in np.flatnonzero(np.isnat(found)).tolist():
        with suppress(ValueError):
            found[i] = _of_numbers(np.array([float(texts[i])]))[0]
            continue
        alone = np.array([texts[i]], dtype=object)
        if (style := written.find(alone)) and not style.remark:
            found[i] = written.read(alone, style.style)[0]
    return found


def _of_numbers(numbers: FloatArray) -> TimeArray:
    """Return times of numbers (n,), each by itself; those below 1e8 count seconds since 1970."""
    times = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[us]")
    left = np.isfinite(numbers)
    for style, (low, high) in _USUAL.items():
        usual = (numbers >= low) & (numbers < high)
        times[usual] = epochs.read(numbers[usual], style).astype("datetime64[us]")
        left &= ~usual
    for i in np.flatnonzero(left).tolist():
        one = np.abs(numbers[i : i + 1])
        moment = epochs.read(numbers[i : i + 1], epochs.find(one)).astype("datetime64[us]")
        if moment[0] < _LAST:
            times[i] = moment[0]
    return times
