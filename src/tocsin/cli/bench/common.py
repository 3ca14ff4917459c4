"""What the benchmark commands share: options, progress, and the file of rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.evaluate.suites.base import Row, Suite

Names = Annotated[str, typer.Option(help="Names, separated by commas.", show_default=True)]
Numbers = Annotated[str, typer.Option(help="Seeds, separated by commas.", show_default=True)]
Only = Annotated[str | None, typer.Option(help="Sets, separated by commas.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", help="name=value, for the detectors that have it. May be repeated."),
]
File = Annotated[Path | None, typer.Option("--json", help="Write the rows here, as JSON.")]

_REPORTED = ("roc_auc", "f1", "vus_pr", "pro")


def run_suite(suite: Suite[Any], detectors: str, json_file: Path | None) -> None:
    """Measure detectors, reporting each row on stderr; write the rows, print the means."""
    from tocsin.cli.parsing import split_names

    rows = suite.run(split_names(detectors), print_progress)
    write_rows(json_file, rows)
    suite.print(rows, terminal.console())


def parse_only(only: str | None) -> list[str] | None:
    """Return the names of sets, None for all."""
    from tocsin.cli.parsing import split_names

    return split_names(only) if only else None


def parse_parameters(items: list[str] | None) -> dict[str, Any]:
    """Return the parameters that detectors get."""
    from tocsin.cli.parsing import parse_parameter

    return dict(map(parse_parameter, items or []))


def print_progress(row: Row) -> None:
    """Print one row on stderr: what was measured, and the main measures."""
    from tocsin.evaluate.metrics.names import measure_name

    words = [
        row["dataset"],
        row.get("protocol", ""),
        f"{row['shots']} shots" if row.get("shots") else "",
        f"seed {row['seed']}" if "seed" in row else "",
        row["detector"],
        *(f"{measure_name(key)} {row[key]:.3f}" for key in _REPORTED if row.get(key) is not None),
        "failed" if row.get("error") else "",
    ]
    terminal.echo("  ".join(filter(None, words)), err=True)


def write_rows(path: Path | None, rows: Sequence[Row]) -> None:
    """Write rows as JSON, if a path was given. Raises ParameterError when it cannot be written."""
    import json

    from tocsin.files import write_atomically

    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(rows, indent=1))
