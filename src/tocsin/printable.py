"""Text from elsewhere made safe to print: on a terminal, on a page, in a log, in a header."""

from __future__ import annotations

import json
from unicodedata import category


def printable(text: str, most: int | None = None, keep: str = "") -> str:
    r"""Return text with escapes for what is invisible, steers a terminal or reverses text.

    ``most``: the length at which it is cut. ``keep``: characters that are left as they are.

    >>> printable("a\x00b\u202ec"), printable("\x1b[31mred"), printable("too long", most=3)
    ('a\\x00b\\u202ec', '\\x1b[31mred', 'too…')
    """
    if most is not None and len(text) > most:
        text = f"{text[:most]}…"
    if all(map(str.isprintable, text.split(keep) if len(keep) == 1 else [text])):
        return text
    return "".join(c if c in keep or _is_harmless(c) else _escape(c) for c in text)


def printable_json(text: str) -> str:
    r"""Return JSON that means the same, without anything that steers a terminal or reverses text.

    >>> printable_json('{"name": "caf\u00e9 \u202e"}')
    '{"name": "café \\u202e"}'
    """
    if all(map(str.isprintable, text.split("\n"))):
        return text
    return "".join(c if c == "\n" or _is_harmless(c) else json.dumps(c)[1:-1] for c in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or category(character) == "Zs"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
