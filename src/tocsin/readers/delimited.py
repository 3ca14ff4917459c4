"""Delimited text: which encoding, which separator, which decimal mark, and is there a header."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tocsin.errors import UnreadableFile

_SEPARATORS = (",", ";", "\t", "|")
_UNUSUAL = (" ", ":", "^", "~")
_SAMPLE = 1 << 16
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SIGNATURES = {
    b"PAR1": "a Parquet file (.parquet)",
    b"PK\x03\x04": "a zip archive or a spreadsheet: save the sheet as CSV",
    b"\x1f\x8b": "a gzip file (.gz)",
    b"\x93NUMPY": "a NumPy file (.npy)",
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database",
}
_COMMA_DECIMAL = re.compile(r"[+-]?\d*,\d+")
_POINT_DECIMAL = re.compile(r"[+-]?\d*\.\d+")


def unreadable(path: Path, wrong: str, remedy: str) -> UnreadableFile:
    """Return the error that says what is wrong with a file and what to do."""
    return UnreadableFile(f"Cannot read {path}: {wrong}. {remedy}")


@dataclass(frozen=True, slots=True)
class _Dialect:
    separator: str
    decimal: str
    header: bool


def read_delimited(path: Path, chunk_rows: int | None) -> Iterator[pd.DataFrame]:
    """Yield the table of a delimited text file, whole or in chunks."""
    encoding = text_encoding(path)
    dialect = _dialect(path, encoding)
    settings: dict[str, Any] = {
        "sep": dialect.separator,
        "decimal": dialect.decimal,
        "header": 0 if dialect.header else None,
        "encoding": encoding,
        "index_col": False,
        "compression": "gzip" if path.suffix.lower() == ".gz" else None,
    }
    if chunk_rows is None:
        yield _named(pd.read_csv(path, low_memory=False, **settings), dialect)
        return
    with pd.read_csv(path, chunksize=chunk_rows, **settings) as frames:
        for frame in frames:
            yield _named(frame.reset_index(drop=True), dialect)


def _named(frame: pd.DataFrame, dialect: _Dialect) -> pd.DataFrame:
    return frame if dialect.header else frame.set_axis(numbered_names(frame.shape[1]), axis=1)


def text_encoding(path: Path) -> str:
    """Return the encoding of a text file; raises UnreadableFile where it is no text."""
    with _open_bytes(path) as file:
        head = file.read(_SAMPLE)
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    for signature, what in _SIGNATURES.items():
        if head.startswith(signature):
            raise unreadable(path, f"its content is {what}", "Give it the ending of its format.")
    if b"\0" in head:
        even, odd = head[::2].count(0), head[1::2].count(0)
        if min(even, odd) > 0.02 * len(head) or max(even, odd) < 0.2 * len(head):
            raise unreadable(path, "its content is binary, not text", "Check its format.")
        return "utf-16-le" if odd > even else "utf-16-be"
    controls = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\f\x1b")
    if controls > 0.02 * len(head):
        raise unreadable(path, "its content is binary, not text", "Check its format.")
    return "utf-8" if _is_utf8(path) else "latin-1"


def _is_utf8(path: Path) -> bool:
    try:
        with open_text(path, "utf-8") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _open_bytes(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def open_text(path: Path, encoding: str) -> Any:
    """Open a text file, also a compressed one, with its line ends as they are."""
    opener: Callable[..., Any] = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding=encoding, newline="")


def _dialect(path: Path, encoding: str) -> _Dialect:
    with open_text(path, encoding) as file:
        text = file.read(_SAMPLE)
        whole = not file.read(1)
    if not text.strip():
        raise unreadable(path, "it holds nothing but blanks", "Give a file with rows of data.")
    parsed = {
        separator: _split(text, separator, whole=whole) for separator in (*_SEPARATORS, *_UNUSUAL)
    }
    best = max(_SEPARATORS, key=lambda separator: _fit(parsed[separator]))
    rows = parsed[best]
    if len(rows[0]) == 1:
        _refuse_unusual(path, parsed)
        rows = parsed[";"]
        decimals = all(_COMMA_DECIMAL.fullmatch(row[0].strip()) for row in rows[1:])
        best = ";" if decimals else ","
    for number, row in enumerate(rows[1:], 2):
        if len(row) < len(rows[0]) or any(row[len(rows[0]) :]):
            raise unreadable(
                path,
                f"record {number} has {len(row)} fields where the first has {len(rows[0])}",
                "The first holds the names. A field that contains the separator needs quotes; "
                "a missing value is an empty field.",
            )
    cells = [cell.strip() for row in rows[1:] for cell in row]
    commas = any(_COMMA_DECIMAL.fullmatch(cell) for cell in cells)
    points = any(_POINT_DECIMAL.fullmatch(cell) for cell in cells)
    decimal = "," if best != "," and commas and not points else "."
    # Columns without names are often written with their numbers as names.
    counted = len(rows[0]) > 1 and rows[0] == [str(number) for number in range(len(rows[0]))]
    header = counted or not all(_is_number(cell.replace(decimal, ".")) for cell in rows[0])
    return _Dialect(best, decimal, header)


def _refuse_unusual(path: Path, parsed: dict[str, list[list[str]]]) -> None:
    for separator in _UNUSUAL:
        share, width = _fit(parsed[separator])
        if share == 1.0 and width >= 3 and len(parsed[separator]) >= 3:
            raise unreadable(
                path,
                f'one column found; the first line looks like it is separated by "{separator}"',
                "Separate the fields by comma, semicolon, tab or |.",
            )


def _split(text: str, separator: str, *, whole: bool) -> list[list[str]]:
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:
        return [[""]]
    if not whole and len(rows) > 1:
        rows.pop()  # cut off in the middle
    return [row for row in rows if row] or [[""]]


def _fit(rows: list[list[str]]) -> tuple[float, int]:
    """Return how well rows share the first one's number of fields, and that number."""
    width = len(rows[0])
    if width == 1:
        return 0.0, 1
    return sum(len(row) == width for row in rows) / len(rows), width


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def numbered_names(width: int) -> list[str]:
    """Return names x0, x1, … for columns that have none."""
    return [f"x{i}" for i in range(width)]
