"""Batches of events: merged, selected, and with columns of one type each."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from tocsin.readers.number_cells import split_number, unclear_digits
from tocsin.readers.numbers import read as read_numbers
from tocsin.types import Batch, BoolArray

LONGEST_TEXT = 2_000
"""Characters of a text that are kept as evidence, and of a rejected event."""

_LONGEST_NAME = 256  # bytes
_LARGEST_FLOAT = int(np.finfo(np.float64).max)


def as_datetime64(time: datetime) -> np.datetime64:
    """Return a time as those of batches are: UTC, in microseconds."""
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


def nothing() -> Batch:
    """Return a batch without events."""
    return Batch(pd.DataFrame(), np.empty(0, dtype="datetime64[us]"))


def merge(batches: Sequence[Batch]) -> Batch:
    """Return consecutive batches of one source as one, with the offset of the last.

    Either all that hold events have ids, or none has. ``acknowledge`` is left out.
    """
    if len(batches) == 1:
        return batches[0]

    def joined(name: str) -> tuple[str, ...] | None:
        parts = [(getattr(batch, name), len(batch)) for batch in batches if len(batch)]
        if all(part is None for part, _ in parts):
            return None
        return tuple(text for part, n in parts for text in part or ("",) * n)

    held = [batch for batch in batches if len(batch)] or batches[:1]
    offsets = [batch.offset for batch in batches if batch.offset is not None]
    return Batch(
        held[0].frame if len(held) == 1 else pd.concat([b.frame for b in held], ignore_index=True),
        np.concatenate([batch.times for batch in batches]),
        joined("ids"),
        joined("entities"),
        offsets[-1] if offsets else None,
        tuple(rejection for batch in batches for rejection in batch.rejected),
    )


def chosen(batch: Batch, which: BoolArray) -> Batch:
    """Return the events of a batch for which ``which``, (n,) bool, is True."""
    if which.all():
        return batch
    at = np.flatnonzero(which).tolist()
    return replace(
        batch,
        frame=batch.frame[which].reset_index(drop=True),
        times=batch.times[which],
        ids=None if batch.ids is None else tuple(batch.ids[i] for i in at),
        entities=None if batch.entities is None else tuple(batch.entities[i] for i in at),
        rejected=(),
    )


def bounded(batch: Batch) -> Batch:
    """Return a batch whose entities have at most 256 bytes; longer ones end with their hash.

    Every store keeps such names as keys.

    >>> frame = pd.DataFrame({"a": [1]})
    >>> long = Batch(frame, np.zeros(1, "datetime64[us]"), entities=("é" * 1000,))
    >>> len(bounded(long).entities[0].encode()) <= 256
    True
    """
    if batch.entities is None or all(len(name) <= _LONGEST_NAME // 4 for name in batch.entities):
        return batch
    return replace(batch, entities=tuple(map(_bounded_name, batch.entities)))


def _bounded_name(name: str) -> str:
    encoded = name.encode("utf-8", "surrogatepass")
    if len(encoded) <= _LONGEST_NAME:
        return name
    digest = blake2b(encoded, digest_size=8).hexdigest()
    return f"{encoded[: _LONGEST_NAME - 17].decode('utf-8', 'ignore')}-{digest}"


def typed(batch: Batch, numeric: Collection[str]) -> tuple[Batch, int]:
    """Return a batch whose columns hold one type each, and how many values were not numbers.

    ``numeric``: columns that hold numbers, whose other values become missing. Other columns with
    values of several types become numbers where most values are numbers, and text otherwise.
    """
    changed: dict[Any, Any] = {}
    lost = 0
    for name, column in batch.frame.items():
        if column.dtype.kind in "fiubmM":
            continue
        present = column[column.notna()]
        types = set(map(type, present))
        if name not in numeric and len(types) <= 1 and int not in types:
            continue
        numbers = _numbers(present)
        unread = int(numbers.isna().sum())
        if name in numeric or 2 * unread < len(present):
            changed[name] = numbers.reindex(column.index)
            lost += unread
        else:
            changed[name] = present.map(str).astype(object).reindex(column.index)
    return (replace(batch, frame=batch.frame.assign(**changed)) if changed else batch), lost


def _numbers(present: pd.Series[Any]) -> pd.Series[float]:
    """Return values as float64, NaN for what is not a number, infinity beyond its range."""
    try:
        numbers = pd.to_numeric(present, errors="coerce").astype(np.float64)
    except OverflowError:  # a whole number of hundreds of digits
        return _numbers(present.map(_within_float))
    written = numbers.isna() & present.map(lambda value: isinstance(value, str))
    return numbers.where(~written, present[written].map(_as_written)) if written.any() else numbers


def _as_written(text: str) -> float:
    """Return the number that a text holds as people write it, NaN for none, or if it is open.

    >>> _as_written("20,1"), _as_written("−3"), _as_written("1,234")
    (20.1, -3.0, nan)
    """
    cell = split_number(text)
    if cell is None or unclear_digits([cell]):
        return math.nan
    return float(read_numbers(np.array([text], dtype=object))[0])


def _within_float(value: Any) -> Any:
    if isinstance(value, int) and abs(value) > _LARGEST_FLOAT:
        return math.inf if value > 0 else -math.inf
    return value


def raw(batch: Batch, i: int) -> str:
    """Return an event as JSON text that a source could read again, cut if it is large."""
    event = {"time": f"{batch.times[i]}Z"}
    if batch.entities is not None:
        event["entity"] = batch.entities[i]
    if batch.ids is not None:
        event["id"] = batch.ids[i]
    values = plain(batch.frame.iloc[i].to_dict())
    return msgspec.json.encode({**values, **event}).decode()[:LONGEST_TEXT]


def plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return values as JSON has them: what is neither a number nor true or false becomes text.

    Missing values are None.

    >>> plain({"watts": np.float64(3.5), "on": pd.Timestamp("2026-01-01"), "off": np.nan})
    {'watts': 3.5, 'on': '2026-01-01 00:00:00', 'off': None}
    """
    return {str(name): _plain_value(value) for name, value in values.items()}


def _plain_value(value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool | int):
        return value
    return value if isinstance(value, float) and np.isfinite(value) else str(value)[:LONGEST_TEXT]


def with_times(batch: Batch) -> pd.DataFrame:
    """Return the events of a batch with their times and entities as columns."""
    entities = batch.entities if batch.entities is not None else ("",) * len(batch)
    return batch.frame.assign(time=batch.times, entity=list(entities))
