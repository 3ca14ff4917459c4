"""Rows of a CSV file that grows: which of its lines are its header, and what the others hold."""

from __future__ import annotations

import codecs
import csv
import io
import re
from contextlib import suppress
from dataclasses import replace

import pandas as pd

from tocsin.sources._decoding import text_of
from tocsin.sources._records import Fields, rows_of, shown
from tocsin.types import Batch, Offset, Rejection

_CODE = re.compile(r"0\d+|\d+[eE]\d+")
_CODE_OR_GROUPED = re.compile(rf"{_CODE.pattern}|[+-]?\d{{1,3}}(?:\.\d{{3}})+")
_SEP = re.compile(rb"sep=(.)\r?\n?", re.IGNORECASE)


class CsvRows:
    """The header of a CSV file, and its lines as rows.

    ``earlier``: the header of the file that this one goes on from, which holds here too where its
    first line is a row: a program that was not told of a rotation writes no second header.
    """

    def __init__(self, earlier: bytes = b"") -> None:
        self.header = b""
        self.inherits = False
        self._earlier = earlier
        self._mark: str | None = None  # between values, where a line "sep=" says it

    def takes(self, line: bytes) -> bool:
        """Return whether a line is part of what is before the rows; it is kept if it is."""
        if self.header:
            return False
        line = line.removeprefix(codecs.BOM_UTF8)
        if self._mark is None and (said := _SEP.fullmatch(line)):
            self._mark = said[1].decode("latin-1")
            return True
        self.inherits = bool(self._earlier) and self._is_row(line)
        self.header = self._earlier if self.inherits else line
        return not self.inherits

    def batch(self, lines: list[bytes], fields: Fields, offset: Offset) -> Batch:
        """Return lines as rows; those of another number of values are rejected."""
        delimiter = self._delimiter(self.header)
        names = _values(self.header, delimiter)
        good, rejected = [], []
        for raw in lines:
            row = _values(raw, delimiter)
            if row == names:
                reason = "it is no row: it repeats the names of the columns"
                rejected.append(Rejection("empty", reason, shown(raw)))
            elif len(row) == len(names):
                good.append(row)
            else:
                reason = f"it has {len(row)} values for {len(names)} columns"
                rejected.append(Rejection("malformed", reason, shown(raw)))
        batch = rows_of(_frame(names, good, delimiter), fields, offset=offset)
        return replace(batch, rejected=(*rejected, *batch.rejected))

    def _is_row(self, line: bytes) -> bool:
        """Return whether a first line is a row under the earlier header: it holds a number."""
        delimiter = self._delimiter(self._earlier)
        names, row = _values(self._earlier, delimiter), _values(line, delimiter)
        return len(row) == len(names) and row != names and any(map(_is_number, row))

    def _delimiter(self, header: bytes) -> str:
        return self._mark or max(",;\t|", key=lambda mark: header.count(mark.encode()))


def _frame(names: list[str], rows: list[list[str]], delimiter: str) -> pd.DataFrame:
    """Return rows as a table, whose columns are numbers where that leaves nothing open.

    001 is not 1, and where commas are free for decimals 1.234 may be a thousand: training tells.
    """
    if not rows:
        return pd.DataFrame(columns=names)
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows])
    text.seek(0)
    frame = pd.read_csv(text)
    is_open = (_CODE if delimiter == "," else _CODE_OR_GROUPED).fullmatch
    for name, values in zip(frame.columns, zip(*rows, strict=True), strict=False):
        if frame[name].dtype.kind in "iuf" and any(map(is_open, values)):
            frame[name] = pd.Series(values, dtype=object)
    return frame


def _is_number(text: str) -> bool:
    with suppress(ValueError):
        return bool(text) and float(text.replace(",", ".")) is not None
    return False


def _values(line: bytes, delimiter: str) -> list[str]:
    """Return the values of one CSV line, none for one that is too odd; a quote ends with it."""
    try:
        return next(csv.reader([text_of(line)], delimiter=delimiter), [])
    except csv.Error:
        return []
