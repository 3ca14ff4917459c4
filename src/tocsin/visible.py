"""Foreign text made safe to show: on a terminal, on a page, in a log, in a header."""

from __future__ import annotations

from unicodedata import category


def visible(text: str, most: int | None = None, keep: str = "") -> str:
    r"""Return text with what is not seen, steers a terminal or turns text around written out.

    ``most``: characters after which it is cut. ``keep``: characters left as they are.

    >>> visible("a\x00b\u202ec"), visible("\x1b[31mred"), visible("too long", most=3)
    ('a\\x00b\\u202ec', '\\x1b[31mred', 'too…')
    """
    if most is not None and len(text) > most:
        text = f"{text[:most]}…"
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep or category(c) == "Zs" else _written(c) for c in text
    )


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode()
