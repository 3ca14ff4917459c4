"""Which separator a delimited text has, its first records, and whether it is too wide."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

from tocsin.errors import UnreadableFile
from tocsin.readers.encoding import open_text, unreadable
from tocsin.readers.limits import check_names, check_size
from tocsin.readers.numbers import is_written
from tocsin.readers.preamble import Head, count_titles

_SEPARATORS = (",", ";", "\t", "|")
_UNUSUAL = (" ", ":", "^", "~")
_NO_SEPARATOR = "\x1f"  # of one column of texts, in which commas and semicolons may stand
_ALIKE = 0.9  # of the records have as many fields where these are not marks in texts
_COMMA_DECIMAL = re.compile(r"[+-]?\d*,\d+")
_WIDE = 50  # columns, of which a row of two characters comes to 200 times its size
_SAMPLE = 1 << 16


def separate(
    path: Path, text: str, head: Head, *, whole: bool
) -> tuple[str, list[list[str]], list[int]]:
    """Return the separator of a text, its records, and the number of lines up to each."""
    separators = (head.separator,) if head.separator else _SEPARATORS
    candidates = {*separators, *(() if head.separator else _UNUSUAL)}
    parsed = {separator: split(text, separator, whole=whole) for separator in candidates}
    best = max(separators, key=lambda separator: _fit(parsed[separator][0]))
    rows, ends = parsed[best]
    if len(rows[0]) == 1 and not head.separator and not count_titles(rows):
        _refuse_unusual(path, {separator: found[0] for separator, found in parsed.items()})
        decimals = all(_COMMA_DECIMAL.fullmatch(row[0].strip()) for row in parsed[";"][0][1:])
        best = ";" if decimals else _fields_by(parsed) or _NO_SEPARATOR
        rows, ends = parsed[best] if best in parsed else split(text, best, whole=whole)
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


def _refuse_unusual(path: Path, parsed: dict[str, list[list[str]]]) -> None:
    for separator in _UNUSUAL:
        share, _, width = _fit(parsed[separator])
        if share == 1.0 and width >= 3 and len(parsed[separator]) >= 3:
            raise unreadable(
                path,
                f'one column found; the first line looks like it is separated by "{separator}"',
                "Separate the fields by comma, semicolon, tab or |.",
            )


def split(text: str, separator: str, *, whole: bool) -> tuple[list[list[str]], list[int]]:
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


def _fit(rows: list[list[str]]) -> tuple[float, int, int]:
    """Return how well rows below titles share the first one's number of fields, less titles, it."""
    above = count_titles(rows)
    rows = rows[above:]
    width = len(rows[0])
    if width == 1:
        return 0.0, 0, 1
    return sum(len(row) == width for row in rows) / len(rows), -above, width


def check_width(path: Path, encoding: str, separator: str, names: list[str]) -> None:
    """Raise UnreadableFile for too many columns, or rows that leave most of them out."""
    check_names(path, names)
    if len(names) <= _WIDE:
        return
    packed, cell = path.stat().st_size, 8 * len(names)
    with open_text(path, "latin-1") as file:
        rows = 0
        while text := file.read(_SAMPLE):
            rows += max(text.count("\n"), text.count("\r"))
    try:
        check_size(path, cell * rows, packed)
    except UnreadableFile:  # or else lines inside cells
        with open_text(path, encoding) as file:
            for number, _ in enumerate(csv.reader(file, delimiter=separator), 1):
                check_size(path, cell * number, packed)
