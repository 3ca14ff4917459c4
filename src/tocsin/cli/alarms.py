"""``tocsin alarms``: list, show, acknowledge, resolve, label and silence; approve actions."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tocsin.cli import options, terminal

if TYPE_CHECKING:
    from tocsin.config import Config
    from tocsin.monitor.stores import Stores
    from tocsin.types import AlarmState

app = typer.Typer(
    name="alarms",
    help="List, show, acknowledge, resolve, label and silence alarms; approve actions.",
    no_args_is_help=True,
)

_Id = Annotated[str, typer.Argument(help="The id of an alarm, or its beginning.")]
_Ids = Annotated[list[str], typer.Argument(help="The ids of alarms, or their beginnings.")]
_Note = Annotated[str, typer.Option(help="The reason, kept in the history.")]
_Who = Annotated[str | None, typer.Option(help="Who does this.", show_default="the user")]
_Top = Annotated[int, typer.Option(help="Alarms to print.", min=1, show_default=True)]


@app.command("list")
def list_(
    config: options.Config = options.CONFIG,
    every: Annotated[bool, typer.Option("--all", help="Include those that are over.")] = False,
    monitor: Annotated[str | None, typer.Option(help="Only those of this monitor.")] = None,
    top: _Top = 50,
    as_json: options.Json = False,
) -> None:
    """List alarms that are open or acknowledged, or all; newest first."""
    from tocsin.cli import printing, printing_alarms

    states: tuple[AlarmState, ...] | None = None if every else ("open", "acknowledged")
    with opened(config) as (settings, stores):
        found = stores.alarms.list(states=states, monitor=monitor, limit=top + 1)
        if not found:
            known_monitor(settings, stores, monitor)
    if as_json:
        printing.print_json([printing_alarms.as_dict(alarm) for alarm in found[:top]])
        return
    more = f"… and more; --top {2 * top} shows them" if len(found) > top else ""
    printing_alarms.print_list(found[:top], more)


@app.command("show")
def show_(id: _Id, config: options.Config = options.CONFIG, as_json: options.Json = False) -> None:
    """Show one alarm: why it was raised, its evidence, and who did what about it."""
    from tocsin.cli import printing, printing_alarms

    with opened(config) as (_, stores):
        alarm = stores.alarms.get(id)
        entries = stores.alarms.history(alarm.id)
    if as_json:
        history = [
            {"at": e.at.isoformat(), "who": e.who, "state": e.state, "note": e.note}
            for e in entries
        ]
        printing.print_json({**printing_alarms.as_dict(alarm), "history": history})
        return
    printing_alarms.print_one(alarm, entries)


@app.command()
def ack(
    ids: _Ids, config: options.Config = options.CONFIG, note: _Note = "", who: _Who = None
) -> None:
    """Acknowledge alarms: stops escalation and reminders."""
    _decide(config, ids, "acknowledged", note, who)


@app.command()
def resolve(
    ids: _Ids, config: options.Config = options.CONFIG, note: _Note = "", who: _Who = None
) -> None:
    """Mark the cause of alarms as dealt with."""
    _decide(config, ids, "resolved", note, who)


@app.command()
def reopen(
    ids: _Ids, config: options.Config = options.CONFIG, note: _Note = "", who: _Who = None
) -> None:
    """Reopen alarms that were acknowledged or closed by mistake."""
    _decide(config, ids, "open", note, who)


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
    """Record in the history whether an alarm was right."""
    state: Literal["resolved", "false alarm"]
    state = "resolved" if verdict == "anomaly" else "false alarm"
    _decide(config, [id], state, note or f"labelled {verdict}", who, again=True)


@app.command()
def silence(
    match: Annotated[
        list[str] | None,
        typer.Argument(
            help='Which alarms: name=pattern, as in "monitor=web-.*" or "entity=pump 7", over '
            "monitor, entity, kind, severity and labels; all must match."
        ),
    ] = None,
    config: options.Config = options.CONFIG,
    hours: Annotated[
        float, typer.Option(help="For this many hours.", min=0.001, max=24 * 366)
    ] = 1.0,
    expire: Annotated[
        str | None, typer.Option(help="End the silence of this id, or its beginning, now.")
    ] = None,
    note: _Note = "",
    who: _Who = None,
    as_json: options.Json = False,
) -> None:
    """Mute matching alarms for a while, or list silences."""
    from tocsin.cli import printing, printing_alarms
    from tocsin.errors import ParameterError

    if match and expire is not None:
        raise ParameterError("Give name=pattern to mute alarms, or --expire ID, not both.")
    wanted = _matcher(match or [])
    now = datetime.now(UTC)
    with opened(config) as (_, stores):
        if expire is not None:
            stores.silences.expire(_silence(stores, expire, now), now)
        elif wanted:
            until = now + timedelta(hours=hours)
            stores.silences.add(wanted, now, until, who or getpass.getuser(), note)
        found = stores.silences.active(now)
    values = [printing_alarms.silence_as_dict(each) for each in found]
    if as_json:
        printing.print_json(values)
    else:
        printing_alarms.print_fields(values, "no silences")


@app.command()
def approve(
    key: Annotated[
        str | None, typer.Argument(help="The key of the action, or its beginning.")
    ] = None,
    config: options.Config = options.CONFIG,
    who: _Who = None,
    as_json: options.Json = False,
) -> None:
    """Approve an action that waits for it, or list those that wait."""
    from tocsin.cli import printing, printing_alarms
    from tocsin.monitor import handling

    with opened(config) as (settings, stores):
        if key is not None:
            agreed = handling.approve(settings, stores, key, who or getpass.getuser())
            terminal.echo(f"Approved: {agreed.action.do.name}. `tocsin up` runs it.")
            return
        found = handling.waiting(settings, stores)
    values = [
        {
            "key": each.notification.key,
            "responder": each.notification.responder,
            "action": each.action.do.name,
            "parameters": dict(each.action.do.parameters),
            "alarms": list(each.notification.alarm_ids),
            "until": each.until.isoformat(timespec="seconds"),
        }
        for each in found
    ]
    if as_json:
        printing.print_json(values)
    else:
        printing_alarms.print_fields(values, "no actions wait")


def _decide(
    config: options.Config,
    ids: list[str],
    state: AlarmState,
    note: str,
    who: str | None,
    *,
    again: bool = False,
) -> None:
    from tocsin.cli.printing import cut
    from tocsin.monitor import handling

    with opened(config) as (settings, stores):
        person = who or getpass.getuser()
        decided = handling.decide(settings, stores, ids, state, person, note, again=again)
    for alarm in decided:
        about = " ".join(filter(None, (alarm.monitor, alarm.entity, alarm.summary)))
        terminal.echo(cut(f"{alarm.id[:10]} is {alarm.state}: {about}"))


def _matcher(match: list[str]) -> dict[str, str]:
    """Return what alarms are to be muted by. Raises ParameterError."""
    from pydantic import ValidationError

    from tocsin.alarms.policy import Matcher
    from tocsin.errors import ParameterError

    pairs = [each.partition("=") for each in match]
    if wrong := [name for name, sign, _ in pairs if not sign or not name.strip()]:
        raise ParameterError(f'Silences are written name=pattern, not "{wrong[0]}".')
    try:
        return Matcher({name.strip(): value for name, _, value in pairs}).root
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ParameterError(f"Invalid silence: {problem}.") from error


def _silence(stores: Stores, id: str, now: datetime) -> str:
    """Return the id of the active silence that begins like this. Raises NotInStore."""
    from tocsin.errors import NotInStore

    found = [each.id for each in stores.silences.active(now) if each.id.startswith(id)]
    if len(found) != 1 or not id:
        problem = "Several silences begin" if found else "No active silence begins"
        raise NotInStore(f'{problem} with "{id}"; "tocsin alarms silence" lists them.')
    return found[0]


def known_monitor(settings: Config, stores: Stores, name: str | None) -> None:
    """Raise NotInStore for a monitor that neither tocsin.yaml nor the store knows."""
    from tocsin.errors import NotInStore

    known = sorted({*settings.monitors, *stores.counters.read()})
    if name is not None and name not in known:
        raise NotInStore(f'There is no monitor "{name}"; known: {", ".join(known)}.')


@contextmanager
def opened(path: options.Config) -> Iterator[tuple[Config, Stores]]:
    """Read a configuration and open its stores for a while."""
    from tocsin import config
    from tocsin.monitor.stores import Stores

    settings = config.read(path)
    with Stores.opened(settings.store.reveal()) as stores:
        yield settings, stores
