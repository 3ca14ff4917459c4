"""``tocsin detect``: train, detect, decide, explain and report in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli import options


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
    calibration: options.Calibration = "conformal",
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
    if clean is None and known is None:
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
            normal, _ = building.read(train, label if known is not None else None)
            made.fit(normal)
            frame = made.preparer_.align(frame)
            detection = made.detect(frame)
    if save is not None:
        made.save(save)
    if out is not None:
        from tocsin.cli.writer import Writer

        with Writer(out) as writer:
            writer.write(detection)
    if report is not None:
        from tocsin.evaluate.report import write_report

        write_report(report, detection, pipeline=made, frame=frame, labels=known, title=data.name)
    name = made.detector_.card.name
    if as_json:
        show.print_json(show.as_dict(detection, name))
        return
    show.print_headline(len(detection.anomalies), len(detection), name, detection)
    show.print_anomalies(detection, top, len(detection.anomalies))
    for path in filter(None, (report, out, save)):
        typer.echo(f"Wrote {path}")
