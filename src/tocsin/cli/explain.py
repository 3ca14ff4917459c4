"""``tocsin explain``: why rows score as they do."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tocsin.cli import options


def explain(
    model: options.Model,
    data: options.Data,
    row: Annotated[
        list[int] | None, typer.Option(help="A row, counted from 0. May be repeated.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Explain rows of a table: the columns that made each anomalous, seen and expected.

    Without --row, the anomalies.
    """
    import numpy as np

    from tocsin.cli import building, show
    from tocsin.errors import InputError
    from tocsin.pipeline import load

    pipeline = load(model)
    frame = pipeline.preparer_.align(building.read(data)[0])
    beyond = [number for number in row or [] if not 0 <= number < len(frame)]
    if beyond:
        raise InputError(f"{data} has rows 0 to {len(frame) - 1}; there is no row {beyond[0]}.")
    detection = pipeline.detect(frame, explain=False)
    wanted = detection.anomalies if row is None else np.array(row)
    with show.progress("Explaining"):
        explanations = pipeline.explain(frame, wanted)
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
