"""Syslog messages out of a stream of bytes: counted, or ended by a line feed or NUL (RFC 6587)."""

from __future__ import annotations

import re

_END = re.compile(rb"[\n\0]")
_BETWEEN = b"\r\n\0"
_COUNT = re.compile(rb"([1-9]\d{0,5}) ")
_COUNT_OF_MESSAGE = re.compile(rb"([1-9]\d{0,5}) (?=<)")


class MessageSplitter:
    r"""Cuts bytes into messages; one longer than ``largest`` is cut to one byte more.

    Each message is framed by itself: one that begins with its length, a blank and a priority is
    counted, and may hold line ends; any other ends with a line feed or NUL. After the first
    counted message of a connection, the priority may be missing. A length above 999,999 is text.

    >>> splitter = MessageSplitter(100)
    >>> splitter.feed(b"11 <34>1 - a\nb<34>plain\n<34>by Python\x00<3"), splitter.end()
    ([b'<34>1 - a\nb', b'<34>plain', b'<34>by Python'], [b'<3'])
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._rest = b""
        self._count = _COUNT_OF_MESSAGE
        self._passed_over = 0  # bytes of a counted message that are still to come

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that end in this data, without their frames; none is empty."""
        if self._passed_over:
            passed_over = min(self._passed_over, len(data))
            self._passed_over -= passed_over
            data = data[passed_over:]
        held = self._rest + data
        messages, at = [], 0
        while (found := self._message(held, at)) is not None:
            message, at = found
            messages.append(message)
        self._rest = held[at : at + self._largest + len(b"999999 ") + 1]
        return [message for message in messages if message]

    def end(self) -> list[bytes]:
        """Return the last message, if it has no end."""
        rest, self._rest = self._rest.strip(_BETWEEN), b""
        if counted := self._count.match(rest):
            rest = rest[counted.end() :]
        return [rest[: self._largest + 1]] if rest else []

    def _message(self, held: bytes, at: int) -> tuple[bytes, int] | None:
        """Return the message that begins at a place, and where the next one does."""
        while held[at : at + 1] and held[at : at + 1] in _BETWEEN:
            at += 1
        if counted := self._count.match(held, at):
            self._count = _COUNT
            first, length = counted.end(), int(counted[1])
            kept = min(length, self._largest + 1)
            if len(held) < first + kept:
                return None
            self._passed_over = max(0, first + length - len(held))
            return held[first : first + kept].rstrip(_BETWEEN), first + length
        ended = _END.search(held, at)
        if ended is None:
            return None
        message = held[at : min(ended.start(), at + self._largest + 1)]
        return message.removesuffix(b"\r"), ended.end()
