"""``tocsin fit``: train a model and keep it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tocsin.cli import options


def fit(
    data: options.Data,
    out: Annotated[Path, typer.Option(help="The folder for the trained model.")],
    kind: options.Kind = None,
    time: options.Time = None,
    entity: options.Entity = None,
    models: options.Models = None,
    format: options.Format = None,
    session: options.Session = None,
    window: options.Window = None,
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
    """Learn what is normal from a table, time series or logs; keep the model in a folder."""
    from tocsin.cli import building, show

    frame: Any = data
    known = None
    logs = {"format": format, "session": session, "window": window}
    if building.is_log(data, kind, *logs.values()):
        taken = "logs"
        building.refuse_for_logs(label=label, labels=labels)
    else:
        frame, known = building.read(data, label, labels)
        taken = building.kind_of(frame, kind, time)
    made = building.pipeline(
        taken,
        detector,
        parameters,
        clean=clean,
        scale=scale,
        time=time,
        entity=entity,
        models=models,
        logs=logs,
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
    rows, items = (made.calibration_.n_, "sessions") if taken == "logs" else (len(frame), "rows")
    if as_json:
        show.print_json({"model": str(out), "detector": name, "rows": rows, "notes": notes})
        return
    typer.echo(f"Trained {name} on {rows:,} {items} of {made.modality}. Wrote {out}")
    for note in notes:
        typer.echo(f"· {note}")
