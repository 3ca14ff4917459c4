"""``tocsin explain``: why rows score as they do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.pipeline import ImagePipeline, LogPipeline, SeriesPipeline, TextPipeline


def explain(
    model: options.Model,
    data: options.Data,
    row: Annotated[
        list[int] | None, typer.Option(help="A row, counted from 0. May be repeated.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Logs: a session's key, or file:number. May be repeated."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Explain rows of a table, intervals of series, sessions of logs, texts, or images.

    Without --row and --key, the anomalies; --row finds the intervals of series that hold it.
    """
    import numpy as np

    from tocsin.cli import building, show
    from tocsin.errors import InputError, ParameterError
    from tocsin.pipeline import ImagePipeline, LogPipeline, SeriesPipeline, TextPipeline, load

    pipeline = load(model)
    if isinstance(pipeline, LogPipeline):
        if row is not None:
            raise ParameterError("Logs have no rows: name their sessions by --key.")
        _explain_logs(pipeline, data, key, as_json=as_json)
        return
    if key is not None:
        raise ParameterError("--key is for logs; name rows by --row.")
    if isinstance(pipeline, TextPipeline | ImagePipeline):
        _explain_items(pipeline, data, row, as_json=as_json)
        return
    if isinstance(pipeline, SeriesPipeline):
        _explain_series(pipeline, building.read(data, model=pipeline)[0], row, as_json=as_json)
        return
    frame = pipeline.preparer_.align(building.read(data, model=pipeline)[0])
    beyond = [number for number in row or [] if not 0 <= number < len(frame)]
    if beyond:
        raise InputError(f"{data} has rows 0 to {len(frame) - 1}; there is no row {beyond[0]}.")
    detection = pipeline.detect(frame, explain=False)
    wanted = detection.anomalies if row is None else np.array(row)
    with show.progress("Explaining"):
        explanations = pipeline.explain(frame, wanted).explanations
    rows: list[dict[str, Any]] = [
        {
            "row": int(number),
            "score": float(detection.scores.values[number]),
            "p_value": float(detection.decision.p_values[number]),
            "is_anomaly": bool(detection.decision.is_anomaly[number]),
            "reasons": show.reasons(explanations[int(number)]),
        }
        for number in wanted
    ]
    if as_json:
        show.print_json(rows)
        return
    for shown in rows:
        verdict = "anomaly" if shown["is_anomaly"] else "normal"
        typer.echo(
            f"Row {shown['row']}: {verdict}, score {shown['score']:.4g}, "
            f"p-value {shown['p_value']:.2g}"
        )
        for reason in explanations[shown["row"]].reasons:
            typer.echo(f"  {reason.weight:5.0%}  {show.sentence(reason)}")


def _explain_logs(
    pipeline: LogPipeline, data: Path, keys: list[str] | None, *, as_json: bool
) -> None:
    from tocsin.cli import show, show_logs

    with show.progress("Explaining"):
        detection = pipeline.explain(data, keys)
    rows = list(detection.lines)
    if as_json:
        show.print_json(show_logs.sessions(detection, rows))
    else:
        show_logs.print_sessions(detection, rows)


def _explain_items(
    pipeline: TextPipeline | ImagePipeline, data: Path, rows: list[int] | None, *, as_json: bool
) -> None:
    from tocsin.cli import show, show_images, show_text
    from tocsin.types import ImageDetection

    with show.progress("Explaining"):
        detection = pipeline.explain(data, rows)
    wanted = list(detection.explanations)
    if isinstance(detection, ImageDetection):
        if as_json:
            show.print_json(show_images.images(detection, wanted))
        else:
            show_images.print_explained(detection, wanted)
    elif as_json:
        show.print_json(show_text.texts(detection, wanted))
    else:
        show_text.print_texts(detection, wanted)


def _explain_series(
    pipeline: SeriesPipeline, frame: pd.DataFrame, rows: list[int] | None, *, as_json: bool
) -> None:
    import dataclasses

    from tocsin.cli import show, show_series

    with show.progress("Explaining"):
        detection = pipeline.detect(frame)
    if rows is not None:
        holding = [
            interval
            for interval in detection.intervals
            if set(rows) & set(detection.rows[interval.start : interval.end + 1].tolist())
        ]
        detection = dataclasses.replace(detection, intervals=tuple(holding))
    if as_json:
        show.print_json(show_series.intervals(detection))
        return
    show_series.print_intervals(detection, pipeline.detector_name, len(detection.intervals))
