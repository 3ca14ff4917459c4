"""``tocsin bench false-alarms``: whether false-alarm budgets hold on unseen normal data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tocsin import registry
from tocsin.cli import terminal
from tocsin.cli.bench.common import File, Names, Numbers, parse_only, print_progress, write_rows

Measured = tuple[list[dict[str, Any]], Callable[[Sequence[dict[str, Any]], Any], None]]
"""Rows, and what prints them."""


def false_alarms(
    data: Annotated[
        Path,
        typer.Option(
            help="A folder of NAME.npz files, whose normal rows are split at random, or of folders "
            "with later data: train_normal.csv and test.csv, or train/good and test/good, or of "
            "series with an index.csv, whose leading parts are split in time."
        ),
    ],
    budgets: Annotated[
        str, typer.Option(help="Budgets, separated by commas.", show_default=True)
    ] = "0.01,0.05",
    seeds: Numbers = "0,1,2",
    detectors: Names = "auto",
    kind: Annotated[
        str,
        typer.Option("--as", help="Later data: the modality of its tables.", show_default=True),
    ] = "tables",
    only: Annotated[str | None, typer.Option(help="Later data: sets, separated by commas.")] = None,
    most_rows: Annotated[
        int | None, typer.Option(help="Later data: the most rows to read of a file.", min=100)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Later data: draw promised against measured here, .png or .html."),
    ] = None,
    json_file: File = None,
) -> None:
    """Measure how many unseen normal items are flagged, against the budget.

    With --detectors all, every detector that learns without labels.
    """
    from tocsin.cli.parsing import split_numbers

    registry.names(kind)  # raises for an unknown modality
    if not (data / "index.csv").exists() and any(data.glob("*.npz")):
        rows, printed = _measure_tables(data, budgets, detectors, split_numbers(seeds))
    else:
        rows, printed = _measure_later(data, budgets, detectors, kind, only, most_rows)
    write_rows(json_file, rows)
    if plot is not None:
        from tocsin.report.promises import draw_promises

        draw_promises(plot, rows)
    printed(rows, terminal.console())


def _measure_tables(data: Path, budgets: str, detectors: str, seeds: Sequence[int]) -> Measured:
    """Measure on normal rows split at random."""
    from tocsin.evaluate.false_alarms.tables import print_false_alarms, run_false_alarms

    names = _split_detectors(detectors, "tables")
    rows = run_false_alarms(data, _rates(budgets), seeds, names, progress=print_progress)
    return rows, print_false_alarms


def _measure_later(
    data: Path, budgets: str, detectors: str, kind: str, only: str | None, most_rows: int | None
) -> Measured:
    """Measure on later data, of folders or of series."""
    from tocsin.evaluate.false_alarms.folders import read_time_splits
    from tocsin.evaluate.false_alarms.later import print_time_splits, run_time_splits
    from tocsin.evaluate.false_alarms.series import read_series_splits

    if (data / "index.csv").exists():
        kind, splits = "series", read_series_splits(data, only=parse_only(only))
    else:
        splits = read_time_splits(data, most_rows, parse_only(only))
    names = _split_detectors(detectors, kind)
    rows = run_time_splits(splits, _rates(budgets), names, modality=kind, progress=print_progress)
    return rows, print_time_splits


def _rates(budgets: str) -> list[float]:
    from tocsin.cli.parsing import split_names

    return [float(word) for word in split_names(budgets)]


def _split_detectors(detectors: str, modality: str) -> list[str]:
    from tocsin.cli.parsing import split_names, unlabelled_names

    return unlabelled_names(modality) if detectors == "all" else split_names(detectors)
