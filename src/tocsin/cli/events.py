"""``tocsin events``: what came in, and how it was scored; quarantine and dead notices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from tocsin.cli import options


def events(
    monitor: Annotated[str | None, typer.Argument(help="Those of one monitor.")] = None,
    config: options.Config = options.CONFIG,
    since: Annotated[datetime | None, typer.Option(help="From this UTC time on.")] = None,
    anomalies: Annotated[bool, typer.Option("--anomalies", help="Anomalies only.")] = False,
    quarantine: Annotated[
        bool, typer.Option("--quarantine", help="Events that were refused, and why.")
    ] = False,
    dead: Annotated[
        bool, typer.Option("--dead", help="Notices that could not be delivered.")
    ] = False,
    requeue: Annotated[str | None, typer.Option(help="Send the dead notice of this key.")] = None,
    top: options.Top = 20,
    as_json: options.Json = False,
) -> None:
    """Show counts by monitor, or the last events of one with their scores."""
    from tocsin.cli import show
    from tocsin.cli.alarms import stores_of

    with stores_of(config) as stores:
        if requeue is not None:
            from datetime import UTC

            stores.outbox.requeue(requeue, datetime.now(UTC))
            typer.echo(f"{requeue} is sent again.")
            return
        if dead:
            found = [_dead(each) for each in stores.outbox.dead()[:top]]
        elif quarantine:
            found = [_refused(each) for each in stores.quarantine.list(monitor)[:top]]
        elif monitor is None:
            counts = stores.counters.read()
            found = [{"monitor": name, **counts[name]} for name in sorted(counts)]
        else:
            found = _last(stores, monitor, since, anomalies, top)
    if as_json:
        show.print_json(found)
        return
    _print(found)


def _last(
    stores: Any, monitor: str, since: datetime | None, anomalies: bool, top: int
) -> list[dict[str, Any]]:
    """Return the last events of a monitor, the newest first."""
    from tocsin.cli.show_alarms import utc

    found = []
    batches = stores.events.read(monitor, since=utc(since), newest=top, anomalies_only=anomalies)
    for batch in batches:
        judged = batch.judgement
        for i, values in enumerate(batch.frame.to_dict("records")):
            row: dict[str, Any] = {"time": str(batch.times[i])}
            if batch.entities is not None:
                row["entity"] = batch.entities[i]
            if judged is not None:
                row["score"] = float(judged.scores[i])
                row["p_value"] = float(judged.p_values[i])
                row["anomaly"] = bool(judged.is_anomaly[i])
            found.append({**row, **values})
    return found[::-1]


def _refused(refused: Any) -> dict[str, Any]:
    return {
        "number": refused.number,
        "at": refused.at.isoformat(timespec="seconds"),
        "monitor": refused.monitor,
        "kind": refused.kind,
        "reason": refused.reason,
        "raw": refused.raw,
    }


def _dead(pending: Any) -> dict[str, Any]:
    return {
        "key": pending.key,
        "responder": pending.responder,
        "status": pending.status,
        "kind": pending.kind,
        "alarms": len(pending.alarm_ids),
        "attempts": pending.attempts,
        "reason": pending.reason,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tocsin.cli.show_logs import cut

    if not rows:
        typer.echo("nothing")
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(Text(cut(name)))
    for row in rows:
        table.add_row(*(Text(cut(_shown(row.get(name)))) for name in columns))
    Console().print(table)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
