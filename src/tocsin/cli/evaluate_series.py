"""What ``tocsin evaluate`` does with time series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.evaluate.results import SeriesResult
    from tocsin.pipeline import BasePipeline
    from tocsin.types import IntArray


def run(
    frame: pd.DataFrame,
    y: IntArray,
    trained: BasePipeline | None,
    detectors: Sequence[str],
    seeds: Sequence[int],
    train_rows: int | None,
    settings: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Measure a trained pipeline, or detectors trained on the first rows; print the measures."""
    from tocsin.cli import show
    from tocsin.evaluate.holdout import hold_out, measure_trained
    from tocsin.pipeline import SeriesPipeline

    results: list[Any] = []
    with show.progress("Evaluating"):
        if trained is not None:
            results.append(measure_trained(frame, y, trained)[0])
        for name in [] if trained is not None else detectors:
            for seed in seeds:
                pipeline = SeriesPipeline(name, seed=seed, **settings)
                results.append(hold_out(frame, y, pipeline, train_items=train_rows)[0])
    if as_json:
        show.print_json([result.as_dict() for result in results])
    else:
        _print(results, settings["false_alarms"])


def _print(results: Sequence[SeriesResult], false_alarms: float) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = {
        "VUS-PR": "vus_pr",
        "VUS-ROC": "vus_roc",
        "PR AUC": "average_precision",
        "range P": "range_precision",
        "range R": "range_recall",
        "affil. P": "affiliation_precision",
        "affil. R": "affiliation_recall",
        "found": "found",
        "delay": "delay",
        "false alarms": "false_alarm_rate",
    }
    title = f"{results[0].ranges} anomalous ranges; decisions at a budget of {false_alarms:.2%}"
    if not results[0].ranges:
        title += "; normal rows only, which tell the false-alarm rate alone"
        columns = {"false alarms": "false_alarm_rate"}
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("detector")
    for heading in (*columns, "seconds"):
        table.add_column(heading, justify="right")
    for result in results:
        values = result.as_dict()
        cells = [_cell(key, values[key]) for key in columns.values()]
        table.add_row(result.detector, *cells, f"{result.seconds:.1f}")
    Console().print(table)
    if not results[0].ranges:
        return
    flattering = ", ".join(
        f"{result.detector} {_cell('', result.point_adjusted_f1)}" for result in results
    )
    typer.echo(f"Point-adjusted F1, which flatters: {flattering}")


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if key == "delay" else f"{value:.3f}"
