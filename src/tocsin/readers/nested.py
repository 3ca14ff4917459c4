"""Cells that hold more than one value: objects, maps and lists become columns.

An object, also one inside another, becomes columns a.b; one that is a time becomes that time. A
list of keys with values is an object too, as the maps of Parquet and the tags of clouds are. The
text of an XML element written as {"#text": …} is the element's own value. Lists of numbers, all of
one length, become columns a_0, a_1, …; other lists stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tocsin.errors import InputError
from tocsin.readers.limits import most_names
from tocsin.readers.time_objects import time_of_object
from tocsin.types import FloatArray

_WIDEST = 10_000  # the longest lists that become columns
_PAIRS = tuple(
    (key, value)
    for word in ("key", "Key", "name", "Name")
    for key, value in ((word, "value"), (word, "Value"))
)
_TEXT = "#text"


class TooSparse(InputError):
    """Records name so many columns that nearly all cells of their table would be empty."""


def frame_of_records(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the table of records (n), with a column per value of the objects in them.

    >>> frame_of_records([{"a": 1, "gps": {"lat": 52.5}}]).columns.tolist()
    ['a', 'gps.lat']

    Raises TooSparse if nearly all of its cells would be empty.
    """
    nested = {name for record in records for name in record if _is_nested(record[name])}
    if not nested:
        return _framed(records)
    objects: set[str] = set()
    frame = _framed([_flatten(record, objects) for record in records])
    missing = [name for name in objects.intersection(frame) if frame[name].isna().all()]
    return without_lists(frame.drop(columns=missing))


def _framed(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    values = sum(map(len, records))
    most = most_names(len(records), values)
    if values > most and (count := len(set().union(*records))) > most:
        raise TooSparse(
            f"its {len(records):,} records name {count:,} columns, of which each has few "
            f"({most:,} would be read)"
        )
    return pd.DataFrame(list(records))


def frame_of_arrow(table: pa.Table) -> pd.DataFrame:
    """Return a table of Arrow without nested columns, as ``frame_of_records`` does."""
    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = _with_times(table).flatten()
    maps = [i for i, kind in enumerate(table.schema.types) if _holds_objects(kind)]
    names = unique_names(table.schema.names)
    table = table.rename_columns(names)
    listed = any(pa.types.is_nested(kind) for kind in table.schema.types)
    if not maps:
        frame = table.to_pandas(ignore_metadata=True)
        return without_lists(frame) if listed else frame
    held = [names[i] for i in maps]
    frame = without_lists(table.drop_columns(held).to_pandas(ignore_metadata=True))
    return pd.concat([frame, frame_of_records(table.select(held).to_pylist())], axis=1)


def without_lists(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose lists of numbers, of one length in a column, are columns a_0, a_1 …."""
    stacked = [_stacked(frame.iloc[:, i]) for i in range(frame.shape[1])]
    if all(values is None for values in stacked):
        return frame
    parts: list[pd.DataFrame] = []
    for i, values in enumerate(stacked):
        if values is None:
            parts.append(frame.iloc[:, [i]])
        else:
            names = [f"{frame.columns[i]}_{j}" for j in range(values.shape[1])]
            parts.append(pd.DataFrame(values, columns=names, index=frame.index))
    return pd.concat(parts, axis=1)


def pairs_as_object(value: Any) -> dict[str, Any] | None:
    """Return the object that a list of keys with values is, None for any other value.

    >>> pairs_as_object([{"key": "zone", "value": "b"}])
    {'zone': 'b'}
    """
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(each, tuple) and len(each) == 2 for each in value):
        return {str(key): held for key, held in value}
    if not all(isinstance(each, dict) and len(each) == 2 for each in value):
        return None
    for key, held in _PAIRS:
        if all(key in each and held in each for each in value):
            found = {str(each[key]): each[held] for each in value}
            return found if len(found) == len(value) else None
    return None


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _flatten(record: Mapping[str, Any], objects: set[str]) -> dict[str, Any]:
    """Return a record of single values and lists; the names of objects are added to ``objects``."""
    flat: dict[str, Any] = {}
    for name, value in _leaves(record, "", objects):
        flat[f"{name}.1" if name in flat else name] = value
    return flat


def _leaves(record: Mapping[str, Any], prefix: str, objects: set[str]) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        name = prefix[:-1] if key == _TEXT and prefix else f"{prefix}{key}"
        inner = value if isinstance(value, dict) else pairs_as_object(value)
        if inner is None:
            yield name, value
        elif (moment := time_of_object(inner)) is not None:
            yield name, moment
        else:
            objects.add(name)
            yield from _leaves(inner, f"{name}.", objects)


def _with_times(table: pa.Table) -> pa.Table:
    """Return a table whose structs that are times, such as sec and nanosec, are times as text."""
    for place, column in enumerate(table.schema):
        if not pa.types.is_struct(column.type):
            continue
        if time_of_object({inner.name: 0 for inner in column.type}) is not None:
            cells = [None if x is None else time_of_object(x) for x in table[place].to_pylist()]
            table = table.set_column(place, column.name, pa.array(cells, pa.string()))
    return table


def _holds_objects(kind: pa.DataType) -> bool:
    """Return whether a column holds maps or lists of objects."""
    if pa.types.is_map(kind):
        return True
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return bool(listed and pa.types.is_struct(kind.value_type))


def _stacked(cells: pd.Series[Any]) -> FloatArray | None:
    """Return the lists of a column as numbers (n, length), None for other cells."""
    if cells.dtype != object:
        return None
    given = cells[cells.notna()]
    widths = {len(each) if isinstance(each, list | np.ndarray) else 0 for each in given}
    width = widths.pop() if len(widths) == 1 else 0
    if not 0 < width <= _WIDEST:
        return None
    values = np.full((len(cells), width), np.nan)
    try:
        values[cells.notna().to_numpy()] = np.array(given.tolist(), dtype=np.float64)
    except (TypeError, ValueError):  # lists of texts, or of lists
        return None
    return values


def unique_names(names: Iterable[str]) -> list[str]:
    """Return names of which none occurs twice: the second a is a.1."""
    taken: dict[str, None] = {}
    counts: dict[str, int] = {}
    for name in names:
        other = name
        while other in taken:
            counts[name] = counts.get(name, 0) + 1
            other = f"{name}.{counts[name]}"
        taken[other] = None
    return list(taken)
