"""The report of time series: one self-contained HTML file with pictures, intervals and reasons."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.base import check_labels
from tocsin.decide.calibration import NEVER
from tocsin.evaluate.metrics import classification
from tocsin.evaluate.results import measure_series
from tocsin.files import write_atomically
from tocsin.report.base import Model, Picture, Report
from tocsin.report.page import image, mean_weights, provenance, render
from tocsin.report.plots.series import (
    entities_by_anomaly,
    entity_slice,
    interval_plot,
    series_plot,
    write_png,
)
from tocsin.types import IntArray, Interval, SeriesDetection

MOST_INTERVALS = 200
MOST_ENTITIES = 8
_MOST_CHANNELS = 4
_MOST_ZOOMS = 12


@dataclass(frozen=True, slots=True)
class _Listed:
    """An interval as it reads: its times, or positions where there are none."""

    interval: Interval
    start: str
    end: str
    peak: str
    points: int
    duration: str


class SeriesReport(Report):
    """The report of the eight most anomalous entities and the 200 most anomalous intervals."""

    modality = "series"
    pictures: ClassVar[Mapping[str, Picture]] = {"png": write_png}

    @classmethod
    def write(
        cls,
        path: str | os.PathLike[str],
        detection: SeriesDetection,
        *,
        pipeline: Model,
        data: Any = None,
        labels: ArrayLike | None = None,
        command: str | None = None,
        title: str = "Anomalies",
    ) -> Path:
        """See ``Report.write``; ``labels`` are those of the points."""
        known = None if labels is None else check_labels(labels, len(detection))
        context = {
            **_summary(detection),
            **_draw_pictures(detection),
            **_measure(detection, known, pipeline.card.name),
            "title": title,
            "card": pipeline.card,
            "command": command,
            "settings": provenance(pipeline.card, pipeline.settings),
        }
        return write_atomically(Path(path), render("series.html", context))


def _summary(detection: SeriesDetection) -> dict[str, Any]:
    decision, scores, times = detection.decision, detection.scores.values, detection.times
    return {
        "n": len(detection),
        "channels": len(detection.channels),
        "entities": 0 if detection.entities is None else len(set(detection.entities.tolist())),
        "span": None if times is None else (_format_time(times.min()), _format_time(times.max())),
        "found": len(detection.intervals),
        "flagged": float(decision.is_anomaly.mean()),
        "budget": decision.false_alarm_rate,
        "threshold": decision.threshold,
        "reachable": decision.threshold < NEVER,
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
        "notes": detection.notes,
        "mean_weights": mean_weights([interval.reasons for interval in detection.intervals]),
        "ranked": [_describe(detection, each) for each in detection.intervals[:MOST_INTERVALS]],
    }


def _draw_pictures(detection: SeriesDetection) -> dict[str, Any]:
    entities = entities_by_anomaly(detection)[:MOST_ENTITIES]
    return {
        "hidden_channels": max(0, len(detection.channels) - _MOST_CHANNELS),
        "pictures": [
            (entity, image(series_plot(detection, entity, _MOST_CHANNELS))) for entity in entities
        ],
        "zooms": [
            (_describe(detection, each), image(interval_plot(detection, each)))
            for each in detection.intervals[:_MOST_ZOOMS]
        ],
    }


def _measure(detection: SeriesDetection, labels: IntArray | None, detector: str) -> dict[str, Any]:
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
            ("Average precision", result.average_precision),
            ("Precision of points", called.precision),
            ("Recall of points", called.recall),
            ("F1 of points", called.f1),
            ("Range precision", result.range_precision),
            ("Range recall", result.range_recall),
            ("Affiliation precision", result.affiliation_precision),
            ("Affiliation recall", result.affiliation_recall),
            ("Point-adjusted F1 (optimistic)", result.point_adjusted_f1),
            ("False-alarm rate", result.false_alarm_rate),
        ],
    }


def _describe(detection: SeriesDetection, interval: Interval) -> _Listed:
    start, end, peak = interval.start_time, interval.end_time, interval.peak_time
    points = interval.end - interval.start + 1
    if start is None or end is None or peak is None:
        first = entity_slice(detection, interval.entity).start
        at = [f"{each - first:,}" for each in (interval.start, interval.end, interval.peak)]
        return _Listed(interval, at[0], at[1], at[2], points, duration="")
    duration = str(pd.Timedelta(end - start)).replace("0 days ", "") if points > 1 else ""
    return _Listed(
        interval, _format_time(start), _format_time(end), _format_time(peak), points, duration
    )


def _format_time(time: np.datetime64) -> str:
    """Return a time as text, to the second or to what it takes.

    >>> _format_time(np.datetime64("2026-03-01T08:20:00", "ns"))
    '2026-03-01 08:20:00'
    """
    return str(pd.Timestamp(time))
