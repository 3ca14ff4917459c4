"""The report of time series: one self-contained HTML file with pictures, intervals and reasons."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.base import check_labels
from tocsin.decide.calibration import NEVER
from tocsin.evaluate import series_plots
from tocsin.evaluate.metrics import classification
from tocsin.evaluate.page import about, causes, image, render
from tocsin.evaluate.series_holdout import measure_series
from tocsin.files import write_atomically
from tocsin.types import Card, IntArray, Interval, SeriesDetection

MOST_INTERVALS = 200
MOST_ENTITIES = 8
_MOST_CHANNELS = 4
_MOST_ZOOMS = 12


@dataclass(frozen=True, slots=True)
class _Shown:
    """An interval as it reads: its times, or positions where there are none."""

    interval: Interval
    start: str
    end: str
    peak: str
    points: int
    duration: str


def write_series_report(
    path: str | os.PathLike[str],
    detection: SeriesDetection,
    *,
    card: Card,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
    labels: ArrayLike | None = None,
    title: str = "Anomalies",
) -> Path:
    """Write what was detected in time series as one HTML file that loads nothing; return its path.

    ``card``: of the detector that scored them. ``settings`` and ``command`` are shown as what it
    takes to reproduce the result. ``labels`` (n,) of the points, 1 = anomaly, add measures. The
    eight most anomalous entities are drawn, and the table holds the 200 most anomalous
    intervals. A file of that name is replaced only when the new one is complete.

    Raises InputError for labels of another length, and ParameterError when ``path`` cannot be
    written.
    """
    known = None if labels is None else check_labels(labels, len(detection))
    context = {
        **_found(detection),
        **_drawn(detection),
        **_measured(detection, known, card.name),
        "title": title,
        "card": card,
        "command": command,
        "settings": about(card, settings or {}),
    }
    return write_atomically(Path(path), render("series_report.html", context))


def _found(detection: SeriesDetection) -> dict[str, Any]:
    decision, scores, times = detection.decision, detection.scores.values, detection.times
    return {
        "n": len(detection),
        "channels": len(detection.channels),
        "entities": 0 if detection.entities is None else len(set(detection.entities.tolist())),
        "span": None if times is None else (_time(times.min()), _time(times.max())),
        "found": len(detection.intervals),
        "flagged": float(decision.is_anomaly.mean()),
        "budget": decision.false_alarm_rate,
        "threshold": decision.threshold,
        "can_ring": decision.threshold < NEVER,
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
        "notes": detection.notes,
        "causes": causes([interval.reasons for interval in detection.intervals]),
        "ranked": [_shown(detection, each) for each in detection.intervals[:MOST_INTERVALS]],
    }


def _drawn(detection: SeriesDetection) -> dict[str, Any]:
    entities = series_plots.entities_by_anomaly(detection)[:MOST_ENTITIES]
    return {
        "hidden_channels": max(0, len(detection.channels) - _MOST_CHANNELS),
        "pictures": [
            (entity, image(series_plots.series_plot(detection, entity, _MOST_CHANNELS)))
            for entity in entities
        ],
        "zooms": [
            (_shown(detection, each), image(series_plots.interval_plot(detection, each)))
            for each in detection.intervals[:_MOST_ZOOMS]
        ],
    }


def _measured(detection: SeriesDetection, labels: IntArray | None, detector: str) -> dict[str, Any]:
    if labels is None:
        return {"result": None, "classification": None, "measures": []}
    result = measure_series(detection, labels, detector)
    called = classification(labels, detection.decision.is_anomaly)
    return {
        "result": result,
        "classification": called,
        "measures": [
            ("VUS-PR", result.vus_pr),
            ("VUS-ROC", result.vus_roc),
            ("Average precision", result.pr_auc),
            ("Precision of points", called.precision),
            ("Recall of points", called.recall),
            ("F1 of points", called.f1),
            ("Range precision", result.range_precision),
            ("Range recall", result.range_recall),
            ("Affiliation precision", result.affiliation_precision),
            ("Affiliation recall", result.affiliation_recall),
            ("Point-adjusted F1 (flatters)", result.point_adjusted_f1),
            ("False-alarm rate", result.false_alarm_rate),
        ],
    }


def _shown(detection: SeriesDetection, interval: Interval) -> _Shown:
    start, end, peak = interval.start_time, interval.end_time, interval.peak_time
    points = interval.end - interval.start + 1
    if start is None or end is None or peak is None:
        first = series_plots.entity_slice(detection, interval.entity).start
        at = [f"{each - first:,}" for each in (interval.start, interval.end, interval.peak)]
        return _Shown(interval, at[0], at[1], at[2], points, duration="")
    duration = str(pd.Timedelta(end - start)).replace("0 days ", "") if points > 1 else ""
    return _Shown(interval, _time(start), _time(end), _time(peak), points, duration)


def _time(time: np.datetime64) -> str:
    """Return a time as text, to the second or to what it takes.

    >>> _time(np.datetime64("2026-03-01T08:20:00", "ns"))
    '2026-03-01 08:20:00'
    """
    return str(pd.Timestamp(time))
