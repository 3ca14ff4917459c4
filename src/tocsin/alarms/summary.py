"""One sentence about an alarm."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.types import Reason


def sentence(who: str, reasons: Sequence[Reason], score: float) -> str:
    """Return one sentence about an event from its heaviest reason, or else its score.

    >>> sentence("machine", [Reason("cpu_percent", 98.21, 12.1, 0.9)], 4.0)
    'machine: cpu_percent 98.21 (expected 12.1)'
    """
    if not reasons:
        return f"{who}: score {score:.4g}"
    first = reasons[0]
    expected = "" if first.expected is None else f" (expected {_shown(first.expected)})"
    return f"{_shown(who)}: {_shown(first.name)} {_shown(first.seen)}{expected}"


def _shown(value: float | str | None) -> str:
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else "�" for letter in value[:100])
    return "missing" if value is None else f"{value:.4g}"
