"""``tocsin evaluate``: how good detectors are on labelled rows, series, texts, logs or images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    from tocsin.evaluate.results import Result
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection, IntArray


_WIDTH = 140


def evaluate(
    data: options.Data,
    kind: options.Kind = None,
    time: options.Time = None,
    entity: options.Entity = None,
    text: options.Text = None,
    format: options.Format = None,
    session: options.Session = None,
    window: options.Window = None,
    train_rows: Annotated[
        int | None,
        typer.Option(
            help="Series: learn from so many rows, the first.",
            show_default="those before the first anomaly, at most half",
        ),
    ] = None,
    label: options.Label = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A file of labels, one a row: .npy or one-column CSV; of logs also two columns, "
            "the key of a session, or a line or file:line, and its label; of images one an image "
            "in the order of their names, or the name of an image and its label."
        ),
    ] = None,
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
    split: Annotated[
        Literal["random", "time"] | None,
        typer.Option(
            help="clean: which half. random: any normal rows; all others are tested. time: the "
            "normal rows of the first half; the second half is tested.",
            show_default="time for logs, else random",
        ),
    ] = None,
    false_alarms: options.FalseAlarms = 0.01,
    seeds: Annotated[str, typer.Option(help="Seeds, separated by commas.")] = "0",
    plots: Annotated[
        Path | None, typer.Option(help="A folder for ROC, PR and score plots (SVG).")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Measure detectors on labelled data that they have not learned from."""
    from tocsin.cli import building, evaluate_series, show
    from tocsin.evaluate.holdout import hold_out, measure_trained

    trained = None if model is None else _trained(model, kind, false_alarms)
    logs = {"format": format, "session": session, "window": window}
    names, numbers = building.names(detectors), building.numbers(seeds)
    taken, items, y = _items(data, trained, kind, text, time, logs, label, labels)
    if taken == "series":
        settings = {"time": time, "entity": entity, "false_alarms": false_alarms}
        evaluate_series.run(
            items, y, trained, names, numbers, train_rows, settings, as_json=as_json
        )
        return
    results: list[Any] = []
    with show.progress("Evaluating"):
        if trained is not None:
            given = items if taken == "logs" else building.align(trained, items)
            result, detection, tested = measure_trained(given, y, trained)
            results.append(result)
            _write_plots(plots, result.detector, tested, detection)
        for name in [] if trained is not None else names:
            for seed in numbers:
                pipeline = _untrained(name, taken, items, text, seed, false_alarms)
                result, detection, tested = hold_out(items, y, pipeline, protocol, split)
                results.append(result)
                _write_plots(plots, f"{name}-{seed}", tested, detection)
    if as_json:
        show.print_json([result.as_dict() for result in results])
        return
    _print(results, false_alarms)
    if plots is not None:
        typer.echo(f"Wrote the plots into {plots}")


def _trained(model: Path, kind: str | None, false_alarms: float) -> BasePipeline:
    """Return a trained model with this budget."""
    from tocsin.errors import ParameterError
    from tocsin.pipeline import LogPipeline, load

    trained = load(model)
    if kind not in (None, trained.modality):
        raise ParameterError(f"{model} is a model of {trained.modality}; leave out --as {kind}.")
    if isinstance(trained, LogPipeline):
        trained.set_params(own_threshold=False)
    trained.set_params(false_alarms=false_alarms, alarms_per_day=None)
    return trained


def _items(
    data: Path,
    trained: BasePipeline | None,
    kind: str | None,
    text: str | None,
    time: str | None,
    logs: dict[str, Any],
    label: str | None,
    labels: Path | None,
) -> tuple[str, Any, IntArray]:
    """Return the kind of data, the data, and their labels: a table, LogItems, or images."""
    from tocsin.cli import building
    from tocsin.errors import ParameterError
    from tocsin.evaluate.items.logs import LogItems
    from tocsin.pipeline import LogPipeline

    kind = kind if trained is None else trained.modality
    settings = logs.values()
    if kind is None and text is None and building.are_images(data, kind, *settings):
        kind = building.IMAGES
    if kind in (None, "logs") and text is None and building.is_log(data, kind, *settings):
        if labels is None:
            raise ParameterError("To measure takes labels: of logs give --labels FILE.")
        building.refuse("logs", label=label)
        if isinstance(trained, LogPipeline):
            logs = {name: getattr(trained, name) for name in logs}
            logs["session"] = logs["session"] or (
                None if logs["window"] else trained.preparer_.session_
            )
        items = LogItems(data, **logs)
        return "logs", items, items.labels(labels)
    taken, frame, y = building.take(
        data, kind, text=text, time=time, logs=logs, label=label, labels=labels, model=trained
    )
    if y is None:
        raise ParameterError("To measure takes labels: give --label COLUMN or --labels FILE.")
    return taken, frame, y


def _untrained(
    name: str, taken: str, items: Any, text: str | None, seed: int, false_alarms: float
) -> BasePipeline:
    from tocsin.pipeline import ImagePipeline, LogPipeline, Pipeline, TextPipeline

    if taken == "logs":
        settings = {**items.settings, "own_threshold": False}
        return LogPipeline(name, seed=seed, false_alarms=false_alarms, **settings)
    if taken == "text":
        return TextPipeline(name, text=text, seed=seed, false_alarms=false_alarms)
    if taken == "images":
        return ImagePipeline(name, seed=seed, false_alarms=false_alarms)
    return Pipeline(name, seed=seed, false_alarms=false_alarms)


def _print(results: list[Result], false_alarms: float) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = {
        "ROC AUC": "roc_auc",
        "PR AUC": "average_precision",
        "best F1": "best_f1",
        "P@n": "precision_at_n",
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "F1": "f1",
        "false alarms": "false_alarm_rate",
    }
    first = results[0]
    how = f"{first.protocol}, split by {first.split}" if first.split else first.protocol
    title = f"{how}; decisions at a budget of {false_alarms:.2%} false alarms"
    if not first.ranking.anomalies:
        title += "; normal items only, which tell the false-alarm rate alone"
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
    console = Console()
    console.width = max(console.width, _WIDTH)  # figures cut in two are of no use
    console.print(table)


def _write_plots(folder: Path | None, name: str, y: IntArray, detection: Detection) -> None:
    if folder is None:
        return
    from tocsin.report.plots.curves import precision_recall_plot, roc_plot
    from tocsin.report.plots.scores import score_histogram

    folder.mkdir(parents=True, exist_ok=True)
    scores, threshold = detection.scores.values, detection.decision.threshold
    stem = name.replace(":", "-")
    drawn = {"scores": score_histogram(scores, threshold, y)}
    if y.any():
        drawn["roc"] = roc_plot(y, scores, threshold)
        drawn["pr"] = precision_recall_plot(y, scores, threshold)
    for kind, picture in drawn.items():
        (folder / f"{stem}-{kind}.svg").write_text(picture, encoding="utf-8")
