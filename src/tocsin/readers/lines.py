"""Lines of text files: plain or gzipped, one, several or a folder, also rotated logs.

The rules. Whether a file is gzipped is seen from its content. Of a rotated set (app.log,
app.log.1, app.log.2.gz, or with dates) the oldest file is read first; sets are read in the
order in which they were given, those of a folder by name, with its subfolders, without hidden
files. Text is UTF-8, UTF-16 by its byte order mark or its zero bytes, or UTF-32 by its mark; a
line that has no character of UTF-8 beyond ASCII is Windows-1252, other bytes become the
replacement character. Of journald's export format each entry is a line of JSON. Lines end with a
line feed, a carriage return before it is dropped; zero bytes, as a crash leaves them behind, are
dropped. A longer line than ``most_characters`` is cut. A file is binary if more than 2 % of its
first 64 KiB are control characters, zero bytes among them: it is refused when it was named, and
skipped in a folder.

Memory is bounded, whatever the file. Gzipped files may come to ``most_bytes`` in all, each within
the limits of ``tocsin.readers.limits``.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from codecs import (
    BOM_UTF8,
    BOM_UTF16_BE,
    BOM_UTF16_LE,
    BOM_UTF32_BE,
    BOM_UTF32_LE,
    getincrementaldecoder,
)
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tocsin.errors import InputError, UnreadableFile
from tocsin.readers import limits
from tocsin.readers.journal import export_as_json, is_export

__all__ = ["RawLine", "ReadCounts", "read_lines"]

Paths = str | Path | Iterable[str | Path]

_BLOCK = 1 << 16
_BINARY = 0.02
_MOST_ZEROS = 0.4  # of the bytes at even or odd places are zero in UTF-16 of western text
_WIDE = {
    BOM_UTF32_LE: "utf-32",  # its mark begins with that of UTF-16
    BOM_UTF32_BE: "utf-32",
    BOM_UTF16_LE: "utf-16",
    BOM_UTF16_BE: "utf-16",
}
_CONTROLS = bytes(set(range(32)) - set(b"\a\b\t\n\r\f\x1b"))
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed with bzip2",
    b"\xfd7zXZ": "packed with xz",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
}
_ROTATED = re.compile(
    r"(?P<base>.+?)(?:[.-](?P<date>\d{4}-?\d\d-?\d\d(?:[-T.]?\d{2,6})?)|\.(?P<number>\d{1,5}))?"
    r"(?P<ending>\.log|\.txt)?(?:\.gz)?"
)


class RawLine(NamedTuple):
    """A line as it stands in a file, numbered from 1, without its line end."""

    file: str
    number: int
    text: str


@dataclass(slots=True)
class ReadCounts:
    """What was done while files were read; counted as the lines are read."""

    files: int = 0
    lines: int = 0
    cut: int = 0
    western: int = 0
    undecodable: int = 0
    zeros: int = 0
    unpacked: int = 0
    empty: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """The same in words, without what did not occur."""
        counts = [
            (self.cut, f"{self.cut:,} overlong lines were cut"),
            (self.western, f"{self.western:,} lines were read as Windows-1252"),
            (self.undecodable, f"{self.undecodable:,} lines were not valid text"),
            (self.zeros, f"{self.zeros:,} zero bytes dropped"),
            (self.empty, f"empty: {', '.join(self.empty[:5])}"),
            (self.skipped, f"binary, skipped: {', '.join(self.skipped[:5])}"),
        ]
        return [text for happened, text in counts if happened]


def read_lines(
    paths: Paths,
    *,
    most_characters: int = 8192,
    most_bytes: int | None = None,
    counts: ReadCounts | None = None,
) -> Iterator[RawLine]:
    r"""Return the lines of a file, of several, or of all in a folder, one after the other.

    ``counts``, if given, is filled as the lines are read. Raises UnreadableFile for what does
    not exist, is binary, is damaged, or unpacks to more than the limits; InputError for limits
    below 1. By default ``most_bytes`` are those of ``tocsin.readers.limits``.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "app.log").write_text("third\n")
    >>> _ = (folder / "app.log.1").write_text("first\nsecond\n")
    >>> [(line.number, line.text) for line in read_lines(folder)]
    [(1, 'first'), (2, 'second'), (1, 'third')]
    """
    most_bytes = limits.most_bytes() if most_bytes is None else most_bytes
    if most_characters < 1 or most_bytes < 1:
        raise InputError(
            f"The limits are at least 1; got {most_characters} characters, {most_bytes} bytes."
        )
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    files = [found for path in given for found in _files(Path(path))]
    if not files:
        raise UnreadableFile("There are no files to read: the list or the folder is empty.")
    counts = counts if counts is not None else ReadCounts()
    return _all_lines(_oldest_first(files), most_characters, most_bytes, counts)


def _files(path: Path) -> list[tuple[Path, bool]]:
    """Return a file, or the files of a folder, each with whether it was named."""
    try:
        path.stat()
    except (OSError, ValueError) as error:
        reason = "there is no such file or folder"
        if not isinstance(error, FileNotFoundError):
            reason = str(getattr(error, "strerror", None) or error)
        raise _unreadable(path, reason, "Check the path.") from error
    if not path.is_dir():
        return [(path, True)]
    found = []
    for folder, inner, names in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith(".")]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return [(file, False) for file in sorted(found) if file.is_file()]


def _oldest_first(files: list[tuple[Path, bool]]) -> list[tuple[Path, bool]]:
    """Return files without repetition, rotated sets together and in order of time."""
    distinct: dict[Path, bool] = {}
    for path, named in files:
        distinct[path] = distinct.get(path, False) or named
    sets: dict[Path, list[tuple[tuple[int, str, int], Path]]] = {}
    for path in distinct:
        found = _ROTATED.fullmatch(path.name)
        date = number = ""
        base = path.name
        if found:
            date, number = found["date"] or "", found["number"] or ""
            base = found["base"] + (found["ending"] or "")
        # Numbers grow with age, dates fall; the file being written has neither.
        age = (0, date, 0) if date else (1, "", -int(number)) if number else (2, "", 0)
        sets.setdefault(path.with_name(base), []).append((age, path))
    return [(path, distinct[path]) for group in sets.values() for _, path in sorted(group)]


def _all_lines(
    files: list[tuple[Path, bool]], most: int, most_bytes: int, counts: ReadCounts
) -> Iterator[RawLine]:
    for path, named in files:
        try:
            with path.open("rb") as file:
                blocks = _blocks(path, file, most_bytes, counts)
                head = next(blocks, b"")
                what = _binary(head)
                if what and named:
                    raise _unreadable(path, what, "Give the text, plain or gzipped.")
                if what:
                    counts.skipped.append(str(path))
                    continue
                counts.files += 1
                if not head:
                    counts.empty.append(str(path))
                yield from _lines(str(path), _as_utf8(head, blocks), most, counts)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            wrong = f"its gzipped content is damaged ({error})"
            raise _unreadable(path, wrong, "Restore it from a copy.") from error
        except OSError as error:
            raise _unreadable(path, str(error.strerror or error), "Check the path.") from error


def _blocks(
    path: Path, file: BufferedReader, most_bytes: int, counts: ReadCounts
) -> Iterator[bytes]:
    """Yield the content of a file, unpacked if it is gzipped."""
    if file.peek(2)[:2] != b"\x1f\x8b":
        while block := file.read(_BLOCK):
            yield block
        return
    size = 0
    with gzip.GzipFile(fileobj=file) as unpacked:
        while block := unpacked.read(_BLOCK):
            size += len(block)
            counts.unpacked += len(block)
            limits.check_size(path, counts.unpacked, counts.unpacked, most_bytes)
            limits.check_size(path, size, file.tell(), most_bytes)
            yield block


def _binary(head: bytes) -> str:
    """Return what makes the beginning of a file binary, "" for text."""
    for start, what in _PACKED.items():
        if head.startswith(start):
            return f"its content is {what}"
    if _wide_encoding(head) or is_export(head):
        return ""
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls <= _BINARY * len(head):
        return ""
    zeros = head.count(0)
    return f"its content is binary ({controls:,} control characters, {zeros:,} of them zero)"


def _wide_encoding(head: bytes) -> str:
    """Return the encoding of text whose characters have two or four bytes, "" for other text."""
    for mark, encoding in _WIDE.items():
        if head.startswith(mark):
            return encoding
    if b"\0" not in head:
        return ""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < _MOST_ZEROS * len(head) / 2 or min(even, odd) > _BINARY * len(head):
        return ""
    encoding = "utf-16-le" if odd > even else "utf-16-be"
    text = head[: len(head) // 2 * 2].decode(encoding, "replace")
    odd_ones = sum(mark < " " and mark not in "\t\n\r\x1b" for mark in text)
    return encoding if odd_ones <= _BINARY * len(text) else ""


def _as_utf8(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the whole content as UTF-8, without a byte order mark."""
    if is_export(head):
        yield from export_as_json(chain([head], blocks))
    elif encoding := _wide_encoding(head):
        decoder = getincrementaldecoder(encoding)("replace")
        for block in chain([head], blocks):
            yield decoder.decode(block).encode("utf-8", "replace")
    else:
        yield head.removeprefix(BOM_UTF8)
        yield from blocks


