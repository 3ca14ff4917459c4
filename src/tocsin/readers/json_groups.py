"""Rows of JSON that stand in groups: records inside records, points of a series, named records.

Records that each hold a list of records under the same name, ten or more on average, are groups:
the rows are those of the lists, each with what its group holds beside them. The groups of
OpenTelemetry are always such. A list of pairs of a time and a value, as databases of time series
return them, is a list of records with these two. An object of objects that are alike is a
table too: of columns if these are by row, else of records by their names, which become the
column "key" unless they number the rows.
"""

from __future__ import annotations

from typing import Any

from tocsin.readers.nested import pairs_as_object

_TELEMETRY = frozenset(
    {"scopeLogs", "logRecords", "scopeMetrics", "metrics", "scopeSpans", "spans", "dataPoints"}
)
_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_LEAST_PER_GROUP = 10
_LEAST_OBJECTS = 3
_ALIKE = 0.5  # of all names must be in an object on average
_DEEPEST = 6
_LONG = 20  # digits, more than rows have
_FROM = 1e8  # seconds since 1970 of 1973
Record = dict[str, Any]


def spread(records: list[Record]) -> tuple[list[Record], tuple[str, ...]]:
    """Return the rows of records, and the names of the lists that they were taken from.

    >>> points = [[1767355200 + i, "1.5"] for i in range(10)]
    >>> spread([{"job": "web", "values": points}])[0][0]
    {'job': 'web', 'time': 1767355200, 'value': '1.5'}
    """
    names: list[str] = []
    records = [_with_points(record) for record in records]
    while len(names) < _DEEPEST and (name := _group_name(records)):
        records = [_with_points(row) for record in records for row in _rows(record, name)]
        names.append(name)
    return records, tuple(names)


def holds_telemetry(value: Any) -> bool:
    """Return whether a value is a group of OpenTelemetry, which may be the only one."""
    return isinstance(value, dict) and not _TELEMETRY.isdisjoint(value)


def records_of_object(value: Record) -> list[Record]:
    """Return the records of an object of objects that are alike, none for any other object.

    >>> records_of_object({"a": {"v": 1}, "b": {"v": 2}, "c": {"v": 3}})[0]
    {'key': 'a', 'v': 1}
    >>> records_of_object({"v": {"0": 1, "1": 2, "2": 3}, "w": {"0": 4, "1": 5, "2": 6}})[0]
    {'v': 1, 'w': 4}
    """
    objects = list(value.values())
    if not objects or not all(isinstance(each, dict) and each for each in objects):
        return []
    names = list(dict.fromkeys(name for each in objects for name in each))
    if sum(map(len, objects)) < _ALIKE * len(names) * len(objects):
        return []
    if len(names) > len(value) or (_are_numbers(names) and not _are_numbers(list(value))):
        if len(names) < _LEAST_OBJECTS or any(
            isinstance(x, dict) for o in objects for x in o.values()
        ):
            return []
        rows: list[Record] = [{c: value[c].get(name) for c in value} for name in names]
        return _named(names, rows)
    return _named(list(value), objects) if len(objects) >= _LEAST_OBJECTS else []


def _named(names: list[str], rows: list[Record]) -> list[Record]:
    if _are_numbers(names):
        return rows
    return [{"key": name, **row} for name, row in zip(names, rows, strict=True)]


def _are_numbers(names: list[str]) -> bool:
    """Return whether names number rows, one after the other."""
    if not all(name.isdecimal() and len(name) < _LONG for name in names):
        return False
    return len(set(map(int, names))) == 1 + max(map(int, names)) - min(map(int, names))


def _with_points(record: Record) -> Record:
    """Return a metric of OpenTelemetry with its points beside its name, any other record as it is.

    They stand under the kind of the metric, as in {"name": …, "gauge": {"dataPoints": […]}}.
    """
    kind = next((name for name in _KINDS if isinstance(record.get(name), dict)), None)
    if kind is None or "dataPoints" not in record[kind]:
        return record
    return {**{name: value for name, value in record.items() if name != kind}, **record[kind]}


def _group_name(records: list[Record]) -> str:
    """Return the name under which records hold lists of rows, "" if they are rows themselves."""
    first = records[0] if records else {}
    every = {name: None for record in records for name in record}
    for name in [name for name in every if name in first or name in _TELEMETRY]:
        if name in _TELEMETRY and any(isinstance(record.get(name), list) for record in records):
            return name
        lists = [record.get(name) for record in records]
        if not all(isinstance(each, list) and each for each in lists):
            continue
        held = [each for each in lists if isinstance(each, list)]
        rows = sum(map(len, held))
        if rows >= _LEAST_PER_GROUP * len(records) and all(map(_are_rows, held)):
            return name
    return ""


def _are_rows(value: list[Any]) -> bool:
    if all(isinstance(each, dict) for each in value):
        return pairs_as_object(value) is None
    return _time_place(value) is not None


def _time_place(points: list[Any]) -> int | None:
    """Return which of two values is the time in a list of points, None if there is none."""
    if not all(isinstance(each, list) and len(each) == 2 for each in points):
        return None
    for place in (0, 1):
        cells = [each[place] for each in points]
        if all(isinstance(x, int | float) and x > _FROM for x in cells):
            return place if cells == sorted(cells) else None
    return None


def _rows(record: Record, name: str) -> list[Record]:
    held = record.get(name)
    shared = {key: value for key, value in record.items() if key != name}
    if not isinstance(held, list):
        return []
    place = None if any(isinstance(row, dict) for row in held) else _time_place(held)
    if place is not None:
        held = [{"time": point[place], "value": point[1 - place]} for point in held]
    return [
        {
            **{(f"{name}.{key}" if key in row else key): value for key, value in shared.items()},
            **row,
        }
        for row in held
        if isinstance(row, dict)
    ]
