"""A folder into which files are put: tables, logs, images, or any others by their paths."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from tocsin.base.source import Source
from tocsin.errors import InputError, UnreadableFile
from tocsin.settings import Duration
from tocsin.sources._records import Fields, lines_of, rows_of
from tocsin.types import PATH_COLUMN, Batch, Offset, Rejection

log = logging.getLogger(__name__)

_SOUNDS = (".wav", ".flac", ".ogg")
_MOST = 5_000
_MOST_BYTES = 16_000_000

Delivery = Literal["guess", "paths", "rows", "lines"]
"""What the events of a file are: itself by its path, its rows, or its lines."""

Part = tuple[Batch, int | None]
"""Events of a file, and the row at which reading goes on, None at its end."""


class Folder(Source):
    """New files of a folder, each once, in the order of their times: put them in by renaming.

    A file counts when its size and time have not changed for ``settle``; one that is renamed after
    it was read does not count again. ``files``: what its
    events are: its rows, its lines, or one event that holds its ``path``, for models that open
    files themselves; "guess" takes rows of tables, paths of images and sounds, and lines of all
    others. A file that changes later is read again from its beginning; one that cannot be read is
    refused as a whole, as is one of more than ``largest`` bytes. ``pattern``: which names count.
    Links that lead out of the folder are not followed.
    """

    names_files: ClassVar[bool] = True

    path: Path
    pattern: str = "*"
    files: Delivery = "guess"
    every: Duration = Field(1.0, ge=0.01)
    settle: Duration = 1.0
    largest: int = Field(1_000_000_000, ge=1)
    fields: Fields = Fields()

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield the events of new files; the offset names files that are read, and how far."""
        done: dict[str, Any] = dict(offset["files"]) if offset else {}
        seen: dict[str, tuple[int, int, int]] = {}
        while True:
            files = await asyncio.to_thread(self._files)
            done = _present(done, files)
            settled = datetime.now(UTC).timestamp() - self.settle
            for name, mark in files:
                known = done.get(name, [0, 0, 0])
                start: int | None = known[2] if tuple(known[:2]) == mark[:2] else 0
                if start is None:
                    continue
                if seen.get(name) != mark or mark[0] / 1e9 > settled:
                    seen[name] = mark
                    continue
                parts = self._parts(self.path / name, start)
                while (part := await asyncio.to_thread(next, parts, None)) is not None:
                    batch, place = part
                    done[name] = [*mark[:2], place, mark[2]]
                    yield _at(batch, done)
            await asyncio.sleep(self.every)

    def describe(self) -> str:
        """Return the path and the pattern."""
        return str(self.path / self.pattern)

    def _files(self) -> list[tuple[str, tuple[int, int, int]]]:
        """Return names with times, sizes and inodes, the oldest first."""
        if not self.path.is_dir():
            raise InputError(f"{self.path} is not a folder.")
        home, found = self.path.resolve(), []
        for path in self.path.glob(self.pattern):
            try:
                if path.is_file() and path.resolve().is_relative_to(home):
                    status = path.stat()
                    name = str(path.relative_to(self.path))
                    found.append((name, (status.st_mtime_ns, status.st_size, status.st_ino)))
            except OSError as error:
                log.warning("%s is skipped: %s", path, error.strerror)
        return sorted(found, key=lambda each: (each[1][0], each[0]))

    def _parts(self, path: Path, start: int) -> Iterator[Part]:
        """Yield the events of a file from a row on, with the place after them, None for its end.

        Whatever a file does to its reader, it is refused and the others go on.
        """
        try:
            if (size := path.stat().st_size) > self.largest:
                raise InputError(f"{path} has {size:,} bytes; `largest` allows {self.largest:,}.")
            delivery = _guessed(path) if self.files == "guess" else self.files
            if delivery == "paths":
                yield rows_of(pd.DataFrame({PATH_COLUMN: [str(path)]}), self.fields), None
            elif delivery == "rows":
                yield from self._rows(path, start)
            else:
                yield from self._lines(path, start)
        except (InputError, OSError) as error:
            yield _refused(path, str(error)), None
        except Exception as error:
            log.exception("%s cannot be read", path)
            yield _refused(path, f"{path} cannot be read: {type(error).__name__}: {error}"), None

    def _rows(self, path: Path, start: int) -> Iterator[Part]:
        from tocsin.readers.table import read_table

        whole = rows_of(read_table(path), self.fields)
        if len(whole) <= _MOST:
            yield whole, None
            return
        for first in range(start, len(whole), _MOST):
            last = first + _MOST
            yield _slice(whole, first), last if last < len(whole) else None

    def _lines(self, path: Path, start: int) -> Iterator[Part]:
        with path.open("rb") as file:
            if b"\0" in file.read(8192):
                raise UnreadableFile(
                    f"{path} is neither a table, an image, a sound, nor text. A model that opens "
                    "such files takes them from a folder with `files: paths`."
                )
            file.seek(0)
            lines = islice(_bounded_lines(file, self.fields.largest), start, None)
            portions, place = _portions(lines), start
            portion = next(portions)
            for following in portions:
                place += len(portion)
                yield lines_of(_not_blank(portion), self.fields.largest), place
                portion = following
            yield lines_of(_not_blank(portion), self.fields.largest), None


def _present(done: dict[str, Any], files: list[tuple[str, tuple[int, int, int]]]) -> dict[str, Any]:
    """Return how far the files that are there were read, by the names that they have now."""
    marks = dict(files)
    gone = {(*mark[:2], mark[3]): mark for n, mark in done.items() if n not in marks and mark[3:]}
    renamed = {name: gone[mark] for name, mark in files if mark in gone and name not in done}
    return {**{name: mark for name, mark in done.items() if name in marks}, **renamed}


def _not_blank(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if line.strip()]


def _guessed(path: Path) -> Delivery:
    from tocsin.readers import arrays, image, table

    ending = path.suffix.lower()
    if ending in image.ENDINGS or ending in _SOUNDS:
        return "paths"
    return "rows" if ending in table.ENDINGS and ending not in arrays.ARRAYS else "lines"


def _bounded_lines(file: BinaryIO, largest: int) -> Iterator[bytes]:
    """Yield the lines of a file, each cut to ``largest`` bytes."""
    while line := file.readline(largest):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(largest)
        yield line


def _portions(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield lines in portions that are bounded by number and size; the last one may be empty."""
    held: list[bytes] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line)
        if len(held) == _MOST or size > _MOST_BYTES:
            yield held
            held, size = [], 0
    yield held


def _slice(batch: Batch, first: int) -> Batch:
    last = first + _MOST
    return Batch(
        batch.frame.iloc[first:last].reset_index(drop=True),
        batch.times[first:last],
        None if batch.ids is None else batch.ids[first:last],
        None if batch.entities is None else batch.entities[first:last],
        rejected=batch.rejected if first == 0 else (),
    )


def _at(batch: Batch, done: dict[str, Any]) -> Batch:
    return Batch(
        batch.frame,
        batch.times,
        batch.ids,
        batch.entities,
        {"files": {name: list(mark) for name, mark in done.items()}},
        batch.rejected,
    )


def _refused(path: Path, reason: str) -> Batch:
    nothing = np.empty(0, dtype="datetime64[us]")
    return Batch(pd.DataFrame(), nothing, rejected=(Rejection("malformed", reason, str(path)),))
