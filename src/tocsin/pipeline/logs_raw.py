"""Logs as they were given, read again where the raw lines of an answer are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.prepare.log_formats import Line, LogRecord
from tocsin.prepare.log_patterns import clean
from tocsin.readers.lines import ReadCounts, read_lines

__all__ = ["Place", "RawLogs", "place_of", "places_of"]

Place = tuple[str, int]
"""A file, and the number of a line in it."""


class RawLogs:
    """Logs as they were given, and a second look at some of their lines."""

    def __init__(self, X: Any) -> None:
        self._counts = ReadCounts()
        self._paths: list[Any] = []
        self._given = X
        if isinstance(X, str | Path):
            self._paths = [X]
        elif isinstance(X, Iterable):
            self._given = X if isinstance(X, Sequence | np.ndarray) else list(X)
            if len(self._given) and isinstance(self._given[0], Path):
                self._paths = list(self._given)

    @property
    def notes(self) -> list[str]:
        """What was done while files were read."""
        return [clean(note) for note in self._counts.notes]

    def lines(self) -> Any:
        """Return the lines, or the sessions of numbers."""
        return read_lines(self._paths, counts=self._counts) if self._paths else self._given

    def texts(self, wanted: set[Place]) -> dict[Place, str]:
        """Return the lines at these places; what can only be read once is not read again."""
        if not wanted:
            return {}
        if not self._paths:
            given = (
                (("", i), line) if isinstance(line, str) else (place_of(line), line.text)
                for i, line in enumerate(self._given, 1)
            )
            return {place: text for place, text in given if place in wanted}
        files = [file for file in dict.fromkeys(file for file, _ in wanted) if Path(file).is_file()]
        read = read_lines(files) if files else iter(())
        found = ((place, line.text) for line in read if (place := place_of(line)) in wanted)
        return dict(islice(found, len(wanted)))


def place_of(line: Line | LogRecord) -> Place:
    """Return where a line stands."""
    return line.file, line.number


def places_of(records: list[LogRecord], position: int) -> list[Place]:
    """Return where a record and the lines that continue it may stand."""
    record = records[position]
    after = records[position + 1] if position + 1 < len(records) else None
    end = record.number + (record.message.count("\n") + 1)
    if after is not None and after.file == record.file:
        end = min(end, after.number)
    return [(record.file, number) for number in range(record.number, max(end, record.number + 1))]
