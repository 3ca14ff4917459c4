"""Events as JSON objects, rows of tables or lines of text, from any source, to batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from tocsin.readers import journal
from tocsin.readers.limits import most_names
from tocsin.readers.time_objects import time_of_object
from tocsin.sources._decoding import decoded
from tocsin.sources._fields import Fields, take_entities, take_times
from tocsin.sources._times import now, times_of
from tocsin.types import LINE_COLUMN, Batch, Offset, Rejection, TimeArray

__all__ = ["Fields", "batch_of", "lines_of", "rows_of", "shown", "times_of", "with_value"]

_SHOWN = 2_000
_DEEPEST = 4
_MOST_NAMES = 10_000  # columns of a batch
_NESTED = {dict, list}
_KINDS = {list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
_EXAMPLE = '{"time": "2026-03-01T08:20:00Z", "heat": 21.5}'
_FEW = 3
_SENML = frozenset({"bn", "bt", "bu", "bv", "n", "vs", "vb", "vd"})


def batch_of(
    raw: Sequence[bytes],
    fields: Fields,
    *,
    times: TimeArray | None = None,
    entities: Sequence[str | None] | None = None,
    ids: Sequence[str] | None = None,
    known: Mapping[str, Sequence[Any]] | None = None,
    origins: Sequence[str] | None = None,
    offset: Offset = None,
    acknowledge: Callable[[], Awaitable[None]] | None = None,
) -> Batch:
    """Return JSON objects, one event each, as a batch; anything else becomes a Rejection.

    ``times``, ``entities``, ``ids`` and the columns ``known``: one value per item of ``raw``, for
    events that lack their own. Without these, their time is that of arrival, and ids count only if
    all have one. ``origins``: where each came from, named where it is rejected.

    >>> batch = batch_of([b'{"time": 0, "entity": "pump", "heat": 21.5}', b"oops"], Fields())
    >>> batch.frame.to_dict("records"), batch.entities, batch.rejected[0].kind
    ([{'heat': 21.5}], ('pump',), 'malformed')
    """
    events, rejected = _parsed(raw, fields)
    if fields.columns is None:
        _reject_wide(events, rejected, raw)
    kept = list(events)
    columns = _columns(list(events.values()), fields)
    for name, values in (known or {}).items():
        columns[name] = _own(columns.get(name), kept, values)
    found, unread = take_times(columns, fields, now(len(kept)) if times is None else times[kept])
    about = take_entities(columns, fields, len(kept))
    unread |= _empty(list(events.values()), columns, fields)
    if unread:
        for i, reason in unread.items():
            rejected[kept[i]] = Rejection("malformed", reason, shown(raw[kept[i]]))
        good = [i for i in range(len(kept)) if i not in unread]
        kept, found = [kept[i] for i in good], found[good]
        columns = {name: [values[i] for i in good] for name, values in columns.items()}
        about = [about[i] for i in good]
    about = _own(about, kept, entities)
    own = _own(columns.pop(fields.id, None), kept, ids)
    names = fields.columns or tuple(columns)
    return Batch(
        pd.DataFrame({name: columns.get(name, [None] * len(kept)) for name in names}),
        found,
        tuple(map(str, own)) if own and None not in own else None,
        _texts(about),
        offset,
        tuple(_located(rejected, origins, _Known(times, entities, known))),
        acknowledge,
    )


def _parsed(
    raw: Sequence[bytes], fields: Fields
) -> tuple[dict[int, dict[str, Any]], dict[int, Rejection]]:
    """Return the events and the rejections among raw ones, by their positions."""
    events: dict[int, dict[str, Any]] = {}
    rejected: dict[int, Rejection] = {}
    for i, each in enumerate(raw):
        try:
            event = _event(each, fields)
        except Exception as error:  # noqa: BLE001 - one event never stops the others
            event = Rejection("malformed", f"it cannot be read: {error!r}"[:_SHOWN], shown(each))
        if isinstance(event, Rejection):
            rejected[i] = event
        else:
            events[i] = event
    return events, rejected


def _reject_wide(
    events: dict[int, dict[str, Any]], rejected: dict[int, Rejection], raw: Sequence[bytes]
) -> None:
    """Reject events whose own names would make a batch far larger than they are, the widest first.

    What has few names is kept before what has many.
    """
    values = sum(map(len, events.values()))
    most = min(_MOST_NAMES, most_names(len(events), values))
    if values <= most or len(set().union(*events.values())) <= most:
        return
    names: set[str] = set()
    for i in sorted(events, key=lambda i: len(events[i])):
        if len(names) + len(events[i].keys() - names) <= most:
            names.update(events[i])
            continue
        reason = f"its names are beyond the {most:,} columns of a batch; choose `columns`"
        rejected[i] = Rejection("oversized", reason, shown(raw[i]))
    for i in rejected.keys() & events.keys():
        del events[i]


def _empty(
    events: Sequence[Mapping[str, Any]], columns: Mapping[str, Any], fields: Fields
) -> dict[int, str]:
    """Return why events without values are rejected, by their positions."""
    if not events or min(map(len, events)) > _FEW:
        return {}
    return {
        i: "it holds no values"
        for i, event in enumerate(events)
        if len(event) <= _FEW and _holds_nothing(event, i, columns, fields)
    }


class _Known(NamedTuple):
    """What a source knows of events besides what they say."""

    times: TimeArray | None
    entities: Sequence[str | None] | None
    columns: Mapping[str, Sequence[Any]] | None

    def of(self, i: int) -> dict[str, Any] | None:
        """Return what is known of event i as JSON, None for nothing."""
        found: dict[str, Any] = {}
        if self.times is not None:
            found["time"] = int(self.times[i].astype("datetime64[us]").astype(np.int64))
        if self.entities is not None and self.entities[i] is not None:
            found["entity"] = self.entities[i]
        if self.columns:
            found["columns"] = {name: values[i] for name, values in self.columns.items()}
        return found or None


def _located(
    rejected: Mapping[int, Rejection], origins: Sequence[str] | None, known: _Known
) -> Iterator[Rejection]:
    """Yield rejections with what their source knows: where the events came from, and so on."""
    for i, rejection in rejected.items():
        told = "" if origins is None else f"; from {origins[i]}"
        yield replace(rejection, reason=f"{rejection.reason}{told}", known=known.of(i))


def rows_of(frame: pd.DataFrame, fields: Fields, *, offset: Offset = None) -> Batch:
    """Return rows of a table, one event each, as a batch; its own columns may be typed.

    >>> batch = rows_of(pd.DataFrame({"time": ["2026-03-01T08:20Z"], "heat": [21.5]}), Fields())
    >>> batch.times[0].item().isoformat(), list(batch.frame)
    ('2026-03-01T08:20:00', ['heat'])
    """
    taken = {str(name): _column(frame, name) for name in frame.columns if _is_taken(name, fields)}
    times, unread = take_times(taken, fields, now(len(frame)))
    rejected = []
    for i, reason in unread.items():
        raw = str(frame.iloc[i].to_json(default_handler=str))
        rejected.append(Rejection("malformed", reason, raw[:_SHOWN]))
    entities = take_entities(taken, fields, len(frame))
    ids = taken.pop(fields.id, [None])
    good = np.ones(len(frame), dtype=np.bool_)
    good[list(unread)] = False
    left = {name: values for name, values in taken.items() if values != _column(frame, name)}
    own = [
        name
        for name in frame.columns
        if (name in taken or not _is_taken(name, fields))
        and (fields.columns is None or name in fields.columns)
    ]
    chosen = np.flatnonzero(good).tolist()
    return Batch(
        frame.assign(**left)[own][good].reset_index(drop=True),
        times[good],
        None if None in ids else tuple(str(ids[i]) for i in chosen),
        _texts([entities[i] for i in chosen]),
        offset,
        tuple(rejected),
    )


def _is_taken(name: Any, fields: Fields) -> bool:
    """Return whether a column of a table may hold the time, entity or id of its rows."""
    return isinstance(name, str) and (
        fields.is_time(name) or fields.is_entity(name) or name == fields.id
    )


def _texts(entities: Sequence[Any]) -> tuple[str, ...] | None:
    if all(entity is None for entity in entities):
        return None
    return tuple("" if entity is None else str(entity) for entity in entities)


def _column(frame: pd.DataFrame, name: str) -> list[Any]:
    """Return the values of a column as JSON has them: times as text, missing values as None."""
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
    """Return lines of a log as a batch; one that is empty is a Rejection.

    Bytes that are not UTF-8 are replaced; lines that are too long are cut.
    """
    text = [each[:largest].decode("utf-8", errors="replace").rstrip("\r\n") for each in raw]
    times = now(len(text)) if times is None else times
    rejected: tuple[Rejection, ...] = ()
    if not all(text):
        kept = [i for i, each in enumerate(text) if each]
        rejected = (Rejection("empty", "it is empty, and no line", ""),) * (len(text) - len(kept))
        text, times = [text[i] for i in kept], times[kept]
        entities = None if entities is None else [entities[i] for i in kept]
        ids = None if ids is None else [ids[i] for i in kept]
    return Batch(
        pd.DataFrame({LINE_COLUMN: pd.Series(text, dtype=object)}),
        times,
        None if ids is None else tuple(ids),
        None if entities is None else tuple(entities),
        offset,
        rejected,
        acknowledge,
    )


def with_value(payload: bytes) -> bytes:
    """Return the JSON of an event: a bare number is its ``value``.

    >>> with_value(b"21.5"), with_value(b'{"heat": 21.5}')
    (b'{"value":21.5}', b'{"heat": 21.5}')
    """
    if len(payload) < 64:
        with suppress(ValueError):
            value = decoded(payload)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return msgspec.json.encode({"value": value})
    return payload


def shown(raw: bytes) -> str:
    """Return the beginning of what came, as text."""
    return raw[:_SHOWN].decode("utf-8", errors="backslashreplace")


def _event(raw: bytes, fields: Fields) -> dict[str, Any] | Rejection:
    if not raw:
        return Rejection("empty", "it is empty, and no event", "")
    if len(raw) > fields.largest:
        reason = f"it has {len(raw):,} bytes; at most {fields.largest:,} are taken"
        return Rejection("oversized", reason, shown(raw))
    try:
        event = decoded(raw)
    except ValueError as error:
        reason = f"{error}; expected an object such as {_EXAMPLE}"
        return Rejection("malformed", reason, shown(raw))
    if not isinstance(event, dict):
        if event is None and not raw.strip():
            return Rejection("empty", "it is blank, and no event", shown(raw))
        reason = f"it is {_kind(event)}, not an object of named values such as {_EXAMPLE}"
        return Rejection("malformed", reason, shown(raw))
    if not _NESTED.isdisjoint(map(type, event.values())):
        event = dict(flat(event, "", 0, fields))
    return event


def _kind(value: Any) -> str:
    """Return what a JSON value is that is not an object."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        what = "SenML records" if not _SENML.isdisjoint(value[0]) else "objects"
        return f"a list of {len(value):,} {what}, of which each is to be sent by itself"
    return _KINDS.get(type(value), "nothing")


