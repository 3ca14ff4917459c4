"""Text from elsewhere made safe to print: on a terminal, on a page, in a log, in a header."""

from __future__ import annotations

from unicodedata import category


def printable(text: str, most: int | None = None, keep: str = "") -> str:
    r"""Return text with escapes for what is invisible, steers a terminal or reverses text.

    ``most``: the length at which it is cut. ``keep``: characters that are left as they are.

    >>> printable("a\x00b\u202ec"), printable("\x1b[31mred"), printable("too long", most=3)
    ('a\\x00b\\u202ec', '\\x1b[31mred', 'too…')
    """
    if most is not None and len(text) > most:
        text = f"{text[:most]}…"
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep or category(c) == "Zs" else _escape(c) for c in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
