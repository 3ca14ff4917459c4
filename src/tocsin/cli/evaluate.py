"""``tocsin evaluate``: how good detectors are on a labelled table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    from tocsin.evaluate.holdout import Result
    from tocsin.types import Detection, IntArray


def evaluate(
    data: options.Data,
    kind: options.Kind = None,
    time: options.Time = None,
    entity: options.Entity = None,
    train_rows: Annotated[
        int | None,
        typer.Option(
            help="Series: learn from so many rows, the first.",
            show_default="those before the first anomaly, at most half",
        ),
    ] = None,
    label: options.Label = None,
    labels: options.Labels = None,
    model: Annotated[
        Path | None, typer.Option(help="Measure this trained model instead of training.")
    ] = None,
    detectors: Annotated[
        str, typer.Option(help="Names, separated by commas.", show_default=True)
    ] = "auto",
    protocol: Annotated[
        Literal["clean", "mixed", "supervised"],
        typer.Option(
            help="clean: learn from half of the normal rows. mixed: learn from all rows without "
            "labels. supervised: learn with labels, out of fold.",
            show_default=True,
        ),
    ] = "clean",
    false_alarms: options.FalseAlarms = 0.01,
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0",
    plots: Annotated[
        Path | None, typer.Option(help="A folder for ROC, PR and score plots (SVG).")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Measure detectors on a labelled table or time series, on what they have not learned from."""
    from tocsin.cli import building, evaluate_series, show
    from tocsin.errors import ParameterError
    from tocsin.evaluate.holdout import hold_out, measure
    from tocsin.pipeline import Pipeline, load

    frame, y = building.read(data, label, labels)
    if y is None:
        raise ParameterError("To measure takes labels: give --label COLUMN or --labels FILE.")
    if building.kind_of(frame, kind, time) == "series":
        names, numbers = building.names(detectors), building.numbers(seeds)
        settings = {"time": time, "entity": entity, "false_alarms": false_alarms}
        evaluate_series.run(frame, y, model, names, numbers, train_rows, settings, as_json=as_json)
        return
    results = []
    with show.progress("Evaluating"):
        if model is not None:
            trained: Pipeline = load(model).set_params(
                false_alarms=false_alarms, alarms_per_day=None
            )
            detection = trained.detect(trained.preparer_.align(frame), explain=False)
            results.append(measure(trained, detection, y, "trained model"))
            _write_plots(plots, results[-1].detector, y, detection)
        for name in [] if model is not None else building.names(detectors):
            for seed in building.numbers(seeds):
                pipeline = Pipeline(name, seed=seed, false_alarms=false_alarms)
                result, detection, tested = hold_out(frame, y, pipeline, protocol)
                results.append(result)
                _write_plots(plots, f"{name}-{seed}", tested, detection)
    if as_json:
        show.print_json([result.as_dict() for result in results])
        return
    _print(results, false_alarms)
    if plots is not None:
        typer.echo(f"Wrote the plots into {plots}")


def _print(results: list[Result], false_alarms: float) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = {
        "ROC AUC": "roc_auc",
        "PR AUC": "pr_auc",
        "best F1": "best_f1",
        "P@n": "precision_at_n",
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "F1": "f1",
        "false alarms": "false_alarm_rate",
    }
    title = f"{results[0].protocol}; decisions at a budget of {false_alarms:.2%} false alarms"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("detector")
    for heading in ("seed", *columns, "tn/fp/fn/tp", "seconds"):
        table.add_column(heading, justify="right")
    for result in results:
        values = result.as_dict()
        shown = (values[key] for key in columns.values())
        counts = "/".join(str(values[key]) for key in ("tn", "fp", "fn", "tp"))
        cells = ["–" if value is None else f"{value:.3f}" for value in shown]
        table.add_row(result.detector, str(result.seed), *cells, counts, f"{result.seconds:.1f}")
    Console().print(table)


def _write_plots(folder: Path | None, name: str, y: IntArray, detection: Detection) -> None:
    if folder is None:
        return
    from tocsin.evaluate import plots

    folder.mkdir(parents=True, exist_ok=True)
    scores, threshold = detection.scores.values, detection.decision.threshold
    stem = name.replace(":", "-")
    drawn = {
        "roc": plots.roc_plot(y, scores, threshold),
        "pr": plots.precision_recall_plot(y, scores, threshold),
        "scores": plots.score_histogram(scores, threshold, y),
    }
    for kind, picture in drawn.items():
        (folder / f"{stem}-{kind}.svg").write_text(picture, encoding="utf-8")