def _holds_nothing(
    event: Mapping[str, Any], i: int, columns: Mapping[str, list[Any]], fields: Fields
) -> bool:
    """Return whether an event has no field besides those that are taken for its time and so on."""
    return all(
        name == fields.id
        or (
            (fields.is_time(name) or fields.is_entity(name))
            and (name not in columns or columns[name][i] is None)
        )
        for name in event
    )


def flat(
    event: Mapping[str, Any], prefix: str, depth: int, fields: Fields
) -> list[tuple[str, Any]]:
    """Return nested values by dotted names, times that are objects as texts.

    Lists of bytes, as journald writes what is not UTF-8, become texts; other lists, and what is
    nested too deep, JSON.
    """
    found: list[tuple[str, Any]] = []
    for key, value in event.items():
        name = prefix + key
        if isinstance(value, dict):
            time = time_of_object(value) if "$date" in value or fields.is_time(name) else None
            if time is not None and time not in value.values():
                time = f"{time}Z"  # it counts from 1970
            if time is None and name == (fields.time or "time") and not prefix:
                time = str(value)  # neither a time nor values
            if time is not None:
                found.append((name, time))
                continue
        if isinstance(value, dict) and depth < _DEEPEST:
            found += flat(value, f"{name}.", depth + 1, fields)
        elif (text := journal.text_of(key, value)) is not None:
            found.append((name, text))
        elif isinstance(value, dict | list):
            found.append((name, msgspec.json.encode(value).decode()))
        else:
            found.append((name, value))
    return found


def _columns(events: list[dict[str, Any]], fields: Fields) -> dict[str, list[Any]]:
    """Return the values of events by name, None where an event has none; no others than taken."""
    if not events:
        return {}
    names = tuple(events[0])
    if all(tuple(event) == names for event in events):
        values = zip(*map(dict.values, events), strict=True)
        return dict(zip(names, map(list, values), strict=True))
    every = dict.fromkeys(name for event in events for name in event)
    if fields.columns is not None:
        every = dict.fromkeys(filter(fields.takes, every))
    return {name: [event.get(name) for event in events] for name in every}


def _own(values: list[Any] | None, kept: list[int], known: Sequence[Any] | None) -> list[Any]:
    """Return a field of each event; where it has none, what the source knows of it."""
    values = values or [None] * len(kept)
    if known is None:
        return values
    return [known[i] if value is None else value for i, value in zip(kept, values, strict=True)]
