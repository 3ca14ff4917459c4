"""What commands print of logs: the anomalous sessions with their lines as they stand in files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tocsin.cli import show
from tocsin.printable import printable

if TYPE_CHECKING:
    import numpy as np

    from tocsin.types import LogDetection, Reason

_WIDTH = 300


def sessions(detection: LogDetection, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return sessions as JSON values."""
    return [
        {
            "key": detection.keys[row],
            "file": detection.files[row],
            "line": int(detection.numbers[row]),
            "time": _iso(detection.times[row]),
            "records": int(detection.sizes[row]),
            "score": float(detection.scores.values[row]),
            "p_value": float(detection.decision.p_values[row]),
            "is_anomaly": bool(detection.decision.is_anomaly[row]),
            "lines": [
                {"file": line.file, "line": line.number, "text": line.text}
                for line in detection.lines.get(row, ())
            ],
            "reasons": [
                {"what": each.pop("column"), **each}
                for each in show.reasons(detection.explanations.get(row))
            ],
            "nearest_normal": list(detection.nearest.get(row, ())),
        }
        for row in rows
    ]


def print_detection(detection: LogDetection, detector: str, top: int) -> None:
    """Print how many anomalies there are, the notes, and the top anomalies with their lines."""
    from rich.console import Console
    from rich.text import Text

    console, found = Console(), detection.anomalies
    share, threshold = len(found) / len(detection), detection.decision.threshold
    shown = f"{threshold:.4g}" if threshold < 1e300 else "out of reach"
    console.print(
        Text(f"{show.number_of(len(found))} in {len(detection):,} sessions", style="bold"),
        Text(f"({share:.2%} of them; {detector}; threshold: {shown})"),
        soft_wrap=True,
    )
    for note in detection.notes:
        console.print(Text(f"· {cut(note)}", style="dim"), soft_wrap=True)
    print_sessions(detection, found[:top].tolist())
    if len(found) > top:
        console.print(Text(f"… and {len(found) - top:,} more: --top, --out or --json", style="dim"))


def print_sessions(detection: LogDetection, rows: Sequence[int]) -> None:
    """Print sessions: where, when, how anomalous, their lines, why, and a normal example."""
    from rich.console import Console
    from rich.text import Text

    console = Console()

    def tell(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    for row in rows:
        tell(_heading(detection, row), "bold")
        lines = detection.lines.get(row, ())
        for line in lines:
            place = "" if line.number == lines[0].number else f"{line.number}: "
            tell(f"  {cut(place + line.text)}")
        if len({line.number for line in lines}) < detection.sizes[row]:
            tell(f"  … {len(lines)} of {detection.sizes[row]:,} lines", "dim")
        if row in detection.explanations and detection.explanations[row].reasons:
            told = map(sentence, detection.explanations[row].reasons)
            tell(f"  why: {'; '.join(told)}")
        if row in detection.nearest:
            tell(f"  normal: {cut(' | '.join(detection.nearest[row]))}", "dim")


def sentence(reason: Reason) -> str:
    """Return a reason in a few words; what is counted is seen so many times.

    >>> from tocsin.types import Reason
    >>> sentence(Reason("panic", 1, 0, 0.7))
    '"panic" ×1 (normal: ×0)'
    """
    if isinstance(reason.seen, str):
        told = f"{reason.name} {cut(reason.seen) or 'none'}"
        return told if reason.expected is None else f"{told} (normal: {reason.expected or 'none'})"
    return f'"{cut(reason.name)}" ×{reason.seen:g} (normal: ×{reason.expected:g})'


def cut(text: str) -> str:
    """Return the beginning of a text as a terminal can show it."""
    return printable(text, _WIDTH)


def _heading(detection: LogDetection, row: int) -> str:
    file, key = detection.files[row], detection.keys[row]
    place = f"{file}:{detection.numbers[row]}" if file else f"line {detection.numbers[row]}"
    verdict = "" if detection.decision.is_anomaly[row] else "normal"
    told = [
        place if detection.numbers[row] else "",
        _iso(detection.times[row]) or "",
        "" if key == place else key,
        f"score {detection.scores.values[row]:.4g}",
        f"p-value {detection.decision.p_values[row]:.2g}",
        verdict,
    ]
    return cut("  ".join(filter(None, told)))


def _iso(time: np.datetime64) -> str | None:
    """Return a UTC time in ISO 8601, None for none."""
    text = str(time)
    return None if text == "NaT" else f"{text.removesuffix('.000')}Z"
