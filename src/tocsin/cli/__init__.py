"""The command line: one file per command. Heavy imports happen inside the commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import typer

from tocsin._version import __version__
from tocsin.cli import (
    alarms,
    bench,
    detect,
    detectors,
    evaluate,
    events,
    explain,
    fit,
    parts,
    score,
    terminal,
    up,
)
from tocsin.errors import ConfigError, TocsinError
from tocsin.printable import printable

# Without markup the help needs no rich, whose import would double the start-up time.
app = typer.Typer(
    name="tocsin",
    help="Find what does not belong, say how sure it is and why.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., None], ...] = (
    detect.detect,
    fit.fit,
    score.score,
    explain.explain,
    evaluate.evaluate,
    up.up,
    up.init,
    up.check,
    up.train,
    up.replay,
    events.events,
    detectors.detectors,
    parts.sources,
    parts.responders,
)
for command in _COMMANDS:
    app.command()(command)
for group in (alarms.app, bench.app):
    app.add_typer(group)


def _version(wanted: bool) -> None:
    if wanted:
        terminal.echo(f"tocsin {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line: exit code 0 when done, 2 when the input cannot be used.

    No error ends in a traceback unless TOCSIN_DEBUG is set.
    """
    with terminal.guarded():
        _run()


def _run() -> None:
    try:
        sys.exit(app(standalone_mode=False))
    except ConfigError as error:
        _fail(error.message, 2, error.mistakes)
    except TocsinError as error:
        _fail(str(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (OSError, MemoryError) as error:
        _fail(f"{type(error).__name__}: {error}", 2)
    except Exception as error:  # noqa: BLE001 - the last resort: a person, not a developer, reads it
        if hasattr(error, "format_message"):  # typer's, of words that it does not know
            _show_usage(error)
        fault = f"{type(error).__name__}: {error}"
        _fail(f"internal error (please report it): {fault}. Set TOCSIN_DEBUG=1 to see where.", 1)


def _show_usage(error: Any) -> NoReturn:
    """Print what is wrong with the words of a command line, as typer does, and end."""
    message = error.format_message()
    if error.ctx is None or message != error.ctx.get_help():
        message = printable(message)  # it quotes words, which may be names of files
    error.format_message = lambda: message
    error.show()
    sys.exit(error.exit_code)


def _fail(message: str, code: int, more: Sequence[str] = ()) -> NoReturn:
    """Print an error, and ``more`` in lines of their own, and end."""
    if os.environ.get("TOCSIN_DEBUG"):
        raise  # noqa: PLE0704 - called while an exception is being handled
    for line in (f"tocsin: {message}", *more):
        terminal.echo(line, err=True)
    sys.exit(code)
