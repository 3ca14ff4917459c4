"""Fields of protobuf messages, read without a schema."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tocsin.errors import InputError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The wire types."""

_SIZES = {FIXED64: 8, FIXED32: 4}


def parts(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, wire type and value of each field; a varint as 8 bytes, little-endian.

    Raises InputError for what is no protobuf.
    """
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = varint(message, at)
            yield key >> 3, kind, value.to_bytes(8, "little")
            continue
        size = _SIZES.get(kind, -1)
        if kind == BYTES:
            size, at = varint(message, at)
        if size < 0 or at + size > len(message):
            raise InputError("the request is not a remote write: its protobuf is broken.")
        yield key >> 3, kind, message[at : at + size]
        at += size


def texts(message: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the values of a field of bytes."""
    for number, kind, value in parts(message):
        if number == wanted and kind == BYTES:
            yield value


def numbers(packed: bytes) -> Iterator[int]:
    """Yield the whole numbers of a packed field."""
    at = 0
    while at < len(packed):
        value, at = varint(packed, at)
        yield value


def double(value: bytes) -> float:
    """Return the float64 of a field of 8 bytes."""
    found: float = struct.unpack("<d", value)[0]
    return found


def varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a whole number at a place, and where the next field begins."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
    raise InputError("the request is not a remote write: a number in it does not end.")
