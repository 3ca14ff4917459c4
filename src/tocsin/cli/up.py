"""``tocsin up``, ``check``, ``init``, ``train`` and ``replay``: monitors by a tocsin.yaml."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli import options, terminal
from tocsin.printable import printable

if TYPE_CHECKING:
    import logging

_Monitor = Annotated[str, typer.Argument(help="A monitor's name in tocsin.yaml.")]
_Top = Annotated[int, typer.Option(help="Alarms to print.", min=1, show_default=True)]


def up(
    config: options.Config = options.CONFIG,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log in detail.")] = False,
) -> None:
    """Watch: collect, score, decide, raise alarms and respond, until stopped by Ctrl-C.

    Without a tocsin.yaml, writes one that watches this machine. SIGHUP makes it reread the file.
    """
    import asyncio

    if config == options.CONFIG and not config.exists():
        _write_example(config)
        terminal.echo(f"{config} did not exist; wrote one that watches this machine.")
    _log(verbose)
    from tocsin.monitor.supervisor import Supervisor

    async def run() -> None:
        running = Supervisor(config)
        running.handle_signals()
        await running.run()

    asyncio.run(run())


def check(config: options.Config = options.CONFIG, as_json: options.Json = False) -> None:
    """Verify a tocsin.yaml: every setting, the store, the models and the responders."""
    from tocsin.cli import printing
    from tocsin.errors import ConfigError
    from tocsin.monitor.checking import findings

    found = findings(config)
    if as_json:
        printing.print_json([{"what": each.what, "problem": each.problem} for each in found])
    else:
        for each in found:
            state = "ok" if each.problem is None else each.problem
            terminal.echo(f"{each.what}: {state}" + (f" ({each.note})" if each.note else ""))
    wrong = [each for each in found if each.problem is not None]
    if wrong:
        raise ConfigError(f"{len(wrong)} of {len(found)} checks failed.")


def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = options.CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented tocsin.yaml that watches this machine."""
    from tocsin.errors import ParameterError

    if path.exists() and not force:
        raise ParameterError(f"{path} exists already; --force replaces it.")
    _write_example(path)
    terminal.echo(f"Wrote {path}. Try `tocsin check`, then `tocsin up`.")


def train(
    monitor: _Monitor,
    config: options.Config = options.CONFIG,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the model even if the new one fails its check.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Fit a monitor's model from its events so far, or from its source's history.

    A running `tocsin up` switches to it. A model that flags far too many of the newest events,
    which it has not seen, does not replace the existing one.
    """
    from tocsin import config as reading
    from tocsin.cli import printing
    from tocsin.monitor import training

    with printing.progress("Training"):
        trained = training.train(reading.read(config), monitor, force=force)
    if as_json:
        printing.print_json(
            {
                "model": str(trained.model),
                "detector": trained.detector,
                "events": trained.events,
                "notes": trained.notes,
            }
        )
        return
    terminal.echo(f"Trained {trained.detector} on {trained.events:,} events. Wrote {trained.model}")
    for note in trained.notes:
        terminal.echo(f"· {note}")


def replay(
    monitor: _Monitor,
    config: options.Config = options.CONFIG,
    since: Annotated[datetime | None, typer.Option(help="From this UTC time on.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Up to this UTC time.")] = None,
    top: _Top = 10,
    as_json: options.Json = False,
) -> None:
    """Run a monitor over its history at full speed; nothing is sent or changed."""
    from tocsin import config as reading
    from tocsin.cli import printing, printing_alarms
    from tocsin.monitor.replay import replay as replay_monitor

    with printing.progress("Replaying"):
        found = replay_monitor(
            reading.read(config),
            monitor,
            since=printing_alarms.utc(since),
            until=printing_alarms.utc(until),
        )
    if as_json:
        printing.print_json(
            {
                "events": found.events,
                "anomalies": found.anomalies,
                "notices": found.notifications,
                "seconds": round(found.seconds, 3),
                "alarms": [printing_alarms.as_dict(alarm) for alarm in found.alarms],
            }
        )
        return
    rate = found.events / found.seconds if found.seconds else 0.0
    terminal.echo(
        f"{found.events:,} events ({rate:,.0f} per second), {found.anomalies:,} anomalies, "
        f"{len(found.alarms):,} alarms, {found.notifications:,} notifications"
    )
    left = len(found.alarms) - top
    printing_alarms.print_list(found.alarms[:top], f"… and {left:,} more" if left > 0 else "")


def _write_example(path: Path) -> None:
    from importlib.resources import files

    from tocsin.files import write_atomically

    write_atomically(path, (files("tocsin.monitor") / "example.yaml").read_bytes())


def _log(verbose: bool) -> None:
    """Log to standard error."""
    import logging

    handler = logging.StreamHandler()
    handler.setFormatter(_formatter())
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])
    # What it says of a lost broker, many times a second, the source says once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    for noisy in ("alembic", "asyncio", "sqlalchemy", "numba", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _formatter() -> logging.Formatter:
    """Return what writes a record in one line, and the lines of a traceback indented below it.

    So no message and no exception can forge a record.
    """
    import logging

    class Safe(logging.Formatter):
        def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
            return printable(super().formatMessage(record))

        def format(self, record: logging.LogRecord) -> str:
            return printable(super().format(record), keep="\n").replace("\n", "\n    ")

    return Safe("%(asctime)s %(levelname)-7s %(message)s")
