"""What commands print of alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tocsin.cli import terminal
from tocsin.cli.printing import cut

if TYPE_CHECKING:
    from tocsin.store.alarms import AlarmEntry
    from tocsin.store.silences import Silence
    from tocsin.types import Alarm

_NARROWEST = 140
_STYLES = {"critical": "bold red", "warning": "yellow", "info": "dim"}


def as_dict(alarm: Alarm) -> dict[str, Any]:
    """Return an alarm as JSON values."""
    from dataclasses import asdict

    values = asdict(alarm)
    for name in ("opened", "updated", "closed", "peak"):
        values[name] = None if values[name] is None else values[name].isoformat()
    return {**values, "evidence": dict(alarm.evidence), "labels": dict(alarm.labels)}


def silence_as_dict(silence: Silence) -> dict[str, Any]:
    """Return a silence as JSON values."""
    return {
        "id": silence.id,
        "match": dict(silence.match),
        "until": silence.ends.isoformat(timespec="seconds"),
        "who": silence.who,
        "note": silence.note,
    }


def print_fields(rows: Sequence[Mapping[str, Any]], nothing: str) -> None:
    """Print rows, one line each, as names and values; ``nothing`` if there are none."""
    for row in rows:
        words = (f"{name} {format_value(value)}" for name, value in row.items() if value)
        terminal.echo(cut("  ".join(words)))
    if not rows:
        terminal.echo(nothing)


def format_value(value: Any) -> str:
    """Return a JSON value in a few words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={format_value(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value))
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def print_list(alarms: Sequence[Alarm], more: str) -> None:
    """Print alarms as a table, one per line, and ``more`` below unless it is empty."""
    from rich.table import Table
    from rich.text import Text

    console = terminal.console(narrowest=_NARROWEST)
    if not alarms:
        console.print(Text("no alarms", style="dim"))
        return
    table = Table(
        "id", "severity", "state", "opened (UTC)", "monitor", "entity", "anomalies", "what",
        box=None, header_style="bold", pad_edge=False,
    )  # fmt: skip
    for alarm in alarms:
        table.add_row(
            Text(alarm.id[:10]),
            Text(alarm.severity, style=_STYLES[alarm.severity]),
            Text(format_state(alarm)),
            Text(_format_time(alarm.opened)),
            Text(cut(alarm.monitor)),
            Text(cut(alarm.entity)),
            Text(_format_counts(alarm)),
            Text(cut(alarm.summary)),
        )
    console.print(table)
    if more:
        console.print(Text(more, style="dim"))


def print_one(alarm: Alarm, entries: Sequence[AlarmEntry]) -> None:
    """Print everything known about an alarm: what, when, why, the event, and who did what."""

    def echo(text: str, style: str = "") -> None:
        terminal.print_line(cut(text), style)

    echo(f"{alarm.severity}: {alarm.summary or alarm.kind}", "bold")
    echo(f"  id {alarm.id}, {format_state(alarm)}" + (f" by {alarm.owner}" if alarm.owner else ""))
    echo(f"  {' '.join(filter(None, (alarm.monitor, alarm.entity)))} ({alarm.kind})")
    end = "ongoing" if alarm.closed is None else f"ended {_format_time(alarm.closed)}"
    counted = f"; {_format_counts(alarm)} events were anomalies" if alarm.events else ""
    echo(f"  opened {_format_time(alarm.opened)} UTC, {end}{counted}")
    if alarm.score is not None and alarm.p_value is not None:
        echo(f"  worst: score {alarm.score:.4g}, p-value {alarm.p_value:.2g}, by {alarm.model}")
    for reason in alarm.reasons:
        expected = "" if reason.expected is None else f" (expected {format_value(reason.expected)})"
        echo(f"  {reason.weight:>4.0%}  {reason.name}: {format_value(reason.seen)}{expected}")
    for name, value in alarm.evidence.items():
        echo(f"  {name}: {format_value(value)}", "dim")
    for entry in entries:
        echo(f"  {_format_time(entry.at)}  {entry.who}: {entry.state} {entry.note}".rstrip())


def format_state(alarm: Alarm) -> str:
    """Return the state in words: an open alarm whose episode is over says so."""
    over = alarm.closed is not None and alarm.state in ("open", "acknowledged")
    return f"{alarm.state}, over" if over else alarm.state


def utc(time: datetime | None) -> datetime | None:
    """Return a time, in UTC if it was given without a zone."""
    return None if time is None else time.replace(tzinfo=time.tzinfo or UTC)


def _format_counts(alarm: Alarm) -> str:
    """Return how many events were anomalies, "" for an alarm about no events."""
    return f"{alarm.anomalies:,} of {alarm.events:,}" if alarm.events else ""


def _format_time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
