"""Which character separates the fields of a text, and refusing texts that no character separates.

Comma, semicolon, tab and | separate; runs of blanks do where no other does, rows have equally many
fields and at least half of the columns hold numbers. The names may be one field short, as R and
others write them: the first column, of the names of rows, has none.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

from tocsin.readers.encoding import unreadable
from tocsin.readers.numbers import is_written
from tocsin.readers.preamble import Head, count_titles

_SEPARATORS = (",", ";", "\t", "|")
_UNUSUAL = (" ", ":", "^", "~")
BLANKS = r"\s+"
"""The separator of texts whose fields stand apart by one blank or more."""

_NO_SEPARATOR = "\x1f"  # of one column of texts, in which commas and semicolons may stand
_ALIKE = 0.9  # of the records have as many fields where these are not marks in texts
_COMMA_DECIMAL = re.compile(r"[+-]?\d*,\d+")
_KEY = re.compile(r"(?<!\S)[A-Za-z_][\w.-]*=(?=\S)")
_NAME = re.compile(r"[A-Za-z_][\w.()%/-]*")
_ESCAPED = re.compile(r'"[^"\n]*(?<!\\)\\"(?![,;\t|\r\n]|$)')
_LEAST, _LEAST_NAMES = 3, 5
_LOOKED_AT = 150  # records that are looked at cell by cell


def separate(
    path: Path, text: str, head: Head, *, whole: bool
) -> tuple[str, list[list[str]], list[int]]:
    """Return the separator of a text, its records, and the number of lines up to each."""
    separators = (head.separator,) if head.separator else _SEPARATORS
    parsed = {separator: _split(text, separator, whole=whole) for separator in separators}
    best = max(separators, key=lambda separator: _fit(parsed[separator][0]))
    rows, ends = parsed[best]
    if len(rows[0]) == 1 and not head.separator and not count_titles(rows):
        spaced = _split_at_blanks(text, whole=whole)
        if _are_columns(spaced[0]):
            return BLANKS, *spaced
        _refuse_unusual(path, {mark: _split(text, mark, whole=whole)[0] for mark in _UNUSUAL})
        decimals = all(_COMMA_DECIMAL.fullmatch(row[0].strip()) for row in parsed[";"][0][1:])
        best = ";" if decimals else _fields_by(parsed) or _NO_SEPARATOR
        rows, ends = parsed[best] if best in parsed else _split(text, best, whole=whole)
    return best, rows, ends


def _fields_by(parsed: dict[str, tuple[list[list[str]], list[int]]]) -> str:
    """Return what separates numbers or fields below a single name, "" if they are texts."""
    for separator in _SEPARATORS:
        rows = parsed[separator][0][1:]
        several = [row for row in rows if len(row) > 1] or rows
        numbers = sum(2 * sum(map(is_written, row)) >= len(row) for row in several)
        widths = Counter(len(row) for row in rows).most_common(1)
        alike = widths and widths[0][0] > 1 and widths[0][1] >= _ALIKE * len(rows)
        if alike or 2 * numbers >= len(several):
            return separator
    return ""


def refuse_uneven(path: Path, rows: list[list[str]], named: int) -> None:
    """Raise UnreadableFile for a record of another width than the names, ``named`` if elsewhere."""
    width = named or len(rows[0])
    for number, row in enumerate(rows[0 if named else 1 :], 1 if named else 2):
        if len(row) < width or any(row[width:]):
            raise unreadable(
                path,
                f"record {number} has {len(row)} fields where the first has {width}",
                "The first holds the names. A field that contains the separator needs quotes; "
                "a missing value is an empty field.",
            )


def refuse_backslashes(path: Path, text: str) -> None:
    """Raise UnreadableFile for quotes that a backslash escapes, which would shift the fields."""
    if found := _ESCAPED.search(text):
        raise unreadable(
            path,
            f'a quote within quotes is written \\", as in {found[0][-40:]}',
            'Write it twice: "".',
        )


def refuse_pairs(path: Path, rows: list[list[str]]) -> None:
    """Raise UnreadableFile if a field is key=value with one key in nearly all records."""
    for place, cell in enumerate(rows[0]):
        key = _KEY.search(cell)
        below = [row[place] for row in rows[1:_LOOKED_AT] if place < len(row)]
        if not key or len(below) < _LEAST:
            continue
        if sum(key[0] in other for other in below) >= _ALIKE * len(below):
            raise unreadable(
                path,
                f'its fields are pairs such as "{cell[:60]}", without a row of names',
                "Write names in the first row and values below, or read its lines: --as logs.",
            )


def _refuse_unusual(path: Path, parsed: dict[str, list[list[str]]]) -> None:
    for separator in _UNUSUAL:
        share, _, width = _fit(parsed[separator])
        if share == 1.0 and width >= 3 and len(parsed[separator]) >= 3:
            raise unreadable(
                path,
                f'one column found; the first line looks like it is separated by "{separator}"',
                "Separate the fields by comma, semicolon, tab or |.",
            )


def _split(text: str, separator: str, *, whole: bool) -> tuple[list[list[str]], list[int]]:
    """Return the records of a text, and the number of lines up to the end of each."""
    rows, ends = [], []
    try:
        records = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        for row in records:
            rows.append(row)
            ends.append(records.line_num)
    except csv.Error:
        return [[""]], [1]
    if not whole and len(rows) > 1:
        rows.pop()  # cut off in the middle
    kept = [i for i, row in enumerate(rows) if row]
    return [rows[i] for i in kept] or [[""]], [ends[i] for i in kept] or [1]


def _split_at_blanks(text: str, *, whole: bool) -> tuple[list[list[str]], list[int]]:
    tidy = "".join(" ".join(line.split()) + "\n" for line in text.splitlines())
    return _split(tidy if whole else tidy[:-1], " ", whole=whole)


def _are_columns(rows: list[list[str]]) -> bool:
    """Return whether records are of a table: as many fields in each, numbers in half of them."""
    below = rows[1:_LOOKED_AT]
    width = len(below[0]) if below else 0
    if len(below) < _LEAST or width < 2 or any(len(row) != width for row in rows[1:]):
        return False
    if width - len(rows[0]) not in (0, 1) or any(map(is_written, rows[0])):
        return False
    numbers = [sum(is_written(row[i]) for row in below) for i in range(width)]
    return 2 * sum(count >= _ALIKE * len(below) for count in numbers) >= width


def names_of_short(rows: list[list[str]]) -> tuple[str, ...]:
    """Return the names if the first record is a field short of all others, else none.

    >>> names_of_short([["v", "zone"], ["1", "5.1", "a"], ["2", "4.9", "b"], ["3", "5.0", "a"]])
    ('row', 'v', 'zone')
    """
    names, below = rows[0], rows[1:]
    short = len(below) >= _LEAST and all(len(row) == len(names) + 1 for row in below)
    if not short or not any(row[-1] for row in below) or any(map(is_written, names)):
        return ()
    return (next(name for name in ("row", "row.1", "row.2") if name not in names), *names)


def join_fields(row: list[str], separator: str) -> str:
    """Return a record as a line."""
    return (" " if separator == BLANKS else separator).join(row)


def is_spaced_table(text: str) -> bool:
    """Return whether a text is a table of names and fields that blanks separate, not a log."""
    rows, _ = _split_at_blanks(text, whole=True)
    names = rows[0]
    named = len(names) >= _LEAST_NAMES and all(map(_NAME.fullmatch, names))
    return named and len(set(names)) == len(names) and _are_columns(rows)


def _fit(rows: list[list[str]]) -> tuple[float, int, int]:
    """Return how well rows below titles share the first one's number of fields, less titles, it."""
    above = count_titles(rows)
    rows = rows[above:]
    width = len(rows[0])
    if width == 1:
        return 0.0, 0, 1
    return sum(len(row) == width for row in rows) / len(rows), -above, width
