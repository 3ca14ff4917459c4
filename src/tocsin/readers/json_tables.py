"""Tables in JSON: a list of records, one record per line, columns, or one of these inside objects.

The table of a container such as {"Records": [...]} is its one list of records (or its one object
of columns, or its one pair of names and rows), however deep it lies; what stands beside it is
left out, with a note. A list of one object counts as that object. Records that hold lists of
records or points, and objects of records: see ``tocsin.readers.json_groups``. Any file may hold an
object per line, or one object after another, of several lines each. Half a surrogate pair in a
text is read as the replacement character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd

from tocsin.errors import UnreadableFile
from tocsin.readers.delimited import Known, numbered_names
from tocsin.readers.encoding import open_text, text_encoding, unreadable
from tocsin.readers.json_groups import holds_telemetry, records_of_object, spread
from tocsin.readers.json_values import loads, whole_number
from tocsin.readers.limits import CHUNK_TEXT
from tocsin.readers.nested import TooSparse, frame_of_records, pairs_as_object, unique_names

_BETWEEN = re.compile(r"[\s,\x1e]*")
_HALF = re.compile("[\ud800-\udfff]")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_NAMES, _ROWS = ("columns", "cols", "fields", "header"), ("data", "values", "rows")
_LEAST = 2  # rows of what counts as a table inside an object


class _Table(NamedTuple):
    """A table inside JSON: where it lies, such as data.stations, its kind, and what holds it."""

    path: str
    kind: Literal["records", "columns", "rows", "cells"]
    content: Any
    rows: int


def read_json_lines(
    path: Path, chunk_rows: int | None, known: Known | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the table of a file with one JSON object per line, whole or in chunks.

    A key that the ``known`` columns have and a chunk lacks is missing there if it occurs in
    another line of the file: the rows do not depend on where the file is cut.
    """
    if _first_object(path) is None:
        with suppress(UnreadableFile):  # else the first line that is none is named below
            yield _whole(path)
            return
    wanted = known.columns if known and chunk_rows else frozenset()

    @cache
    def elsewhere() -> frozenset[str]:
        frames = _line_frames(path, 50_000)
        return frozenset(str(name) for frame in frames for name in frame.columns)

    for frame in _line_frames(path, chunk_rows):
        absent = wanted.difference(map(str, frame.columns))
        if absent:
            absent = absent.intersection(elsewhere())
        yield frame.reindex(columns=[*frame.columns, *sorted(absent)]) if absent else frame


