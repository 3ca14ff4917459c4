"""``tocsin bench``: one file per suite, found by the registry when the command is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from tocsin import registry
from tocsin.errors import UnusablePart

_FLOOR = "cli.bench"
_FALSE_ALARMS = "false-alarms"


class _Suites(TyperGroup):
    """A command for each modality that has a suite, and one for false alarms."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return [*registry.modalities_of(_FLOOR), _FALSE_ALARMS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and return a command, None for an unknown name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        try:
            alone.command(cmd_name)(_function(cmd_name))
        except UnusablePart as unusable:
            taken = {"allow_extra_args": True, "ignore_unknown_options": True}
            alone.command(cmd_name, context_settings=taken)(_refusal(unusable))
        return typer.main.get_command(alone)


app = typer.Typer(
    name="bench",
    help="Measure detectors on a folder of labelled sets.",
    cls=_Suites,
    no_args_is_help=True,
)


@app.callback()
def _suites() -> None:
    pass


def _refusal(error: UnusablePart) -> Callable[..., None]:
    """Return a command that raises the error, so that the other suites can be listed and run."""

    def refuse() -> None:
        raise error

    refuse.__doc__ = str(error)
    return refuse


def _function(name: str) -> Callable[..., None]:
    if name == _FALSE_ALARMS:
        from tocsin.cli.bench.false_alarms import false_alarms

        return false_alarms
    command: Callable[..., None] = registry.of_modality(_FLOOR, name).command
    return command
