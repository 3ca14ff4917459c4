"""The report: one self-contained HTML file with the anomalies, the reasons and the plots."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.errors import InputError
from tocsin.evaluate import plots
from tocsin.evaluate.item_report import MOST_ANOMALIES, heaviest, write_item_report
from tocsin.evaluate.page import image
from tocsin.types import Card, Detection, FloatArray

__all__ = ["MOST_ANOMALIES", "write_report"]

_MOST_CELLS = 40
_MOST_COLUMN_PLOTS = 4


def write_report(
    path: str | os.PathLike[str],
    detection: Detection,
    *,
    frame: pd.DataFrame,
    card: Card,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
    labels: ArrayLike | None = None,
    embedding: ArrayLike | None = None,
    title: str = "Anomalies",
) -> Path:
    """Write what was detected, and why, as one HTML file that loads nothing; return its path.

    ``frame``: the n rows as the user gave them, in the order of ``detection``. ``card``: of
    the detector that scored them, for ``auto`` that of the one it chose. ``settings`` and
    ``command`` are shown as what it takes to reproduce the result. ``labels`` (n,), 1 =
    anomaly, add measures and curves; ``embedding`` (n, 2 or more) adds a map. The table holds
    the 200 most anomalous rows. A file of that name is replaced only when the new one is
    complete.

    Raises InputError when the lengths differ, and ParameterError when ``path`` cannot be
    written.
    """
    n = len(detection)
    if len(frame) != n:
        raise InputError(f"The report shows {n} detections, but the frame has {len(frame)} rows.")
    points = None if embedding is None else np.asarray(embedding, dtype=np.float64)
    if points is not None and len(points) != n:
        raise InputError(f"The embedding has {len(points)} rows for {n} detections.")
    cells = frame.iloc[:, :_MOST_CELLS]
    names = [str(name) for name in cells.columns]

    def show(row: int) -> list[tuple[str, Any]]:
        values = next(cells.iloc[[row]].itertuples(index=False, name=None))
        return list(zip(names, values, strict=True))

    return write_item_report(
        path,
        "report.html",
        detection,
        show,
        card=card,
        settings=settings,
        command=command,
        labels=labels,
        title=title,
        unit="row",
        more={
            "width": frame.shape[1],
            "columns": _column_plots(detection, frame, [name for name, _ in heaviest(detection)]),
            "plots": {"map": _map(detection, points)},
        },
    )


def _map(detection: Detection, points: FloatArray | None) -> str:
    if points is None:
        return ""
    scores, calls = detection.scores.values, detection.decision.is_anomaly
    return image(plots.latent_map(points, scores, calls))


def _column_plots(
    detection: Detection, frame: pd.DataFrame, names: list[str]
) -> list[tuple[str, str]]:
    place = {str(name): position for position, name in enumerate(frame.columns)}
    drawn: list[tuple[str, str]] = []
    for name in names:
        if name not in place or len(drawn) == _MOST_COLUMN_PLOTS:
            continue
        column = frame.iloc[:, place[name]]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            svg = plots.column_histogram(numbers, detection.decision.is_anomaly, name)
            drawn.append((name, image(svg)))
    return drawn
