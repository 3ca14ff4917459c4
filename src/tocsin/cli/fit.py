"""``tocsin fit``: train a model and keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli import options


def fit(
    data: options.Data,
    out: Annotated[Path, typer.Option(help="The folder for the trained model.")],
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
    as_json: options.Json = False,
) -> None:
    """Learn what is normal from a table, series, logs, texts or images; keep it in a folder."""
    from tocsin.cli import building, show

    logs = {"format": format, "session": session, "window": window}
    taken, frame, known = building.take(
        data, kind, text=text, time=time, logs=logs, label=label, labels=labels
    )
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
    with show.progress("Training"):
        made.fit(frame, labels=None if clean is False else known)
    made.save(out)
    name, notes = made.detector_name, list(made.notes_)
    rows = made.calibration_.n_ if isinstance(frame, Path) else len(frame)
    items = {"logs": "sessions of logs", "text": "texts", "images": "images"}.get(
        taken, f"rows of {taken}"
    )
    if as_json:
        show.print_json({"model": str(out), "detector": name, "rows": rows, "notes": notes})
        return
    typer.echo(f"Trained {name} on {rows:,} {items}. Wrote {out}")
    for note in notes:
        typer.echo(f"· {note}")
