"""What a file may become in memory: one rule for all readers, against bombs and mistakes.

A file may come to ``TOCSIN_MOST_BYTES`` (16 GiB), and to 200 times its size once it exceeds
256 MiB, whatever it is packed with: gzip, zip, Parquet, or rows that name few of many columns. A
table has at most ``TOCSIN_MOST_COLUMNS`` (100,000) columns. Both are taken from the environment.
A table of records that name keys of their own has at most 200 cells per value, once it exceeds
2,000,000. A chunk of rows comes to 32 MiB of numbers or 128 MiB of text at most, however many rows
are asked for.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tocsin.errors import ParameterError, UnreadableFile

CHUNK_BYTES = 32 << 20
"""Bytes of a chunk of rows, as numbers."""

CHUNK_TEXT = 128 << 20
"""Characters of a chunk of rows."""

_MOST_BYTES, _MOST_COLUMNS = 16 << 30, 100_000
_RATIO, _SMALL = 200, 256 << 20
_FEW_CELLS = 2_000_000
_MOST_ALIKE = 1_000


def most_bytes() -> int:
    """Return how many bytes a file may come to."""
    return _setting("TOCSIN_MOST_BYTES", _MOST_BYTES)


def most_columns() -> int:
    """Return how many columns a table may have."""
    return _setting("TOCSIN_MOST_COLUMNS", _MOST_COLUMNS)


def check_size(path: Path, size: int, packed: int, most: int | None = None) -> None:
    """Raise UnreadableFile for a file of ``packed`` bytes that comes to ``size`` and more.

    ``most``: bytes allowed in all, by default those of the environment.
    """
    allowed = most_bytes() if most is None else most
    if size > allowed:
        raise UnreadableFile(
            f"Cannot read {path}: it unpacks to more than the {allowed:,} bytes allowed in all. "
            "Give it in parts, or raise the limit (TOCSIN_MOST_BYTES) if that is intended."
        )
    if size > max(_SMALL, _RATIO * packed):
        raise UnreadableFile(
            f"Cannot read {path}: it unpacks to more than {_RATIO} times its size. "
            "If that is intended, unpack it first, or write its rows in full."
        )


def check_names(path: Path, names: Iterable[str]) -> None:
    """Raise UnreadableFile for the names of too many columns, or of too many alike."""
    counts = Counter(names)
    if counts.total() > most_columns():
        raise UnreadableFile(
            f"Cannot read {path}: it has {counts.total():,} columns, more than {most_columns():,}. "
            "Give fewer, or raise the limit (TOCSIN_MOST_COLUMNS) if that is intended."
        )
    for name, count in counts.most_common(1):
        if name and count > _MOST_ALIKE:
            raise UnreadableFile(
                f'Cannot read {path}: {count:,} columns are called "{name[:60]}". '
                "Give each a name of its own."
            )


def most_names(records: int, values: int) -> int:
    """Return how many columns records (n) may make that hold so many values together.

    >>> most_names(1_000, 50_000), most_names(1_000, 1_000)
    (10000, 2000)
    """
    return min(most_columns(), max(_FEW_CELLS, _RATIO * values) // max(1, records))


def rows_per_chunk(rows: int, row_bytes: int) -> int:
    """Return how many of ``rows`` rows of so many bytes are in a chunk, at least one."""
    return max(1, min(rows, CHUNK_BYTES // max(1, row_bytes)))


class TooLong(Exception):
    """More text was read at once than a chunk may have."""


class Metered(io.TextIOBase):
    """The text of a file, of which at most ``most`` characters are read between two marks."""

    def __init__(self, file: Any, most: int) -> None:
        self._file = file
        self._most = most
        self._read = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def mark(self) -> None:
        """Begin to count again."""
        self._read = 0

    def read(self, size: int | None = -1) -> str:
        """Return ``size`` characters. Raises TooLong."""
        text: str = self._file.read(size)
        self._read += len(text)
        if self._read > self._most:
            raise TooLong
        return text

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _setting(name: str, default: int) -> int:
    given = os.environ.get(name, "").strip()
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 19 and int(given)):
        raise ParameterError(f'{name} is a whole number of 1 or more; got "{given[:40]}".')
    return int(given)