def read_json(
    path: Path, chunk_rows: int | None, known: Known | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the table of a JSON file: whole, or in chunks if it holds one object per line."""
    if _first_object(path) is True:
        yield from read_json_lines(path, chunk_rows, known)
    else:
        yield _whole(path)


def _first_object(path: Path) -> bool | None:
    """Return whether lines follow the first one, None if that is not an object of its own."""
    with open_text(path, text_encoding(path)) as lines:
        first = next((line for line in lines if line.strip()), "")
        more = any(line.strip() for line in lines)
    try:
        return more if isinstance(loads(first), dict) else None
    except json.JSONDecodeError:
        return None


def _whole(path: Path) -> pd.DataFrame:
    """Return the table of a file that is read at once."""
    with open_text(path, text_encoding(path)) as file:
        text = file.read()
    try:
        content = loads(text)
    except json.JSONDecodeError as error:
        content = _one_after_another(text)
        if content is None:
            hint = "Write one list of records, or one object per line."
            raise unreadable(path, f"it is not JSON ({error})", hint) from error
    halves = 0
    if _ESCAPED_HALF.search(text):
        content, halves = without_halves(content)
    frame = _frame(path, content)
    _note_halves(frame, halves)
    return frame


def _one_after_another(text: str) -> list[Any] | None:
    """Return the objects or lists that a text holds one after the other, None for anything else.

    They may be set apart by blanks, commas or the record separators of JSON text sequences.
    """
    found: list[Any] = []
    decoder, place = json.JSONDecoder(parse_int=whole_number), 0
    while (between := _BETWEEN.match(text, place)) and between.end() < len(text):
        try:
            value, place = decoder.raw_decode(text, between.end())
        except json.JSONDecodeError:
            return None
        found.append(value)
    alike = {type(value) for value in found}
    return found if alike in ({dict}, {list}) else None


def _line_frames(path: Path, chunk_rows: int | None) -> Iterator[pd.DataFrame]:
    with open_text(path, text_encoding(path)) as lines:
        numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
        while batch := _batch(numbered, chunk_rows):
            records: list[Any] = []
            halves = 0
            for number, line in batch:
                record = _record(path, number, line)
                if _ESCAPED_HALF.search(line):
                    record, found = without_halves(record)
                    halves += found
                records += _unpacked(record)
            for frame in _framed(records) if chunk_rows else [frame_of_records(records)]:
                _note_halves(frame, halves)
                halves = 0
                yield frame


def _batch(lines: Iterator[tuple[int, str]], rows: int | None) -> list[tuple[int, str]]:
    """Return the next lines: so many, or fewer where they are long; None for all."""
    found: list[tuple[int, str]] = []
    size = 0
    for number, line in lines:
        found.append((number, line))
        size += len(line)
        if rows is not None and (len(found) >= rows or size >= CHUNK_TEXT):
            break
    return found


def _framed(records: list[dict[str, Any]]) -> Iterator[pd.DataFrame]:
    """Yield records as tables, of few rows where these name columns of their own."""
    try:
        yield frame_of_records(records)
    except TooSparse:
        middle = len(records) // 2
        yield from _framed(records[:middle])
        yield from _framed(records[middle:])


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = loads(line)
    except json.JSONDecodeError as error:
        raise unreadable(
            path, f"line {number} is not JSON ({error})", "Each line holds one JSON object."
        ) from error
    if not isinstance(record, dict):
        raise unreadable(
            path,
            f"line {number} holds a {type(record).__name__}, not an object",
            'Each line is an object such as {"watts": 3.5, "mode": "idle"}.',
        )
    return record


def _unpacked(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records of a line: those of its one list if it holds nothing else."""
    if len(record) == 1 and _are_records(next(iter(record.values()))):
        found = list(_tables(record, ""))
        if len(found) == 1 and found[0].kind == "records":
            return spread(found[0].content)[0]
    return [record]


def _frame(path: Path, content: Any) -> pd.DataFrame:
    """Return the table that JSON holds, at the top or inside objects."""
    if isinstance(content, dict) and content and all(isinstance(x, list) for x in content.values()):
        lengths = {name: len(value) for name, value in content.items()}
        if len(lengths) > 1 and len(set(lengths.values())) > 1 and not list(_tables(content, "")):
            raise unreadable(path, f"its columns differ in length: {lengths}", "Make them equal.")
    if content == []:
        return pd.DataFrame()
    found = list(_tables(content, ""))
    longer = [table for table in found if table.rows >= _LEAST] or found
    if not longer:
        longer = list(_objects(content, "")) or _cells(content)
    if not longer:
        raise unreadable(
            path, "it is not a list of records", 'Write it as [{"watts": 3.5}, {"watts": 4.0}].'
        )
    if len(longer) > 1:
        held = ", ".join(f'"{table.path}" ({table.rows:,} rows)' for table in longer[:5])
        raise unreadable(
            path, f"it holds several tables: {held}", "Write the one that is meant as its own file."
        )
    return _noted(longer[0])


def _noted(table: _Table) -> pd.DataFrame:
    inner: tuple[str, ...] = ()
    if table.kind == "records":
        records, inner = spread(table.content)
        frame = frame_of_records(records)
    else:
        frame = _made(table)
    place = ".".join(filter(None, (table.path, *inner)))
    if inner:
        _add_note(frame, f'rows are those of "{place}", with what they share')
    elif place:
        _add_note(frame, f'rows are those of "{place}", what stands beside it is left out')
    return frame


def _tables(value: Any, path: str) -> Iterator[_Table]:
    """Yield the tables inside a value; a list of one object that holds some is that object."""
    if isinstance(value, list):
        single = path and len(value) == 1 and not holds_telemetry(value[0])
        inner = _tables(value[0], path) if single else ()
        if found := [table for table in inner if table.kind != "columns"]:
            yield from found
        elif _are_records(value):
            if not pairs_as_object(value):
                yield _Table(path, "records", value, len(value))
        elif _are_named_rows(value):
            yield _Table(path, "rows", (value[0], value[1:]), len(value) - 1)
    elif isinstance(value, dict):
        if table := _table_of_object(value, path):
            yield table
            return
        for name, each in value.items():
            yield from _tables(each, f"{path}.{name}" if path else name)


def _table_of_object(value: dict[str, Any], path: str) -> _Table | None:
    """Return the table that an object is itself: names and rows, or a list per column."""
    names = next((value[name] for name in _NAMES if name in value), None)
    rows = next((value[name] for name in _ROWS if name in value), None)
    if isinstance(names, list) and isinstance(rows, list) and _are_named_rows([names, *rows]):
        return _Table(path, "rows", (names, rows), len(rows))
    lists = [each for each in value.values() if isinstance(each, list)]
    lengths = {len(each) for each in lists}
    if not lists or len(lists) < len(value) or len(lengths) > 1 or any(map(_are_records, lists)):
        return None
    return _Table(path, "columns", value, lengths.pop())


def _objects(value: Any, path: str) -> Iterator[_Table]:
    """Yield the tables inside a value that are objects of records, as {"a": {…}, "b": {…}}."""
    if not isinstance(value, dict):
        return
    if records := records_of_object(value):
        yield _Table(path, "records", records, len(records))
        return
    for name, each in value.items():
        yield from _objects(each, f"{path}.{name}" if path else name)


def _cells(value: Any) -> list[_Table]:
    """Return the table that lists of equally many single values are, none for other values."""
    if not isinstance(value, list) or len(value) < _LEAST:
        return []
    widths = {len(row) if isinstance(row, list) else 0 for row in value}
    if len(widths) > 1 or 0 in widths or any(isinstance(x, list | dict) for r in value for x in r):
        return []
    return [_Table("", "cells", value, len(value))]


def _made(table: _Table) -> pd.DataFrame:
    if table.kind == "columns":
        return pd.DataFrame(table.content)
    if table.kind == "cells":
        width = len(table.content[0])
        return pd.DataFrame(table.content, columns=numbered_names(width))
    names, rows = table.content
    return pd.DataFrame(rows, columns=unique_names(names))


def _are_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(x, dict) for x in value)


def _are_named_rows(value: list[Any]) -> bool:
    """Return whether this is a list of names and then of rows as long."""
    if len(value) < 1 + _LEAST or not all(isinstance(row, list) for row in value):
        return False
    names, *rows = value
    width = len(names)
    return (
        width > 0
        and all(isinstance(name, str) for name in names)
        and all(len(row) == width for row in rows)
    )


def without_halves(value: Any) -> tuple[Any, int]:
    """Return JSON with the replacement character for halves of surrogate pairs, and how many."""
    text = json.dumps(value, ensure_ascii=False)
    whole, count = _HALF.subn("\ufffd", text)
    return (loads(whole), count) if count else (value, 0)


def _note_halves(frame: pd.DataFrame, count: int) -> None:
    if count:
        pairs = "pair" if count == 1 else "pairs"
        _add_note(frame, f"{count:,} half surrogate {pairs} read as the replacement character")


def _add_note(frame: pd.DataFrame, note: str) -> None:
    """Note what was done when a table was read."""
    frame.attrs["notes"] = (*frame.attrs.get("notes", ()), note)
