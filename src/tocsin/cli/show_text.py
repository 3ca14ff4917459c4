"""What commands print of texts: the anomalous ones, the words that made them such marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tocsin.cli import show
from tocsin.cli.show_logs import cut
from tocsin.features.texts import LONGEST
from tocsin.printable import printable

if TYPE_CHECKING:
    from rich.text import Text

    from tocsin.types import Reason, TextDetection, TextMark

_WIDTH, _BEFORE = 400, 100
_MARKED = "bold reverse"


def texts(detection: TextDetection, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return texts as JSON values, each cut at 20,000 characters."""
    return [
        {
            "row": row,
            "score": float(detection.scores.values[row]),
            "p_value": float(detection.decision.p_values[row]),
            "is_anomaly": bool(detection.decision.is_anomaly[row]),
            "text": detection.texts[row][:LONGEST],
            "marks": [
                {
                    "start": mark.start,
                    "end": mark.end,
                    "text": detection.texts[row][mark.start : mark.end],
                    "weight": round(mark.weight, 4),
                }
                for mark in detection.marks.get(row, ())
            ],
            "reasons": [
                {"what": each.pop("column"), **each}
                for each in show.reasons(detection.explanations.get(row))
            ],
            "nearest_normal": detection.nearest.get(row),
        }
        for row in rows
    ]


def print_detection(detection: TextDetection, detector: str, top: int) -> None:
    """Print how many anomalies there are, the notes, and the top anomalies."""
    found = detection.anomalies
    show.print_headline(len(found), len(detection), detector, detection, "texts")
    print_texts(detection, found[:top].tolist())
    show.print_more(len(found) - top)


def print_texts(detection: TextDetection, rows: Sequence[int]) -> None:
    """Print texts: how anomalous, the words that are, why, and a normal text."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for row in rows:
        console.print(Text(_heading(detection, row), style="bold"))
        marks = detection.marks.get(row, ())
        console.print(Text("  ") + _shown(detection.texts[row], marks), soft_wrap=True)
        if row in detection.explanations and detection.explanations[row].reasons:
            marked = {detection.texts[row][mark.start : mark.end] for mark in marks}
            told = (sentence(r, marked) for r in detection.explanations[row].reasons)
            console.print(Text(f"  why: {'; '.join(told)}"), soft_wrap=True)
        if row in detection.nearest:
            near = cut(detection.nearest[row])
            console.print(Text(f"  normal: {near}", style="dim"), soft_wrap=True)


def sentence(reason: Reason, marked: set[str]) -> str:
    """Return a reason in a few words; ``marked``: the words that are marked in the text.

    >>> from tocsin.types import Reason
    >>> sentence(Reason("share of digits", 0.312, 0.004, 0.2), {"WIN"})
    'share of digits 31% (normal: 0%)'
    """
    if reason.name in marked:
        return f'"{cut(reason.name)}" {reason.weight:.0%}'
    if reason.seen is None:
        return cut(reason.name)
    seen, expected = (_value(reason.name, value) for value in (reason.seen, reason.expected))
    return f"{reason.name} {seen} (normal: {expected})"


def _value(name: str, value: float | str | None) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0%}" if name.startswith("share") else f"{value:,.1f}".removesuffix(".0")


def _heading(detection: TextDetection, row: int) -> str:
    told = [
        f"row {row}",
        f"score {detection.scores.values[row]:.4g}",
        f"p-value {detection.decision.p_values[row]:.2g}",
        "" if detection.decision.is_anomaly[row] else "normal",
    ]
    return "  ".join(filter(None, told))


def _shown(text: str, marks: Sequence[TextMark]) -> Text:
    """Return a text, or the stretch of it around its heaviest mark, with the marks in style."""
    from rich.text import Text

    if not text:
        return Text("(empty)", style="dim")
    heaviest = max(marks, key=lambda mark: mark.weight, default=None)
    begin = 0
    if heaviest is not None and heaviest.end > _WIDTH:
        begin = heaviest.start - _BEFORE
    end = begin + _WIDTH
    shown = Text("…" if begin else "")
    for start, stop, style in _stretches(marks, begin, min(end, len(text))):
        shown.append(printable(text[start:stop]), style)
    return shown.append("…" if end < len(text) else "")


def _stretches(marks: Sequence[TextMark], begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield the stretches between begin and end that are marked or not, with their style."""
    for mark in marks:
        if mark.end <= begin or mark.start >= end:
            continue
        yield begin, max(mark.start, begin), ""
        yield max(mark.start, begin), min(mark.end, end), _MARKED
        begin = min(mark.end, end)
    yield begin, end, ""
