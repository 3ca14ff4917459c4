"""Which encoding a text file has, and opening it, also compressed."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import UnreadableFile
from tocsin.readers.limits import check_size

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SAMPLE = 1 << 16
BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""Byte order marks, the longer ones first, and the encodings that they show."""

_SIGNATURES = {
    b"PAR1": "a Parquet file (.parquet)",
    b"PK\x03\x04": "a zip archive or a spreadsheet: save the sheet as CSV",
    b"\x1f\x8b": "a gzip file (.gz)",
    b"\x93NUMPY": "a NumPy file (.npy)",
    b"%PDF": "a PDF",
    b"SQLite": "an SQLite database",
}


def unreadable(path: Path, wrong: str, remedy: str) -> UnreadableFile:
    """Return the error for a file that is wrong, with what to do."""
    return UnreadableFile(f"Cannot read {path}: {wrong}. {remedy}")


def text_encoding(path: Path) -> str:
    """Return the encoding of a text file; raises UnreadableFile if it is not text."""
    with _open_bytes(path) as file:
        head = file.read(_SAMPLE)
    for bom, encoding in BOMS:
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
    controls = sum(head.count(byte) for byte in range(32) if byte not in b"\t\n\r\f\x1b\x1e")
    if controls > 0.02 * len(head):
        raise unreadable(path, "its content is binary, not text", "Check its format.")
    return next((name for name in ("utf-8", "cp1252") if _decodes(path, name)), "latin-1")


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with open_text(path, encoding) as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return False
    return True


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, within the limits of what it may unpack to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = gzip.open(path, "rb")  # noqa: SIM115 - closed with this one
        self._packed = path.stat().st_size
        self._size = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer. Raises UnreadableFile for what comes to more than is allowed."""
        count = self._file.readinto(buffer)
        self._size += count
        check_size(self._path, self._size, self._packed)
        return count

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def _open_bytes(path: Path) -> Any:
    if path.suffix.lower() == ".gz":
        return io.BufferedReader(_Unpacked(path), _SAMPLE)
    return path.open("rb")


def open_text(path: Path, encoding: str) -> Any:
    """Open a text file, also a compressed one, with its line ends as they are."""
    if path.suffix.lower() == ".gz":
        return io.TextIOWrapper(_open_bytes(path), encoding, newline="")
    return path.open(encoding=encoding, newline="")
