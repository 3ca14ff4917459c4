"""How the journal of systemd writes its fields: as JSON, and in its export format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

_LONGEST = 1 << 20  # bytes of a field that are kept
_EXPORTED = (b"__CURSOR=", b"__REALTIME_TIMESTAMP=")


def is_export(head: bytes) -> bool:
    """Return whether a file begins as ``journalctl -o export`` writes it."""
    return head.startswith(_EXPORTED)


def export_as_json(blocks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield the entries of the export format as ``journalctl -o json`` writes them, one per line.

    A field is NAME=value, or a name alone, eight bytes with the length of the value, and the
    value. Entries are set apart by blank lines. A field longer than 1 MiB is cut.

    >>> list(export_as_json([b"__CURSOR=a\nMESSAGE=up\n\n__CURSOR=b\nMESSAGE=down\n"]))[1]
    b'{"__CURSOR": "b", "MESSAGE": "down"}\n'
    """
    source = _Buffer(blocks)
    entry: dict[str, str] = {}
    while (line := source.line()) is not None:
        if not line and entry:
            yield json.dumps(entry).encode() + b"\n"
            entry = {}
        if not line:
            continue
        name, found, value = line.partition(b"=")
        if not found:
            size = int.from_bytes(source.take(8), "little")
            value = source.take(size)
            source.take(1)
        entry[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    if entry:
        yield json.dumps(entry).encode() + b"\n"


class _Buffer:
    """Bytes that come in blocks, taken by lines or by number."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._held = b""

    def line(self) -> bytes | None:
        """Return the next line, without its end, None at the end of the bytes."""
        kept = b""
        while b"\n" not in self._held:
            kept = (kept + self._held)[:_LONGEST]
            self._held = next(self._blocks, b"")
            if not self._held:
                return kept or None
        line, _, self._held = self._held.partition(b"\n")
        return (kept + line)[:_LONGEST]

    def take(self, size: int) -> bytes:
        """Return the next bytes, of which at most 1 MiB; fewer at the end of the bytes."""
        kept = b""
        while size > 0:
            if not self._held:
                self._held = next(self._blocks, b"")
                if not self._held:
                    break
            part, self._held = self._held[:size], self._held[size:]
            size -= len(part)
            kept = (kept + part)[:_LONGEST]
        return kept


def text_of(name: str, value: Any) -> str | None:
    """Return the text that a list of bytes holds, None for any other value.

    Fields that are not UTF-8 are written so; only those of the journal have names in capitals.

    >>> text_of("MESSAGE", [112, 97, 110, 105, 99]), text_of("sizes", [112, 97])
    ('panic', None)
    """
    if not (isinstance(value, list) and value and name.isupper()):
        return None
    if not all(type(each) is int and 0 <= each <= 255 for each in value):
        return None
    return bytes(value).decode("utf-8", "replace")
