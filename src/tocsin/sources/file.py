"""A file that grows: its new lines, through rotation, as log lines, JSON lines or CSV rows."""

from __future__ import annotations

import asyncio
import codecs
import csv
import hashlib
import io
import logging
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pandas as pd
from pydantic import Field

from tocsin.base.source import Source
from tocsin.errors import InputError
from tocsin.settings import Duration
from tocsin.sources._lines import LineSplitter
from tocsin.sources._records import Fields, batch_of, lines_of, rows_of, shown
from tocsin.types import Batch, Offset, Rejection

log = logging.getLogger(__name__)

_CHUNK = 262_144
_HEAD = 256

Format = Literal["lines", "json", "csv"]


class File(Source):
    """New lines of a file, from where reading stopped, also through rotation and truncation.

    ``format``: "lines" of a log, "json" lines, or "csv" with a header whose quoted values hold no
    line ends; by default what the name ends with, else lines. ``start``: whether the first
    reading begins with the "beginning" or the "end" of the file. What was rotated away meanwhile
    (``name.1``, ``name-20260301``) is read first, unless it is compressed; a file is known by its
    inode and its first bytes. A line counts once it has its end. It is looked at ``every`` so long.
    """

    path: Path
    format: Format | None = None
    start: Literal["beginning", "end"] = "beginning"
    every: Duration = Field(0.5, ge=0.01)
    fields: Fields = Fields()

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield new lines; the offset says which file, and how many bytes of it are read."""
        file = await self._opened(offset)
        try:
            while True:
                batch = await asyncio.to_thread(file.more)
                if batch is not None:
                    yield batch
                    continue
                after = await asyncio.to_thread(self._after, file)
                if after is None:
                    await asyncio.sleep(self.every)
                    continue
                # Whoever writes may take a moment to change to the new file.
                await asyncio.sleep(self.every)
                while (batch := await asyncio.to_thread(file.more)) is not None:
                    yield batch
                if (last := file.last()) is not None:
                    yield last
                file.close()
                file = after
        finally:
            file.close()

    def describe(self) -> str:
        """Return the path."""
        return str(self.path)

    async def _opened(self, offset: Offset) -> _Tail:
        """Return the file where reading goes on, once it is there."""
        told = False
        while True:
            try:
                return await asyncio.to_thread(self._resumed, offset)
            except FileNotFoundError:
                if not told:
                    log.warning("%s is not there; waiting for it", self.path)
                told = True
                await asyncio.sleep(self.every)
            except OSError as error:
                raise InputError(f"{self.path} cannot be read: {error.strerror}.") from error

    def _resumed(self, offset: Offset) -> _Tail:
        if offset is not None:
            for path in reversed(self._family()):
                file = self._tail(path)
                if file.goes_on_from(offset):
                    return file
                file.close()
            log.warning("%s is another file than before; reading its beginning", self.path)
        file = self._tail(self.path)
        if offset is None and self.start == "end":
            file.skip()
        return file

    def _after(self, file: _Tail) -> _Tail | None:
        """Return the file to go on with at the end of one, None if that one still grows."""
        try:
            now = self.path.stat()
        except OSError:
            return None  # between two names of a rotation
        if now.st_ino == file.inode:
            if now.st_size < file.position:
                log.info("%s was truncated; reading its beginning", self.path)
                file.rewind()
            return None
        try:
            family = self._family()
            known = [i for i, path in enumerate(family) if path.stat().st_ino == file.inode]
            return self._tail(family[known[-1] + 1] if known else self.path)
        except (FileNotFoundError, IndexError):
            return None  # rotated once more meanwhile

    def _family(self) -> list[Path]:
        """Return the rotated files by age, then the file itself."""
        rotated = [
            path
            for path in self.path.parent.glob(f"{glob_escape(self.path.name)}[.-]*")
            if path.is_file() and path.suffix not in (".gz", ".bz2", ".xz", ".zst")
        ]
        aged = sorted(rotated, key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [*aged, *([self.path] if self.path.exists() else [])]

    def _tail(self, path: Path) -> _Tail:
        endings: dict[str, Format] = {".csv": "csv", ".jsonl": "json", ".ndjson": "json"}
        return _Tail(path, self.format or endings.get(self.path.suffix, "lines"), self.fields)


class _Tail:
    """One open file, and how far it is read."""

    def __init__(self, path: Path, format: Format, fields: Fields) -> None:
        self.position = 0
        self._file: BinaryIO = path.open("rb")
        self._format = format
        self._fields = fields
        self._splitter = LineSplitter(fields.largest)
        self._header = b""

    @property
    def inode(self) -> int:
        """What the file system calls it, whatever its name."""
        return os.fstat(self._file.fileno()).st_ino

    def goes_on_from(self, offset: Any) -> bool:
        """Go to where an offset says, if it is of this file."""
        head = int(offset["head_bytes"])
        if offset["inode"] != self.inode or offset["head"] != self._head(head):
            return False
        if os.fstat(self._file.fileno()).st_size < offset["position"]:
            return False
        self._go(int(offset["position"]))
        return True

    def skip(self) -> None:
        """Go to the end of the last whole line."""
        size, back = os.fstat(self._file.fileno()).st_size, self._fields.largest
        start = max(0, size - back)
        self._file.seek(start)
        self._go(start + self._file.read(size - start).rfind(b"\n") + 1)

    def rewind(self) -> None:
        """Go to the beginning: the file was truncated."""
        self._go(0)

    def more(self) -> Batch | None:
        """Return the next whole lines, None if there are none."""
        while data := self._file.read(_CHUNK):
            lines, whole = self._splitter.feed(data), data.rfind(b"\n") + 1
            if whole:
                return self._batch(lines, whole, len(data))
        return None

    def last(self) -> Batch | None:
        """Return the last line of a file that grows no more, if it has no end."""
        lines = self._splitter.end()
        self.position = self._file.tell()
        return self._decoded(lines) if lines else None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _go(self, position: int) -> None:
        if self._format == "csv":
            self._file.seek(0)
            header = self._file.readline(self._fields.largest)
            self._header = header if header.endswith(b"\n") else b""
            position = max(position, len(self._header))
        self._file.seek(position)
        self.position = position
        self._splitter = LineSplitter(self._fields.largest)

    def _batch(self, lines: list[bytes], whole: int, read: int) -> Batch:
        self.position = self._file.tell() - (read - whole)
        if self._format == "csv" and not self._header and lines:
            self._header = lines.pop(0)
        return self._decoded([line for line in lines if line.strip()])

    def _decoded(self, lines: list[bytes]) -> Batch:
        head = min(_HEAD, self.position)
        offset = {
            "inode": self.inode,
            "position": self.position,
            "head_bytes": head,
            "head": self._head(head),
        }
        if self._format == "json":
            return batch_of(lines, self._fields, offset=offset)
        if self._format == "csv":
            return self._rows(lines, offset)
        return lines_of(lines, self._fields.largest, offset=offset)

    def _rows(self, lines: list[bytes], offset: Offset) -> Batch:
        names = _values(self._header.removeprefix(codecs.BOM_UTF8))
        good, rejected = [], []
        for raw in lines:
            row = _values(raw)
            if len(row) == len(names):
                good.append(row)
            else:
                reason = f"it has {len(row)} values for {len(names)} columns"
                rejected.append(Rejection("malformed", reason, shown(raw)))
        text = io.StringIO()
        csv.writer(text).writerows([names, *good])
        text.seek(0)
        frame = pd.read_csv(text) if good else pd.DataFrame(columns=names)
        batch = rows_of(frame, self._fields, offset=offset)
        return replace(batch, rejected=(*rejected, *batch.rejected))

    def _head(self, count: int) -> str:
        before = self._file.tell()
        self._file.seek(0)
        head = hashlib.sha256(self._file.read(count)).hexdigest()[:16]
        self._file.seek(before)
        return head


def _values(line: bytes) -> list[str]:
    """Return the values of one CSV line, none for one that is too odd; a quote ends with it."""
    try:
        return next(csv.reader([line.decode("utf-8", "replace")]), [])
    except csv.Error:
        return []


def glob_escape(name: str) -> str:
    """Return a file's name as a pattern that stands for itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
