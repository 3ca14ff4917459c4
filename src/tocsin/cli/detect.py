"""``tocsin detect``: train, detect, decide, explain and report in one go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tocsin.cli import options, terminal
from tocsin.cli.taking import takes_options
from tocsin.errors import ParameterError

if TYPE_CHECKING:
    from tocsin.cli.loading import Loaded
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection, IntArray


@takes_options
def detect(
    data: options.Data,
    *,
    training: options.TrainingOptions,
    model: options.ModelOptions,
    adapt: options.Adapt = False,
    files: options.OutputOptions,
    sign_key: options.SignKey = None,
    top: options.Top = 10,
    as_json: options.Json = False,
) -> None:
    """Find the anomalies of a table, of time series, of logs, of texts or of images.

    Learns from --train, which is normal; else from DATA itself, as unlabelled. With labels (and
    neither --train nor --mixed) it learns from them, and scores each row by a model that has not
    seen it; with --mixed, labels only measure. DATA with a regular time column is taken as
    series, whose points are scored among their neighbours in time. A folder most of whose files
    are images is one of images; any other folder, a .log file, and lines in a known format of
    logs are logs: lines, or sessions of lines. --text names the column of texts to score.
    """
    from tocsin.cli import outputs, printing
    from tocsin.cli.assumptions import describe_run
    from tocsin.cli.loading import load_input
    from tocsin.cli.models import build_pipeline, read_key

    apart, key = bool(training.given()), read_key(sign_key)
    loaded = load_input(data, model, more=[*files.given(), *["adapt"] * adapt])
    _check_adapt(adapt, apart=apart)
    model = _state_training(model, loaded, training)
    pipeline = build_pipeline(loaded.cli, model)
    labels = None if model.clean is False else loaded.labels
    with printing.progress("Detecting"):
        if apart:
            loaded, labels = _fit_apart(pipeline, loaded, labels, training)
            detection = loaded.cli.detect(pipeline, loaded.data, adapt=adapt)
        else:
            detection = pipeline.fit_detect(loaded.data, labels=labels)
    known = None if loaded.labels is None else detection.labels(loaded.labels)
    outputs.write(files, loaded, pipeline, detection, known, key=key)
    outcome, name = loaded.cli.outcome(detection), pipeline.detector_name
    if as_json:
        printing.print_json(loaded.cli.as_dict(outcome, name))
        return
    loaded.cli.print_detection(outcome, name, top)
    run = describe_run(loaded, pipeline, detection, apart=apart, labelled=labels is not None)
    printing.print_notes([run, *loaded.cli.remarks(loaded.data)])
    if known is not None:
        _print_agreement(loaded, detection, known)
    printing.print_paths(files.paths())


def _check_adapt(adapt: bool, *, apart: bool) -> None:
    """Raise ParameterError where there are no levels of other rows to compare with."""
    if adapt and not apart:
        raise ParameterError(
            "--adapt follows levels that differ from those of normal rows: give these with --train "
            "or --train-rows."
        )


def _state_training(
    model: options.ModelOptions, loaded: Loaded, training: options.TrainingOptions
) -> options.ModelOptions:
    """Return the options with what was trained on: --train is normal, unlabelled data are mixed."""
    if model.clean is None and (training.train is not None or loaded.labels is None):
        return replace(model, clean=training.train is not None)
    return model


def _fit_apart(
    pipeline: BasePipeline,
    loaded: Loaded,
    labels: IntArray | None,
    training: options.TrainingOptions,
) -> tuple[Loaded, IntArray | None]:
    """Train on other data, or on the first items.

    Return the data to score as the pipeline reads them now, and the labels it learned from.
    """
    if training.train is not None:
        other = loaded.training(training.train)
        data, known = other.data, other.labels
    else:
        data, known = loaded.cli.first(loaded.data, labels, training.train_rows or 0)
    pipeline.fit(data, labels=known)
    return loaded.read_by(pipeline), known


def _print_agreement(loaded: Loaded, detection: Detection, labels: IntArray) -> None:
    """Print how well a detection agrees with its labels (n,), 1 = anomaly."""
    from tocsin.evaluate.metrics import classification, ranking

    ranked = ranking(labels, detection.scores.values)
    decided = classification(labels, detection.decision.is_anomaly)
    measures = {
        "ROC AUC": ranked.roc_auc,
        "average precision": ranked.average_precision,
        "precision": decided.precision,
        "recall": decided.recall,
        "F1": decided.f1,
        "false-alarm rate": decided.false_alarm_rate,
        **loaded.cli.measures(detection, labels),
    }
    known = (f"{name} {value:.3f}" for name, value in measures.items() if value is not None)
    terminal.echo(f"Against the labels: {', '.join(known)}")
