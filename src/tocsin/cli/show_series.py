"""What commands print of time series: the anomalous intervals, with their times and channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tocsin.cli import show

if TYPE_CHECKING:
    import numpy as np

    from tocsin.types import Interval, SeriesDetection


def intervals(detection: SeriesDetection) -> list[dict[str, Any]]:
    """Return the intervals as JSON values, the most anomalous first."""
    return [
        {
            "entity": interval.entity,
            **{
                end: {"row": _row(detection, getattr(interval, end)), "time": _iso(time)}
                for end, time in (
                    ("start", interval.start_time),
                    ("end", interval.end_time),
                    ("peak", interval.peak_time),
                )
            },
            "points": interval.end - interval.start + 1,
            "score": interval.score,
            "p_value": interval.p_value,
            "reasons": [
                {
                    "channel": reason.name,
                    "seen": reason.seen,
                    "expected": reason.expected,
                    "weight": round(reason.weight, 4),
                }
                for reason in interval.reasons
            ],
        }
        for interval in detection.intervals
    ]


def print_intervals(detection: SeriesDetection, detector: str, top: int) -> None:
    """Print how many intervals there are, the notes, and the top intervals with their channels."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, found = Console(), detection.intervals
    share = float(detection.decision.is_anomaly.mean())
    rate = detection.decision.false_alarm_rate
    noun = "interval" if len(found) == 1 else "intervals"
    console.print(
        Text(f"{len(found):,} anomalous {noun} in {len(detection):,} points", style="bold"),
        Text(f"({share:.2%} of them; {detector}; budget: {rate:.2%} of normal points)"),
    )
    for note in detection.notes:
        console.print(Text(f"· {note}", style="dim"))
    if not found[:top]:
        return
    named = detection.entities is not None
    headings = ["entity"] * named + ["from", "to", "points", "score", "p-value", "why"]
    table = Table(*headings, box=None, header_style="bold", pad_edge=False)
    for interval in found[:top]:
        cells = [Text(str(interval.entity))] if named else []
        cells += [Text(_when(detection, interval, end)) for end in ("start", "end")]
        cells.append(Text(f"{interval.end - interval.start + 1:,}"))
        cells += [Text(f"{interval.score:.4g}"), Text(f"{interval.p_value:.2g}")]
        cells.append(Text("; ".join(map(show.sentence, interval.reasons[:3]))))
        table.add_row(*cells)
    console.print(table)
    if len(found) > top:
        console.print(
            Text(f"… and {len(found) - top:,} more: --top, --report or --json", style="dim")
        )


def _row(detection: SeriesDetection, point: int) -> int | None:
    """Return the row that a point comes from, None if it was filled in."""
    row = int(detection.rows[point])
    return row if row >= 0 else None


def _when(detection: SeriesDetection, interval: Interval, end: str) -> str:
    time = _iso(getattr(interval, f"{end}_time"))
    return time or f"row {_row(detection, getattr(interval, end))}"


def _iso(time: np.datetime64 | None) -> str | None:
    """Return a UTC time in ISO 8601."""
    import pandas as pd

    return None if time is None else pd.Timestamp(time).isoformat() + "Z"
