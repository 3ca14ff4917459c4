"""``tocsin detect``: train, detect, decide, explain and report in one go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    from tocsin.types import IntArray


def detect(
    data: options.Data,
    train: Annotated[Path | None, typer.Option(help="Normal data to learn from instead.")] = None,
    train_rows: Annotated[
        int | None, typer.Option(help="Learn from so many of DATA, the first.", min=1)
    ] = None,
    kind: options.Kind = None,
    time: options.Time = None,
    entity: options.Entity = None,
    models: options.Models = None,
    missing: options.Missing = "ignore",
    format: options.Format = None,
    session: options.Session = None,
    window: options.Window = None,
    text: options.Text = None,
    label: options.Label = None,
    labels: options.Labels = None,
    detector: options.Detector = "auto",
    parameters: options.Parameters = None,
    clean: options.Clean = None,
    false_alarms: options.StatedFalseAlarms = None,
    alarms_per_day: options.AlarmsPerDay = None,
    rows_per_day: options.RowsPerDay = None,
    calibration: options.Calibration = "extreme_value",
    scale: options.Scale = "standard",
    seed: options.Seed = 0,
    adapt: options.Adapt = False,
    report: options.Report = None,
    png: options.Picture = None,
    out: options.Out = None,
    overlays: options.Overlays = None,
    save: Annotated[Path | None, typer.Option(help="Keep the trained model here.")] = None,
    top: options.Top = 10,
    as_json: options.Json = False,
) -> None:
    """Find the anomalies of a table, of time series, of logs, of texts or of images.

    Learns from the rows of --train, which are normal; else from DATA itself, as unlabelled
    rows. With labels (and neither --train nor --mixed) it learns from them, and scores each row by
    a model that has not seen it; with --mixed, labels only measure. DATA with a regular time
    column is taken as series, whose points are judged among their neighbours in time. A folder
    most of whose files are images is one of images; any other, a .log file and a text in a known
    format of logs are logs: lines, or sessions of lines. --text names the column whose texts are
    to be judged.
    """
    from tocsin.cli import building, show
    from tocsin.cli.drawing import draw, refuse_pictures
    from tocsin.cli.promise import sentence
    from tocsin.cli.writer import Writer
    from tocsin.pipeline import Pipeline

    logs = {"format": format, "session": session, "window": window}
    taken, frame, known = building.take(
        data, kind, text=text, time=time, logs=logs, label=label, labels=labels
    )
    refuse_pictures(taken, png, overlays)
    if adapt:
        building.check_adapt(taken, apart=train is not None or train_rows is not None)
    if clean is None and (train is not None or known is None):
        clean = train is not None
    made = building.pipeline(
        taken,
        detector,
        parameters,
        clean=clean,
        scale=scale,
        time=time,
        entity=entity,
        models=models,
        missing=missing,
        logs=logs,
        text=text,
        seed=seed,
        false_alarms=false_alarms,
        alarms_per_day=alarms_per_day,
        rows_per_day=rows_per_day,
        calibration=calibration,
    )
    learned = None if clean is False else known
    with show.progress("Detecting"):
        if train is None and train_rows is None:
            detection = made.fit_detect(frame, labels=learned)
        else:
            normal, its_labels = _training(taken, data, frame, learned, train, train_rows, label)
            made.fit(normal, labels=its_labels)
            frame = building.read_again(made, data, frame, label, labels)
            frame = building.align(made, frame)
            detection = (
                made.detect(frame, adapt=adapt)
                if isinstance(made, Pipeline)
                else made.detect(frame)
            )
    if save is not None:
        made.save(save)
    if out is not None:
        with Writer(out) as writer:
            writer.write(detection)
    known = building.labels_of(detection, known)
    draw(report, png, made, frame, known, detection, data.resolve().name, overlays=overlays)
    if as_json:
        show.print_json(show.as_dict(detection, made.detector_name))
        return
    show.print_detection(detection, made.detector_name, top)
    told = sentence(
        taken,
        made,
        detection,
        guessed=kind is None and time is None and text is None,
        apart=train is not None or train_rows is not None,
        labelled=learned is not None,
    )
    typer.echo(f"· {told}")
    if taken == "tables" and (column := building.text_column(frame)) is not None:
        typer.echo(f'· column "{column}" holds texts; say --text "{column}" to judge them')
    if known is not None:
        show.print_agreement(detection, known)
    for path in filter(None, (report, png, out, overlays, save)):
        typer.echo(f"Wrote {path}")


def _training(
    taken: str,
    data: Path,
    frame: Any,
    labels: IntArray | None,
    train: Path | None,
    first: int | None,
    label: str | None,
) -> tuple[Any, IntArray | None]:
    """Return what to learn from, and its labels: something else, or the first rows or lines."""
    from tocsin.cli import building

    if taken == "logs":
        return train or building.first_lines(data, first or 0), None
    if taken == building.IMAGES:
        return building.training_images(data, labels, train, first)
    if train is not None:
        return building.read_training(train, label, texts=taken == "text")
    return frame[:first], None if labels is None else labels[:first]
