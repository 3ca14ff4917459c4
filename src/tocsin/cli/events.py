"""``tocsin events``: what came in, and how it was scored; quarantine and dead notifications."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli import options, terminal
from tocsin.cli.taking import takes_options
from tocsin.errors import ParameterError

if TYPE_CHECKING:
    from tocsin.config import Config
    from tocsin.monitor.stores import Stores
    from tocsin.store.outbox import Pending
    from tocsin.store.quarantine import Quarantined

_NARROWEST = 140


@dataclass(frozen=True)
class Choice:
    """What is to be shown."""

    since: Annotated[datetime | None, typer.Option(help="From this UTC time on.")] = None
    anomalies: Annotated[bool, typer.Option("--anomalies", help="Anomalies only.")] = False
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Events that were rejected, and why.")
    ] = False
    dead: Annotated[
        bool, typer.Option("--dead", help="Notifications that could not be delivered.")
    ] = False
    top: Annotated[int, typer.Option(help="Rows to print.", min=1, show_default=True)] = 20


@takes_options
def events(
    monitor: Annotated[str | None, typer.Argument(help="Only those of this monitor.")] = None,
    *,
    config: options.Config = options.CONFIG,
    choice: Choice,
    replay: Annotated[
        str | None,
        typer.Option(help='Reprocess this number of the quarantine, or "all".'),
    ] = None,
    requeue: Annotated[
        str | None, typer.Option(help="Send the dead notification of this key again.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show counts by monitor, or the last events of one with their scores.

    With --replay, events in quarantine are scored by today's settings and model, however late
    they are. It needs the store to itself: stop `tocsin up` first.
    """
    from tocsin.cli.alarms import known_monitor, opened
    from tocsin.cli.printing import print_json

    _check_choice(choice, monitor, replay)
    with opened(config) as (settings, stores):
        known_monitor(settings, stores, monitor)
        if requeue is not None:
            stores.outbox.requeue(requeue, datetime.now(UTC))
            terminal.echo(f"{requeue} will be sent again.")
            return
        if replay is not None:
            _reprocess(settings, stores, monitor, replay, as_json=as_json)
            return
        found = _find(settings, stores, monitor, choice)
        left = stores.quarantine.count(monitor) - len(found) if choice.quarantine else 0
    if as_json:
        print_json(found)
    else:
        _print(found)
        if left > 0:
            terminal.echo(f"… and {left:,} more: --top {len(found) + left}")


def _check_choice(choice: Choice, monitor: str | None, replay: str | None) -> None:
    """Raise ParameterError for options that contradict each other."""
    elsewhere = choice.quarantine or replay is not None
    if elsewhere and choice.dead:
        raise ParameterError("Give --quarantine or --dead, not both.")
    narrowed = choice.anomalies or choice.since is not None
    if narrowed and (monitor is None or elsewhere or choice.dead):
        raise ParameterError("--anomalies and --since select events of one monitor: name it.")


def _find(
    settings: Config, stores: Stores, monitor: str | None, choice: Choice
) -> list[dict[str, Any]]:
    """Return what was chosen as JSON values."""
    if choice.dead:
        return [_dead(each) for each in stores.outbox.dead()[: choice.top]]
    if choice.quarantine:
        return [_quarantined(each) for each in stores.quarantine.list(monitor, limit=choice.top)]
    if monitor is not None:
        return _last(stores, monitor, choice)
    counts = stores.counters.read()
    names = dict.fromkeys((*settings.monitors, *sorted(counts)))
    return [{"monitor": name, "events": 0, **counts.get(name, {})} for name in names]


def _reprocess(
    settings: Config, stores: Stores, monitor: str | None, replay: str, *, as_json: bool
) -> None:
    """Reprocess events in quarantine, and print how many were accepted."""
    from tocsin.cli.printing import count_anomalies, print_json, progress
    from tocsin.monitor.quarantine import reprocess_quarantined

    with progress("Reprocessing"):
        result = reprocess_quarantined(settings, stores, monitor, _numbers(replay))
    if as_json:
        print_json(asdict(result))
        return
    terminal.echo(
        f"Reprocessed {result.taken:,}: {result.events:,} accepted "
        f"({count_anomalies(result.anomalies)}), {result.duplicates:,} duplicates, "
        f"{result.refused:,} rejected"
    )


def _numbers(replay: str) -> list[int] | None:
    if replay == "all":
        return None
    if not replay.isdecimal() or len(replay) > 18:
        raise ParameterError(f'--replay takes a number of the quarantine or "all", not "{replay}".')
    return [int(replay)]


def _last(stores: Stores, monitor: str, choice: Choice) -> list[dict[str, Any]]:
    """Return the last events of a monitor, the newest first."""
    from tocsin.cli.printing_alarms import utc

    found = []
    batches = stores.events.read(
        monitor,
        since=utc(choice.since),
        newest=choice.top,
        anomalies_only=choice.anomalies,
    )
    for batch in batches:
        decision = batch.decision
        frame = batch.frame.astype(object).where(batch.frame.notna(), None)
        for i, values in enumerate(frame.to_dict("records")):
            row: dict[str, Any] = {"time": batch.times[i].item().replace(tzinfo=UTC).isoformat()}
            row["entity"] = None if batch.entities is None else batch.entities[i]
            row["score"] = None if decision is None else float(decision.scores[i])
            row["p_value"] = None if decision is None else float(decision.p_values[i])
            row["anomaly"] = None if decision is None else bool(decision.is_anomaly[i])
            row["model"] = None if decision is None else decision.model
            found.append({**row, "event": values})
    return found[::-1]


def _quarantined(event: Quarantined) -> dict[str, Any]:
    return {
        "number": event.number,
        "at": event.at.isoformat(timespec="seconds"),
        "monitor": event.monitor,
        "kind": event.kind,
        "reason": event.reason,
        "raw": event.raw,
    }


def _dead(pending: Pending) -> dict[str, Any]:
    return {
        "key": pending.key,
        "responder": pending.responder,
        "status": pending.status,
        "kind": pending.kind,
        "alarms": len(pending.alarm_ids),
        "attempts": pending.attempts,
        "reason": pending.reason,
    }


def _print(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table; an event is cut to what a line holds."""
    from rich.table import Table
    from rich.text import Text

    from tocsin.cli.printing import cut
    from tocsin.cli.printing_alarms import format_value

    if not rows:
        terminal.echo("nothing")
        return
    given = dict.fromkeys(name for row in rows for name in row if row[name] is not None)
    columns = [name for name in given if name != "model"]
    table = Table(box=None, header_style="bold", pad_edge=False, expand="event" in columns)
    for name in columns:
        if name == "event":
            table.add_column(Text(name), no_wrap=True, ratio=1)
        else:
            table.add_column(Text(cut(name)))
    for row in rows:
        table.add_row(*(Text(cut(format_value(row.get(name)))) for name in columns))
    terminal.console(narrowest=_NARROWEST).print(table)
