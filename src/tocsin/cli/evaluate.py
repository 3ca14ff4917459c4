"""``tocsin evaluate``: how good detectors are on labelled rows, series, texts, logs or images."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from tocsin.cli import options, terminal
from tocsin.cli.taking import takes_options
from tocsin.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tocsin.cli.loading import Loaded
    from tocsin.evaluate.results import Result, SeriesResult
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection, IntArray


class Measured(NamedTuple):
    """How good a detector is, the detection that shows it, and the labels (n,) of what it scored.

    ``name``: what its plots are called.
    """

    name: str
    result: Result | SeriesResult
    detection: Detection
    labels: IntArray


@takes_options
def evaluate(
    data: options.Data,
    *,
    given: options.DataOptions,
    protocol: options.ProtocolOptions,
    model: Annotated[
        Path | None, typer.Option(help="Measure this trained model instead of training.")
    ] = None,
    detectors: Annotated[
        str, typer.Option(help="Names, separated by commas.", show_default=True)
    ] = "auto",
    false_alarms: Annotated[
        float,
        typer.Option(help="The share of normal items that may be flagged.", show_default=True),
    ] = 0.01,
    seeds: Annotated[
        str, typer.Option(help="Seeds, separated by commas.", show_default=True)
    ] = "0",
    plots: Annotated[
        Path | None, typer.Option(help="A folder for ROC, PR and score plots (SVG).")
    ] = None,
    sign_key: options.SignKey = None,
    as_json: options.Json = False,
) -> None:
    """Measure detectors on labelled data that they have not learned from."""
    from tocsin.cli import printing
    from tocsin.cli.loading import load_input

    with _opened(model, given, false_alarms, sign_key) as trained:
        loaded = load_input(data, given, more=protocol.given(), pipeline=trained)
        with printing.progress("Evaluating"):
            if trained is not None:
                measured = [_measure(loaded, trained)]
            else:
                runs = _list_runs(given, detectors, seeds, false_alarms)
                measured = list(_hold_out(loaded, runs, protocol))
    if plots is not None:
        _write_plots(plots, measured)
    if as_json:
        printing.print_json([each.result.as_dict() for each in measured])
        return
    loaded.cli.print_results([each.result for each in measured], false_alarms)
    if plots is not None:
        terminal.echo(f"Wrote the plots into {plots}")


@contextmanager
def _opened(
    model: Path | None, given: options.DataOptions, false_alarms: float, sign_key: Path | None
) -> Iterator[BasePipeline | None]:
    """Give the trained model with this budget, None without one.

    Raises ParameterError for other data than its.
    """
    from tocsin.cli.models import opened_model

    if model is None:
        yield None
        return
    with opened_model(model, false_alarms, sign_key) as trained:
        if given.kind not in (None, trained.modality):
            raise ParameterError(
                f"{model} is a model of {trained.modality}; leave out --as {given.kind}."
            )
        yield trained


def _list_runs(
    given: options.DataOptions, detectors: str, seeds: str, false_alarms: float
) -> list[options.ModelOptions]:
    """Return the options of each detector with each seed. Raises ParameterError."""
    from tocsin.cli.parsing import split_names, split_numbers

    run = replace(options.ModelOptions.of(given), false_alarms=false_alarms)
    return [
        replace(run, detector=name, seed=seed)
        for name in split_names(detectors)
        for seed in split_numbers(seeds)
    ]


def _measure(loaded: Loaded, trained: BasePipeline) -> Measured:
    """Measure a trained pipeline on all of the data."""
    from tocsin.evaluate.holdout import measure_trained

    result, detection, labels = measure_trained(loaded.data, loaded.required_labels, trained)
    return Measured(result.detector, result, detection, labels)


def _hold_out(
    loaded: Loaded, runs: Sequence[options.ModelOptions], protocol: options.ProtocolOptions
) -> Iterator[Measured]:
    """Measure detectors, one after another, on data that each has not learned from."""
    from tocsin.cli.models import build_pipeline
    from tocsin.evaluate.holdout import hold_out
    from tocsin.evaluate.items import find_items

    pipelines = [build_pipeline(loaded.cli, run) for run in runs]
    items, labels = find_items(loaded.data, pipelines[0]), loaded.required_labels
    for run, pipeline in zip(runs, pipelines, strict=True):
        found = hold_out(
            items, labels, pipeline, protocol.protocol, protocol.split, protocol.train_rows
        )
        yield Measured(f"{run.detector}-{run.seed}", *found)


def _write_plots(folder: Path, measured: Sequence[Measured]) -> None:
    """Write the scores of detections, and their curves where there are anomalies."""
    from tocsin.files import file_names, write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    drawn = [
        (f"{each.name.replace(':', '-')}-{kind}", picture)
        for each in measured
        for kind, picture in _draw(each).items()
    ]
    names = file_names((name for name, _ in drawn), ".svg")
    for name, (_, picture) in zip(names, drawn, strict=True):
        write_atomically(folder / name, picture)


def _draw(measured: Measured) -> dict[str, str]:
    """Return pictures (SVG) of a detection, by what they show."""
    from tocsin.report.plots.curves import precision_recall_plot, roc_plot
    from tocsin.report.plots.scores import score_histogram

    decision, labels = measured.detection.decision, measured.labels
    scores, threshold = measured.detection.scores.values, decision.threshold
    drawn = {"scores": score_histogram(scores, threshold, labels)}
    if labels.any():
        drawn["roc"] = roc_plot(labels, scores, threshold)
        drawn["pr"] = precision_recall_plot(labels, scores, threshold)
    return drawn
