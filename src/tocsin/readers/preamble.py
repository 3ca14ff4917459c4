"""What stands above the rows of a delimited file: comments, titles, ``sep=``, units.

Excel's ``sep=;`` names the separator. Lines that begin with # are comments, wherever they stand
if the file begins with one; the last of them holds the names if the rows below have as many
fields and it has no number, and so does ``#fields`` (Zeek) and ``#Fields:`` (W3C). Titles are
lines of another number of fields, or of one field among many, above the names. Lines of units
or the like stand between the names and the rows: they have no number where all rows have one, or
are dashes.
A first row with a time above times, or with a number above numbers and a word that recurs below,
holds no names.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tocsin.readers import times
from tocsin.readers.numbers import is_written
from tocsin.readers.units import UNITS

_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_RULE = re.compile(r":?-{2,}:?|={2,}")  # lines drawn below names
_MOST_TITLES, _MOST_UNITS = 40, 3
_LEAST_ROWS = 3


class Head(NamedTuple):
    """What a file begins with.

    ``separator``: as ``sep=`` or comments name it, or "". ``lines``: how many ``sep=`` takes.
    ``comments``: whether lines that begin with # are comments. ``names``: those they hold.
    """

    separator: str
    lines: int
    comments: bool
    names: tuple[str, ...]


class Uncommented(io.TextIOBase):
    """The text of a file without its lines that begin with #."""

    def __init__(self, file: Iterator[str]) -> None:
        self._lines = (line for line in file if not line.startswith("#"))
        self._rest = ""

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int | None = -1) -> str:
        """Return ``size`` characters, or all that is left."""
        parts, length = [self._rest], len(self._rest)
        while size is None or size < 0 or length < size:
            line = next(self._lines, "")
            if not line:
                break
            parts.append(line)
            length += len(line)
        text = "".join(parts)
        cut = len(text) if size is None or size < 0 else size
        self._rest = text[cut:]
        return text[:cut]


def split_head(text: str) -> tuple[Head, str]:
    """Return the beginning of a text, and the text without comments and ``sep=``."""
    lines = text.splitlines(keepends=True)
    separator = ""
    if lines and (named := _SEPARATOR.fullmatch(lines[0].lstrip("\ufeff"))):
        separator, lines = named[1], lines[1:]
    leading = [line for line in lines[:200] if line.strip()]
    if not leading or not leading[0].startswith("#"):
        return Head(separator, int(bool(separator)), False, ()), "".join(lines)
    rows = [line for line in lines if not line.startswith("#")]
    comments = [line.rstrip("\r\n") for line in lines if line.startswith("#")]
    first = next((line for line in rows if line.strip()), "")
    mark, names = _names(comments, first, separator)
    return Head(mark or separator, int(bool(separator)), True, names), "".join(rows)


def _names(comments: list[str], first: str, separator: str) -> tuple[str, tuple[str, ...]]:
    """Return the names that comments above the first row hold, and what separates them."""
    for line in comments:
        if line.startswith("#fields\t"):
            return "\t", tuple(line.split("\t")[1:])
        if line.startswith("#Fields: "):
            return " ", tuple(line.split()[1:])
    for mark in filter(None, (separator, ";", "\t", "|", ",")):
        names = comments[-1].removeprefix("#").strip(" ").split(mark)
        cells = first.rstrip("\r\n").split(mark)
        if len(names) == len(cells) > 1 and any(map(is_written, cells)):
            clean = tuple(name.strip().strip('"') for name in names)
            held = () if any(map(is_written, clean)) else (clean[0] or "#", *clean[1:])
            return mark, held
    return "", ()


def count_titles(rows: list[list[str]]) -> int:
    """Return how many of the first rows are titles above the names, 0 if that is unclear."""
    widths = Counter(len(row) for row in rows)
    width = widths.most_common(1)[0][0]
    if width < 2:
        return 0
    for skip, row in enumerate(rows[:_MOST_TITLES]):
        filled = [cell for cell in row if cell.strip()]
        if len(row) == width and (len(filled) > 1 or width < 3):
            below = rows[skip:]
            alike = all(len(other) == width for other in below)
            named = len(filled) == len(set(filled)) and not any(map(is_written, filled))
            return skip if alike and named and len(below) > _LEAST_ROWS else 0
    return 0


def count_unit_rows(rows: list[list[str]]) -> int:
    """Return how many rows below the names in the first are units or the like."""
    found = 0
    for i in range(1, min(_MOST_UNITS + 1, len(rows) - _LEAST_ROWS)):
        below = rows[i + 1 : i + 200]
        number = next((place for place, cell in enumerate(rows[i]) if is_number(cell)), None)
        if number is not None and _is_measured(below, number):
            continue
        measured = [place for place in range(len(rows[0])) if _is_measured(below, place)]
        cells = [rows[i][place].strip() for place in measured if place < len(rows[i])]
        words = [cell for cell in cells if cell]
        if all(map(_RULE.fullmatch, (cell.strip() for cell in rows[i] if cell.strip()))):
            found = i
            continue
        if not words or any(map(is_written, words)):
            continue
        known = any(word.strip("[]()") in UNITS or word in ("%", "°") for word in words)
        if known or len(words) > 1:
            found = i
    return found


def begins_with_data(rows: list[list[str]]) -> bool:
    """Return whether the first row holds values: a time, or a number and a word that recurs.

    Numbers above numbers alone may be names, such as years or wavelengths.
    """
    first, below = rows[0], [row for row in rows[1:] if row != rows[0]]
    if len(below) < _LEAST_ROWS:
        return False
    columns = [[row[i] for row in below if i < len(row)] for i in range(len(first))]
    if any(_is_time(cell, cells) for cell, cells in zip(first, columns, strict=True)):
        return True
    numbers = any(is_written(cell) and _is_measured(below, i) for i, cell in enumerate(first))
    words = zip(first, columns, strict=True)
    return numbers and any(
        cell.strip() and not is_written(cell) and cell in cells for cell, cells in words
    )


def _is_time(cell: str, cells: list[str]) -> bool:
    """Return whether a cell with the cells below it reads as times."""
    if not any(mark.isdigit() for mark in cell) or is_written(cell) or all(map(is_number, cells)):
        return False
    texts = np.array([cell, *cells], dtype=object)
    found = times.find(texts)
    return found is not None and not np.isnat(times.read(texts, found.style)).any()


def _is_measured(rows: list[list[str]], place: int) -> bool:
    """Return whether a column has numbers alone, and enough to tell."""
    cells = [row[place] for row in rows if len(row) > place and row[place]]
    return len(cells) >= min(_LEAST_ROWS, len(rows)) and all(map(is_written, cells))


def is_number(cell: str) -> bool:
    """Return whether a cell is a number as computers write it."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
