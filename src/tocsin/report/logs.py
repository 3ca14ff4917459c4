"""The report of logs: one self-contained HTML file with the raw lines of the anomalies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.printable import printable
from tocsin.report.base import Model
from tocsin.report.items import ItemReport
from tocsin.report.marks import pieces
from tocsin.types import LogDetection, LogLine, Reason, TextMark

_MOST_CHARACTERS = 600
_MOST_MARKS = 20
_WILD = re.compile(r"\*|<[^<>\s]{1,20}>")
_NAMED = ("level", "component", "order")
"""Reasons whose text in a line is what was seen, not their name."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A raw line in pieces, marked or not; ``telling`` if a reason names something in it."""

    number: str
    pieces: list[tuple[str, float | None]]
    telling: bool


@dataclass(frozen=True, slots=True)
class _Session:
    """An anomalous session as it reads."""

    place: str
    key: str
    time: str
    size: int
    lines: list[_Line]
    hidden: bool
    nearest: list[str]


class LogReport(ItemReport):
    """The report of log sessions: the telling lines as they stand in the file, words marked."""

    modality = "logs"
    unit = "session"
    template = "logs.html"

    @classmethod
    def show_item(cls, detection: LogDetection, item: int, data: Any) -> _Session:
        """Return where a session is, and its lines in pieces."""
        return _describe_session(detection, item)

    @classmethod
    def context(cls, detection: LogDetection, pipeline: Model, data: Any) -> dict[str, Any]:
        """Return counts and the span of time."""
        times = detection.times[~np.isnat(detection.times)]
        ends = (times.min(), times.max()) if times.size else ()
        return {
            "records": int(detection.sizes.sum()),
            "single": bool((detection.sizes == 1).all()),
            "span": [_format_time(end)[:16] for end in ends],
        }

    @classmethod
    def times(cls, detection: LogDetection) -> NDArray[np.datetime64] | None:
        """Return the time of each session's first line."""
        return None if np.isnat(detection.times).all() else detection.times

    @classmethod
    def reasons(cls, detection: LogDetection, row: int) -> tuple[Reason, ...]:
        """Return the reasons with how often what is counted was seen."""
        return tuple(map(_with_counts, super().reasons(detection, row)))


def _describe_session(detection: LogDetection, row: int) -> _Session:
    file, number, key = detection.files[row], detection.numbers[row], detection.keys[row]
    place = f"{Path(file).name}:{number}" if file else f"line {number}" if number else key
    raw = detection.lines.get(row, ())
    explanation = detection.explanations.get(row)
    reasons = explanation.reasons if explanation else ()
    return _Session(
        place=place,
        key="" if key in (place, f"{file}:{number}") else key,
        time="" if np.isnat(detection.times[row]) else _format_time(detection.times[row]),
        size=int(detection.sizes[row]),
        lines=[_mark_line(line, line.file != file, reasons) for line in raw],
        hidden=len({(line.file, line.number) for line in raw}) < int(detection.sizes[row]),
        nearest=[printable(each[:_MOST_CHARACTERS]) for each in detection.nearest.get(row, ())],
    )


def _mark_line(line: LogLine, elsewhere: bool, reasons: Sequence[Reason]) -> _Line:
    """Return a raw line as it reads; ``elsewhere``: in another file than the session's first."""
    number = printable(f"{Path(line.file).name}:{line.number}" if elsewhere else str(line.number))
    marks = [
        TextMark(start, end, reason.weight)
        for reason in sorted(reasons, key=lambda reason: -reason.weight)
        for start, end in islice(_occurrences(line.text, _pattern_of(reason)), _MOST_MARKS)
    ]
    return _Line(number, pieces(line.text, _drop_overlaps(marks), _MOST_CHARACTERS), bool(marks))


def _pattern_of(reason: Reason) -> str:
    """Return the text, perhaps with wildcards, by which a reason is found in a raw line."""
    if isinstance(reason.seen, str):
        return reason.seen if reason.name in _NAMED else ""
    return reason.name if reason.seen else ""


def _occurrences(text: str, sought: str) -> Iterator[tuple[int, int]]:
    """Yield where the words of a masked message stand in a raw line, in this order.

    >>> list(_occurrences("job 7 of 8 failed", "job * failed"))
    [(0, 17)]
    """
    parts = [part for part in map(str.strip, _WILD.split(sought)) if part]
    if not parts:
        return
    patterns = [re.escape(part) for part in parts]
    patterns[0] = _border_pattern(sought[0]) + patterns[0]
    patterns[-1] += _border_pattern(sought[-1])
    end = 0
    while True:
        start = None
        for pattern in patterns:
            if (match := re.compile(pattern).search(text, end)) is None:
                return
            start, end = match.start() if start is None else start, match.end()
        if start is not None:
            yield start, end


def _border_pattern(character: str) -> str:
    """Return a pattern for the border of a word, where what is sought begins or ends with one."""
    return r"\b" if character.isalnum() else ""


def _drop_overlaps(marks: Sequence[TextMark]) -> list[TextMark]:
    """Return the marks, the heaviest first, without those that overlap a heavier one."""
    kept: list[TextMark] = []
    for mark in marks:
        if all(mark.end <= other.start or other.end <= mark.start for other in kept):
            kept.append(mark)
    return kept


def _with_counts(reason: Reason) -> Reason:
    """Return a reason that shows counts as times seen, such as ×3."""
    if isinstance(reason.seen, str):
        return reason
    seen, expected = (None if x is None else f"×{x}" for x in (reason.seen, reason.expected))
    return replace(reason, seen=seen, expected=expected)


def _format_time(time: np.datetime64) -> str:
    """Return a time for reading.

    >>> _format_time(np.datetime64("2026-03-01T08:20:00.000"))
    '2026-03-01 08:20:00'
    """
    return str(time).replace("T", " ").removesuffix(".000")
