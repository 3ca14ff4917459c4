"""``tocsin detect``: train, detect, decide, explain and report in one go."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.pipeline import Pipeline
    from tocsin.types import Detection, IntArray


def detect(
    data: options.Data,
    train: Annotated[
        Path | None, typer.Option(help="A table of normal rows to learn from instead.")
    ] = None,
    label: options.Label = None,
    labels: options.Labels = None,
    detector: options.Detector = "auto",
    parameters: options.Parameters = None,
    clean: options.Clean = None,
    false_alarms: options.FalseAlarms = 0.01,
    alarms_per_day: options.AlarmsPerDay = None,
    rows_per_day: options.RowsPerDay = None,
    calibration: options.Calibration = "extreme_value",
    scale: options.Scale = "standard",
    seed: options.Seed = 0,
    report: options.Report = None,
    out: options.Out = None,
    save: Annotated[Path | None, typer.Option(help="Keep the trained model here.")] = None,
    top: options.Top = 10,
    as_json: options.Json = False,
) -> None:
    """Find the anomalies of a table.

    Learns from the rows of --train, which are normal; else from DATA itself, as unlabelled
    rows. With labels (and neither --train nor --mixed) it learns from them, and scores each row by
    a model that has not seen it; with --mixed, labels only measure.
    """
    from tocsin.cli import building, show

    frame, known = building.read(data, label, labels)
    if clean is None and (train is not None or known is None):
        clean = train is not None
    made = building.pipeline(
        detector,
        parameters,
        clean=clean,
        seed=seed,
        scale=scale,
        false_alarms=false_alarms,
        alarms_per_day=alarms_per_day,
        rows_per_day=rows_per_day,
        calibration=calibration,
    )
    with show.progress("Detecting"):
        if train is None:
            learned = None if clean is False else known
            detection = made.fit_detect(frame, labels=learned)
        else:
            normal, its_labels = building.read_training(train, label)
            made.fit(normal, labels=its_labels)
            frame = made.preparer_.align(frame)
            detection = made.detect(frame)
    if save is not None:
        made.save(save)
    if out is not None:
        from tocsin.cli.writer import Writer

        with Writer(out) as writer:
            writer.write(detection)
    if report is not None:
        _report(report, made, frame, known, detection, data.name)
    name = made.detector_name
    if as_json:
        show.print_json(show.as_dict(detection, name))
        return
    show.print_headline(len(detection.anomalies), len(detection), name, detection)
    show.print_anomalies(detection, top, len(detection.anomalies))
    if known is not None:
        show.print_agreement(detection, known)
    for path in filter(None, (report, out, save)):
        typer.echo(f"Wrote {path}")


def _report(
    path: Path,
    made: Pipeline,
    frame: pd.DataFrame,
    known: IntArray | None,
    detection: Detection,
    title: str,
) -> None:
    import sys

    from tocsin.evaluate.report import write_report

    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(
        path,
        detection,
        frame=frame,
        card=made.card,
        settings=made.settings,
        command=shlex.join(["tocsin", *sys.argv[1:]]),
        labels=known,
        embedding=made.embed(frame) if hasattr(made.detector_, "embed") else None,
        title=title,
    )
