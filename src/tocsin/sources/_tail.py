"""One file that is read as it grows, and how far."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from tocsin.errors import InputError
from tocsin.sources._csv_rows import CsvRows
from tocsin.sources._lines import LineSplitter
from tocsin.sources._records import Fields, batch_of, lines_of
from tocsin.types import Batch

_CHUNK = 262_144
_HEAD = 256
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SEEN = 64  # bytes before the place that tell whether they are still there

Format = Literal["lines", "json", "csv"]


class Tail:
    """One open file, plain or gzipped, and how far it is read.

    ``is_copy``: whether it is the copy of a file that was truncated, which may go on there.
    """

    def __init__(self, path: Path, format: Format, fields: Fields) -> None:
        self.position = 0
        self.is_copy = False
        self._is_gzipped = path.suffix == ".gz"
        self.path = path
        # It stays open until ``close``.
        file = gzip.open(path) if self._is_gzipped else path.open("rb", 0)  # noqa: SIM115
        self._file = cast("BinaryIO", file)
        self._format = format
        self._fields = fields
        self._splitter = LineSplitter(fields.largest)
        self._csv = CsvRows()
        self._first = b""  # the first bytes, as they were read
        self._seen = b""  # the last bytes that were read
        self._before = b""  # those before the place
        self._skips_zeros = False

    @property
    def inode(self) -> int:
        """What the file system calls it, whatever its name."""
        return os.fstat(self._file.fileno()).st_ino

    def goes_on_from(self, offset: Any, *, by_content: bool = False) -> bool:
        """Go to where an offset says, if it is of this file, or ``by_content`` of a copy."""
        position = int(offset["position"])
        if (not position) if by_content else (offset["inode"] != self.inode):
            return False
        try:
            if not self._holds(offset, position):
                return False
            self._csv = CsvRows(str(offset.get("header", "")).encode("latin-1"))
            self._go(position)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return False  # it is just being packed
        return True

    def _holds(self, offset: Any, position: int) -> bool:
        """Return whether what was read up to a place stands here."""
        seen = min(_SEEN, position)
        return bool(
            offset["head"] == _hash(self._bytes(0, int(offset["head_bytes"])))
            and offset.get("seen") in (None, _hash(self._bytes(position - seen, seen)))
            and self._file.seek(position) == position <= self._size()
        )

    def is_cut(self) -> bool:
        """Return whether what was read is gone: truncated, whatever was written since."""
        if self._is_gzipped:
            return False
        count = len(self._seen)
        return os.pread(self._file.fileno(), count, self._file.tell() - count) != self._seen

    def offset(self) -> dict[str, Any]:
        """Return where it is read on: the file, the place, and what stands before it."""
        head = self._first[: self.position]
        inherited = {"header": self._csv.header.decode("latin-1")} if self._csv.inherits else {}
        return {
            **inherited,
            "inode": self.inode,
            "position": self.position,
            "head_bytes": len(head),
            "head": _hash(head),
            "seen": _hash(self._before),
        }

    def follow(self, file: Tail) -> None:
        """Go on from another file, whose header holds here too if this one has none."""
        self._csv = CsvRows(file._csv.header)

    def taken_rest(self) -> bytes:
        """Return the beginning of a line that has no end yet, and forget it."""
        return b"".join(self._splitter.end())

    def begin_with(self, rest: bytes) -> None:
        """Read on behind the beginning of a line, over the zeros that a writer left, if any."""
        self._splitter.feed(rest)
        self._skips_zeros = True

    def skip(self) -> None:
        """Go to the end of the last whole line."""
        size, back = os.fstat(self._file.fileno()).st_size, self._fields.largest
        start = max(0, size - back)
        self._file.seek(start)
        self._go(start + self._file.read(size - start).rfind(b"\n") + 1)

    def more(self) -> Batch | None:
        """Return the next whole lines, None if there are none. Raises InputError for UTF-16."""
        while not self.is_cut() and (data := self._file.read(_CHUNK)):
            before, self._seen = self._seen, (self._seen + data)[-_SEEN:]
            self._first += data[: max(0, _HEAD - len(self._first))]
            if self._first.startswith(_UTF_16):
                raise InputError(
                    f"{self.path} is UTF-16, which is not followed: let its program write UTF-8."
                )
            whole = data.rfind(b"\n") + 1
            text = data
            if self._skips_zeros:
                # A writer that does not append goes on at its place, behind a hole.
                text = data.lstrip(b"\0")
                self._skips_zeros = not text
            lines = self._splitter.feed(text)
            if whole:
                self.position = self._file.tell() - (len(data) - whole)
                self._before = (before + data[:whole])[-_SEEN:]
                return self._batch(lines)
        return None

    def last(self) -> Batch | None:
        """Return the last line of a file that grows no more, if it has no end."""
        lines = self._splitter.end()
        self.position, self._before = self._file.tell(), self._seen
        return self._decoded(lines) if lines else None

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _go(self, position: int) -> None:
        if self._format == "csv":
            self._file.seek(0)
            while (line := self._file.readline(self._fields.largest)).endswith(b"\n"):
                if not self._csv.takes(line):
                    break
                position = max(position, self._file.tell())
        seen = min(_SEEN, position)
        self._file.seek(position - seen)
        self._seen = self._before = self._file.read(seen)
        self._first = self._bytes(0, min(_HEAD, position))
        self.position = position
        self._splitter = LineSplitter(self._fields.largest)

    def _batch(self, lines: list[bytes]) -> Batch:
        while self._format == "csv" and lines and self._csv.takes(lines[0]):
            del lines[0]
        return self._decoded([line for line in lines if line.strip()])

    def _decoded(self, lines: list[bytes]) -> Batch:
        offset = self.offset()
        if self._format == "json":
            return batch_of(lines, self._fields, offset=offset)
        if self._format == "csv":
            return self._csv.batch(lines, self._fields, offset)
        return lines_of(lines, self._fields.largest, offset=offset)

    def _bytes(self, start: int, count: int) -> bytes:
        """Return some bytes; the place stays."""
        if not self._is_gzipped:
            return os.pread(self._file.fileno(), count, start)
        before = self._file.tell()
        self._file.seek(start)
        content = self._file.read(count)
        self._file.seek(before)
        return content

    def _size(self) -> int:
        """Return the size; of a gzipped file at least the place."""
        return self._file.tell() if self._is_gzipped else os.fstat(self._file.fileno()).st_size


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
