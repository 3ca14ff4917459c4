"""The report: one self-contained HTML file with the anomalies, the reasons and the plots."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.base import check_labels
from tocsin.decide.calibration import NEVER
from tocsin.errors import InputError
from tocsin.evaluate import plots
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.page import about, causes, image, render, replace, words
from tocsin.types import Card, Detection, FloatArray, IntArray, Reason

MOST_ANOMALIES = 200
_MOST_CELLS = 40
_MOST_REASONS = 5
_MOST_COLUMN_PLOTS = 4


@dataclass(frozen=True, slots=True)
class _Anomaly:
    """One row of the ranked table."""

    row: int
    score: float
    p_value: float
    label: int | None
    reasons: tuple[Reason, ...]
    cells: list[tuple[str, Any]]


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
    known = None if labels is None else check_labels(labels, n)
    points = None if embedding is None else np.asarray(embedding, dtype=np.float64)
    if points is not None and len(points) != n:
        raise InputError(f"The embedding has {len(points)} rows for {n} detections.")
    context = _context(detection, frame, known)
    context["plots"] = _plots(detection, known, points)
    context |= {"title": title, "card": card, "command": command}
    context["settings"] = about(card, settings or {})
    return replace(Path(path), render("report.html", context))


def _context(detection: Detection, frame: pd.DataFrame, labels: IntArray | None) -> dict[str, Any]:
    decision, scores = detection.decision, detection.scores.values
    heaviest = causes([each.reasons for each in detection.explanations.values()])
    return {
        "n": len(detection),
        "width": frame.shape[1],
        "found": int(decision.is_anomaly.sum()),
        "budget": decision.false_alarm_rate,
        "threshold": decision.threshold,
        "can_ring": decision.threshold < NEVER,
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
        "notes": detection.notes,
        "explained": len(detection.explanations),
        "causes": heaviest,
        "columns": _column_plots(detection, frame, [name for name, _ in heaviest]),
        "ranked": _ranked(detection, frame, labels),
        **_measured(detection, labels),
    }


def _ranked(detection: Detection, frame: pd.DataFrame, labels: IntArray | None) -> list[_Anomaly]:
    scores, decision = detection.scores.values, detection.decision
    found = np.flatnonzero(decision.is_anomaly)
    top = found[np.argsort(-scores[found], kind="stable")][:MOST_ANOMALIES]
    shown = frame.iloc[top, :_MOST_CELLS]
    names = [str(name) for name in shown.columns]
    anomalies = []
    for item, cells in zip(top, shown.itertuples(index=False, name=None), strict=True):
        row = int(detection.rows[item])
        explanation = detection.explanations.get(row)
        anomalies.append(
            _Anomaly(
                row=row,
                score=float(scores[item]),
                p_value=float(decision.p_values[item]),
                label=None if labels is None else int(labels[item]),
                reasons=explanation.reasons[:_MOST_REASONS] if explanation else (),
                cells=list(zip(names, cells, strict=True)),
            )
        )
    return anomalies


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


def _measured(detection: Detection, labels: IntArray | None) -> dict[str, Any]:
    if labels is None:
        return {"labelled": False, "ranking": None, "classification": None, "measures": []}
    ranked = ranking(labels, detection.scores.values)
    called = classification(labels, detection.decision.is_anomaly)
    at_threshold = asdict(called)
    return {
        "labelled": True,
        "ranking": ranked,
        "classification": called,
        "measures": [
            *((words(name), at_threshold[name]) for name in list(at_threshold)[:7]),
            ("ROC area", ranked.roc_auc),
            ("Average precision", ranked.pr_auc),
            ("Best F1 of any threshold", ranked.best_f1),
            (f"Precision of the top {ranked.anomalies}", ranked.precision_at_n),
        ],
    }


def _plots(
    detection: Detection, labels: IntArray | None, embedding: FloatArray | None
) -> dict[str, str]:
    scores, decision = detection.scores.values, detection.decision
    drawn = {
        "histogram": plots.score_histogram(scores, decision.threshold, labels),
        "rows": plots.score_rows(scores, detection.rows, decision.is_anomaly, decision.threshold),
        "roc": "",
        "precision_recall": "",
        "map": "",
    }
    if labels is not None and 0 < labels.sum() < len(labels):
        drawn["roc"] = plots.roc_plot(labels, scores, decision.threshold)
        drawn["precision_recall"] = plots.precision_recall_plot(labels, scores, decision.threshold)
    if embedding is not None:
        drawn["map"] = plots.latent_map(embedding, scores, decision.is_anomaly)
    return {name: image(svg) if svg else "" for name, svg in drawn.items()}
