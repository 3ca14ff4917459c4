"""The JSON of an event, decoded as files are read: also what programs write beside the standard."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec

from tocsin.readers.encoding import BOMS
from tocsin.readers.json_tables import without_halves

_GZIP = b"\x1f\x8b"
_AROUND = "\ufeff\x1e\0 \t\r\n"
"""What streams put around JSON: a byte order mark, RFC 7464's separator, a NUL, blanks."""
_SCHEMA_ID = 5
"""Bytes that registries of schemas put before a Kafka record's JSON; the first one is NUL."""

_decode = msgspec.json.Decoder().decode


def decoded(raw: bytes) -> Any:
    r"""Return the value that JSON holds. Raises ValueError, which says what it is instead.

    As in files, NaN and infinities are read, half a surrogate pair is the replacement character,
    and text that is not UTF-8 is UTF-16 with a byte order mark, Windows-1252 or Latin-1.

    >>> decoded(b'\xef\xbb\xbf{"heat": NaN}'), decoded(b'{"town": "K\xf6ln"}')
    ({'heat': nan}, {'town': 'Köln'})
    """
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = f"it is not JSON: {error}"
    except RecursionError as error:
        raise ValueError(f"it is not JSON: {error}") from None
    if raw.startswith(_GZIP):
        raise ValueError("it is compressed by gzip: send it as it is")
    if raw[:1] == b"\0" and raw[_SCHEMA_ID : _SCHEMA_ID + 1] == b"{":
        raw = raw[_SCHEMA_ID:]
    text = text_of(raw).strip(_AROUND)
    if not text:
        return None
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise ValueError(problem) from None
    return without_halves(value)[0] if "\\u" in text else value


def text_of(raw: bytes) -> str:
    """Return the text of bytes by their encoding, as that of files is found."""
    try:  # as nearly always
        return raw.decode()
    except UnicodeDecodeError:
        encodings = [name for mark, name in BOMS if raw.startswith(mark)]
    for encoding in (*encodings, "cp1252"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode("latin-1")