def _lines(file: str, blocks: Iterator[bytes], most: int, counts: ReadCounts) -> Iterator[RawLine]:
    number = 0
    for block in _whole_lines(blocks, 4 * most, counts):
        for text in _decoded(block, most, counts):
            number += 1
            counts.cut += len(text) > most
            yield RawLine(file, number, text[:most])
    counts.lines += number


def _whole_lines(blocks: Iterator[bytes], most: int, counts: ReadCounts) -> Iterator[bytes]:
    """Yield blocks of whole lines without the last line feed.

    Of a line without an end in sight only the first ``most`` bytes are kept, and one more, so
    that it is known to be too long.
    """
    rest = b""
    for block in blocks:
        counts.zeros += block.count(0)
        whole, found, tail = block.replace(b"\0", b"").rpartition(b"\n")
        if found:
            yield rest + whole
            rest = tail
        else:
            rest = (rest + tail)[: most + 1]
    if rest:
        yield rest


def _decoded(block: bytes, most: int, counts: ReadCounts) -> list[str]:
    """Return the lines of a block of whole lines."""
    try:
        lines = block.decode().split("\n")
    except UnicodeDecodeError:
        lines = [_decoded_line(line, most, counts) for line in block.split(b"\n")]
    return [line.removesuffix("\r") for line in lines] if b"\r" in block else lines


def _decoded_line(line: bytes, most: int, counts: ReadCounts) -> str:
    text = line.decode(errors="replace")
    # The end of an overlong line may be half a character: the file is not to blame.
    if "\ufffd" not in text[:most]:
        return text
    if text.replace("\ufffd", "").isascii():
        with suppress(UnicodeDecodeError):
            western = line.decode("cp1252")
            counts.western += 1
            return western
    counts.undecodable += 1
    return text


def _unreadable(path: Path, wrong: str, remedy: str) -> UnreadableFile:
    return UnreadableFile(f"Cannot read {path}: {wrong}. {remedy}")
