"""What ``tocsin evaluate`` prints: one line of measures per detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tocsin.cli import terminal

_WIDTH = 140


def print_results(results: Sequence[Any], false_alarms: float) -> None:
    """Print how good detectors are on items that they have not learned from."""
    first = results[0]
    how = f"{first.protocol}, split by {first.split}" if first.split else first.protocol
    title = f"{how}; decisions at a budget of {false_alarms:.2%} false alarms"
    if not first.ranking.anomalies:
        title += "; normal items only, which show the false-alarm rate alone"
    print_measures(title, [_cells(result) for result in results])


def _cells(result: Any) -> dict[str, str]:
    values = result.as_dict()
    return {
        "detector": values["detector"],
        "seed": str(values["seed"]),
        **{heading: format_measure(values[key]) for heading, key in result.columns.items()},
        "tn/fp/fn/tp": "/".join(str(values[key]) for key in ("tn", "fp", "fn", "tp")),
        "seconds": f"{values['seconds']:.1f}",
    }


def print_measures(title: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Print a table under a title, its first column to the left, the others to the right."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for place, heading in enumerate(rows[0]):
        table.add_column(heading, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row.values())
    # Figures cut in two are of no use.
    terminal.console(narrowest=_WIDTH).print(table)


def format_measure(value: float | None) -> str:
    """Return a measure with three digits, a dash where it is not defined."""
    return "–" if value is None else f"{value:.3f}"
