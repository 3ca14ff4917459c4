"""``tocsin bench false-alarms``: whether false-alarm budgets hold on unseen normal data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin import registry
from tocsin.cli.bench.common import File, Names, Numbers, parse_only, print_progress, write_rows


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
    from rich.console import Console

    from tocsin.cli.parsing import split_names, split_numbers, unlabelled_names
    from tocsin.evaluate.false_alarms import series, tables, time_splits

    registry.names(kind)  # raises for an unknown modality
    rates = [float(word) for word in split_names(budgets)]
    if labelled_series := (data / "index.csv").exists():
        kind = "series"
    names = unlabelled_names(kind) if detectors == "all" else split_names(detectors)
    chosen, printed = parse_only(only), time_splits.print_time_splits
    if labelled_series:
        rows = series.run_held_out_series(data, rates, names, only=chosen, progress=print_progress)
    elif any(data.glob("*.npz")):
        printed = tables.print_false_alarms
        rows = tables.run_false_alarms(
            data, rates, split_numbers(seeds), names, progress=print_progress
        )
    else:
        rows = time_splits.run_time_splits(
            data,
            rates,
            names,
            modality=kind,
            only=chosen,
            most_rows=most_rows,
            progress=print_progress,
        )
    write_rows(json_file, rows)
    if plot is not None:
        from tocsin.report.promises import draw_promises

        draw_promises(plot, rows)
    printed(rows, Console())
