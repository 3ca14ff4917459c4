"""``tocsin events``: what came in, and how it was scored; quarantine and dead notifications."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    from tocsin.monitor.quarantine import ReprocessResult
    from tocsin.monitor.stores import Stores
    from tocsin.store.outbox import Pending
    from tocsin.store.quarantine import Quarantined

_NARROWEST = 140


def events(
    monitor: Annotated[str | None, typer.Argument(help="Only those of this monitor.")] = None,
    config: options.Config = options.CONFIG,
    since: Annotated[datetime | None, typer.Option(help="From this UTC time on.")] = None,
    anomalies: Annotated[bool, typer.Option("--anomalies", help="Anomalies only.")] = False,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Events that were rejected, and why.")
    ] = False,
    replay: Annotated[
        str | None,
        typer.Option(help='Reprocess this number of the quarantine, or "all".'),
    ] = None,
    dead: Annotated[
        bool, typer.Option("--dead", help="Notifications that could not be delivered.")
    ] = False,
    requeue: Annotated[
        str | None, typer.Option(help="Send the dead notification of this key again.")
    ] = None,
    top: Annotated[int, typer.Option(help="Rows to print.", min=1, show_default=True)] = 20,
    as_json: options.Json = False,
) -> None:
    """Show counts by monitor, or the last events of one with their scores.

    With --replay, events in quarantine are scored by today's settings and model, however late
    they are. It needs the store to itself: stop `tocsin up` first.
    """
    from tocsin.cli import printing
    from tocsin.cli.alarms import known_monitor, opened

    _check_options(monitor, anomalies or since is not None, quarantine or replay is not None, dead)
    with opened(config) as (settings, stores):
        known_monitor(settings, stores, monitor)
        if requeue is not None:
            stores.outbox.requeue(requeue, datetime.now(UTC))
            typer.echo(f"{requeue} will be sent again.")
            return
        if replay is not None:
            from tocsin.monitor.quarantine import reprocess_quarantined

            with printing.progress("Reprocessing"):
                result = reprocess_quarantined(settings, stores, monitor, _numbers(replay))
            _print_reprocessed(result, as_json)
            return
        if dead:
            found = [_dead(each) for each in stores.outbox.dead()[:top]]
        elif quarantine:
            found = [_quarantined(each) for each in stores.quarantine.list(monitor, limit=top)]
        elif monitor is None:
            counts = stores.counters.read()
            names = dict.fromkeys((*settings.monitors, *sorted(counts)))
            found = [{"monitor": name, "events": 0, **counts.get(name, {})} for name in names]
        else:
            found = _last(stores, monitor, since, anomalies, top)
    if as_json:
        printing.print_json(found)
    else:
        _print(found)


def _check_options(monitor: str | None, chosen: bool, quarantine: bool, dead: bool) -> None:
    """Raise ParameterError for options that contradict each other."""
    from tocsin.errors import ParameterError

    if quarantine and dead:
        raise ParameterError("Give --quarantine or --dead, not both.")
    if chosen and (monitor is None or quarantine or dead):
        raise ParameterError("--anomalies and --since select events of one monitor: name it.")


def _numbers(replay: str) -> list[int] | None:
    from tocsin.errors import ParameterError

    if replay == "all":
        return None
    if not replay.isdecimal() or len(replay) > 18:
        raise ParameterError(f'--replay takes a number of the quarantine or "all", not "{replay}".')
    return [int(replay)]


def _last(
    stores: Stores, monitor: str, since: datetime | None, anomalies: bool, top: int
) -> list[dict[str, Any]]:
    """Return the last events of a monitor, the newest first."""
    from tocsin.cli.printing_alarms import utc

    found = []
    batches = stores.events.read(monitor, since=utc(since), newest=top, anomalies_only=anomalies)
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


def _print_reprocessed(result: ReprocessResult, as_json: bool) -> None:
    from dataclasses import asdict

    from tocsin.cli.printing import count_anomalies, print_json

    if as_json:
        print_json(asdict(result))
        return
    typer.echo(
        f"Reprocessed {result.taken:,}: {result.events:,} accepted "
        f"({count_anomalies(result.anomalies)}), {result.duplicates:,} duplicates, "
        f"{result.refused:,} rejected"
    )


def _print(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table; an event is cut to what a line holds."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tocsin.cli.printing import cut
    from tocsin.cli.printing_alarms import format_value

    if not rows:
        typer.echo("nothing")
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
    console = Console()
    console.width = max(console.width, _NARROWEST)
    console.print(table)
