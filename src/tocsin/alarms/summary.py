"""One sentence about an alarm."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.printable import printable
from tocsin.types import Reason

LONGEST = 100
"""Characters of a text from outside in a sentence."""


def summarise(who: str, reasons: Sequence[Reason], score: float) -> str:
    """Return one sentence about an event from its heaviest reason, or else its score.

    >>> summarise("machine", [Reason("cpu_percent", 98.21, 12.1, 0.9)], 4.0)
    'machine: cpu_percent 98.21 (expected 12.1)'
    """
    who = printable(who, LONGEST)
    return f"{who}: {format_reason(reasons[0])}" if reasons else f"{who}: score {score:.4g}"


def format_reason(reason: Reason) -> str:
    """Return a reason in words: its name, what was seen, and what was expected."""
    expected = "" if reason.expected is None else f" (expected {_format_value(reason.expected)})"
    return f"{printable(reason.name, LONGEST)} {_format_value(reason.seen)}{expected}"


def _format_value(value: float | str | None) -> str:
    if isinstance(value, str):
        return printable(value, LONGEST)
    return "missing" if value is None else f"{value:.4g}"
