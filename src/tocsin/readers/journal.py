"""How the journal of systemd writes its fields as JSON."""

from __future__ import annotations

from typing import Any


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
