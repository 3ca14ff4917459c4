"""Lines out of a stream of bytes, in bounded memory."""

from __future__ import annotations


class LineSplitter:
    r"""Cuts bytes into lines as they come; a line longer than ``largest`` is cut to one byte more.

    So a caller sees that it is too long, and its rest is never held in memory.

    >>> splitter = LineSplitter(4)
    >>> splitter.feed(b"one\ntw"), splitter.feed(b"o\nseventeen"), splitter.feed(b"\nx\n")
    ([b'one'], [b'two'], [b'seven', b'x'])
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that end in this data, without their ends."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: self._largest + 1]
        return [line[: self._largest + 1].removesuffix(b"\r") for line in whole]

    def end(self) -> list[bytes]:
        """Return the last line, if it has no end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
