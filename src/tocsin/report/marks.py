"""Text in pieces for reading, some of them marked."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.printable import printable
from tocsin.types import TextMark

_BEFORE = 100
_FAINTEST = 0.2


def pieces(
    text: str, marks: Sequence[TextMark], most: int, keep: str = ""
) -> list[tuple[str, float | None]]:
    r"""Return a text in pieces for reading, each with how strongly it is marked, or None.

    The heaviest mark is 1. Of a longer text than ``most`` characters a part is taken that shows
    the heaviest mark. Characters that are not seen are written out, but those in ``keep``.

    >>> pieces("win a \x1b prize", [TextMark(8, 13, 0.4)], 80)
    [('win a \\x1b ', None), ('prize', 1.0)]
    """
    first = max(marks, key=lambda mark: mark.weight, default=TextMark(0, 0, 1.0))
    start = 0 if first.end <= most else max(0, first.start - _BEFORE)
    end, done = min(len(text), start + most), start
    found: list[tuple[str, float | None]] = [("…", None)] if start else []
    for mark in sorted(marks, key=lambda mark: mark.start):
        a, b = max(mark.start, done), min(mark.end, end)
        if a < b:
            strength = max(_FAINTEST, mark.weight / first.weight) if first.weight else _FAINTEST
            found += [(text[done:a], None), (text[a:b], strength)]
            done = b
    found += [(text[done:end], None), ("…" if end < len(text) else "", None)]
    return [(printable(piece, keep=keep), strength) for piece, strength in found if piece]
