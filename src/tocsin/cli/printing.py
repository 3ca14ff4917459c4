"""What every command prints: JSON for machines, tables and notes for people, progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tocsin.cli import terminal
from tocsin.printable import printable, printable_json
from tocsin.progress import reporting_to

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tocsin.types import Reason

_WIDTH = 300


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output, without anything that steers a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    terminal.write(f"{printable_json(text)}\n")


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show the progress of the work inside on standard error, if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    shown = terminal.console(err=True)
    with Progress(
        *columns, console=shown, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(what, total=None)
        with reporting_to(
            lambda detail, done, total: bar.update(
                task, description=printable(f"{what}: {detail}"), completed=done, total=total
            )
        ):
            yield


def print_headline(found: str, details: str, notes: Sequence[str]) -> None:
    """Print what was found in bold, the details in brackets, and the notes below."""
    from rich.text import Text

    terminal.print_line(Text.assemble((found, "bold"), f" ({details})"))
    for note in notes:
        terminal.print_line(f"· {note}", "dim")


def print_notes(notes: Sequence[str]) -> None:
    """Print notes on a run, one line each."""
    for note in notes:
        terminal.print_line(f"· {note}")


def print_table(rows: Sequence[Mapping[str, str]]) -> None:
    """Print rows of equal names as a table; nothing for no rows."""
    from rich.table import Table

    if not rows:
        return
    table = Table(*rows[0], box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*row.values())
    terminal.console().print(table)


def print_paths(paths: Sequence[Path]) -> None:
    """Print which files were written."""
    for path in paths:
        terminal.echo(f"Wrote {path}")


def print_more(count: int) -> None:
    """Print how many anomalies were left out, if any."""
    if count > 0:
        terminal.print_line(f"… and {count:,} more: --top, --report or --json", "dim")


def count_anomalies(count: int) -> str:
    """Return a number of anomalies in words.

    >>> count_anomalies(1), count_anomalies(2000)
    ('1 anomaly', '2,000 anomalies')
    """
    return "1 anomaly" if count == 1 else f"{count:,} anomalies"


def reasons_as_dicts(reasons: Sequence[Reason]) -> list[dict[str, Any]]:
    """Return reasons as JSON values, in their order."""
    return [
        {
            "name": reason.name,
            "seen": reason.seen,
            "expected": reason.expected,
            "weight": round(reason.weight, 4),
        }
        for reason in reasons
    ]


def print_reasons(reasons: Sequence[tuple[Reason, str]]) -> None:
    """Print reasons with their words, one line each, after their share of the explanation."""
    for reason, words in reasons:
        terminal.print_line(f"  {reason.weight:5.0%}  {words}")


def format_reason(reason: Reason) -> str:
    """Return a reason in a few words.

    >>> from tocsin.types import Reason
    >>> format_reason(Reason("price", 812.5, 20.1, 0.71))
    'price 812.5 (expected 20.1)'
    """
    seen, expected = _format_value(reason.seen), _format_value(reason.expected)
    if reason.expected is None or expected == seen:
        return f"{reason.name} {seen}"
    return f"{reason.name} {seen} (expected {expected})"


def _format_value(value: float | str | None) -> str:
    if value is None:
        return "missing"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def cut(text: str) -> str:
    """Return the beginning of a text as a terminal can show it."""
    return printable(text, _WIDTH)


def iso(time: np.datetime64 | None) -> str | None:
    """Return a UTC time in ISO 8601, None for none.

    >>> import numpy as np
    >>> iso(np.datetime64("2026-03-01T12:00", "ms")), iso(None)
    ('2026-03-01T12:00:00Z', None)
    """
    import pandas as pd

    return None if time is None or pd.isna(time) else f"{pd.Timestamp(time).isoformat()}Z"
