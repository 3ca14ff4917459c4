"""``tocsin alarms``: list, show, take, resolve, label and silence."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    from tocsin.monitor.process import Stores
    from tocsin.types import AlarmState

app = typer.Typer(
    name="alarms", help="List, show, take, resolve, label and silence alarms.", no_args_is_help=True
)

_Id = Annotated[str, typer.Argument(help="The alarm's id, or its beginning.")]
_Note = Annotated[str, typer.Option(help="Why; kept in the history.")]
_Who = Annotated[str | None, typer.Option(help="Who does it.", show_default="the user")]


@app.command("list")
def list_(
    config: options.Config = options.CONFIG,
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    monitor: Annotated[str | None, typer.Option(help="Those of one monitor.")] = None,
    top: options.Top = 50,
    as_json: options.Json = False,
) -> None:
    """List alarms, the newest first: those that are open or acknowledged, or all."""
    from tocsin.cli import show, show_alarms

    states: tuple[AlarmState, ...] | None = None if every else ("open", "acknowledged")
    with stores_of(config) as stores:
        found = stores.alarms.list(states=states, monitor=monitor, limit=top + 1)
    if as_json:
        show.print_json([show_alarms.as_dict(alarm) for alarm in found[:top]])
        return
    show_alarms.print_list(found[:top], len(found))


@app.command("show")
def show_(id: _Id, config: options.Config = options.CONFIG, as_json: options.Json = False) -> None:
    """Show one alarm: why, its evidence, and who did what about it."""
    from tocsin.cli import show, show_alarms

    with stores_of(config) as stores:
        alarm = stores.alarms.get(id)
        entries = stores.alarms.history(alarm.id)
    if as_json:
        history = [
            {"at": e.at.isoformat(), "who": e.who, "state": e.state, "note": e.note}
            for e in entries
        ]
        show.print_json({**show_alarms.as_dict(alarm), "history": history})
        return
    show_alarms.print_one(alarm, entries)


@app.command()
def ack(
    id: _Id, config: options.Config = options.CONFIG, note: _Note = "", who: _Who = None
) -> None:
    """Take an alarm: it is not escalated or repeated any more."""
    _change(config, id, "acknowledged", note, who)


@app.command()
def resolve(
    id: _Id, config: options.Config = options.CONFIG, note: _Note = "", who: _Who = None
) -> None:
    """Say that an alarm's cause is dealt with."""
    _change(config, id, "resolved", note, who)


@app.command()
def label(
    id: _Id,
    verdict: Annotated[
        Literal["anomaly", "false-alarm"], typer.Argument(help="What it turned out to be.")
    ],
    config: options.Config = options.CONFIG,
    note: _Note = "",
    who: _Who = None,
) -> None:
    """Say whether an alarm was right; the answer is kept for thresholds and training."""
    state: Literal["resolved", "false alarm"]
    state = "resolved" if verdict == "anomaly" else "false alarm"
    _change(config, id, state, note or f"labelled {verdict}", who)


@app.command()
def silence(
    match: Annotated[
        list[str] | None,
        typer.Argument(help='Which alarms: name=pattern, as in monitor=web-.* or entity="pump 7".'),
    ] = None,
    config: options.Config = options.CONFIG,
    hours: Annotated[float, typer.Option(help="For so long.", min=0.001, max=24 * 366)] = 1.0,
    expire: Annotated[str | None, typer.Option(help="End the silence of this id now.")] = None,
    note: _Note = "",
    who: _Who = None,
    as_json: options.Json = False,
) -> None:
    """Tell nobody of alarms that match, for a while; without arguments, list silences."""
    from tocsin.alarms.policy import Matcher
    from tocsin.cli import show
    from tocsin.cli.building import parse

    now = datetime.now(UTC)
    with stores_of(config) as stores:
        if expire is not None:
            stores.silences.expire(expire, now)
        elif match:
            matcher = Matcher({name: str(value) for name, value in map(parse, match)})
            until = now + timedelta(hours=hours)
            stores.silences.add(matcher.root, now, until, who or getpass.getuser(), note)
        found = stores.silences.active(now)
    values = [
        {
            "id": s.id,
            "match": dict(s.match),
            "until": s.ends.isoformat(),
            "who": s.who,
            "note": s.note,
        }
        for s in found
    ]
    if as_json:
        show.print_json(values)
        return
    for each in values:
        typer.echo("  ".join(f"{key}: {value}" for key, value in each.items() if value))
    if not values:
        typer.echo("no silences")


def _change(
    config: options.Config,
    id: str,
    state: Literal["acknowledged", "resolved", "false alarm"],
    note: str,
    who: str | None,
) -> None:
    from tocsin.alarms.lifecycle import change

    now, person = datetime.now(UTC), who or getpass.getuser()
    with stores_of(config) as stores:
        id = stores.alarms.get(id).id
        with stores.db.begin() as c:
            before = stores.alarms.find(c, [id])[id]
            alarm = change(before, state, now, person)
            stores.alarms.change(c, before, alarm, person, note, now)
    typer.echo(f"{alarm.id[:10]} is {state}: {alarm.monitor} {alarm.entity} {alarm.summary}")


@contextmanager
def stores_of(path: options.Config) -> Iterator[Stores]:
    """Open the stores of a configuration for a while."""
    from tocsin import config
    from tocsin.monitor.process import Stores
    from tocsin.store.database import Database

    db = Database(config.read(path).store)
    try:
        yield Stores.of(db)
    finally:
        db.close()
