"""Detectors measured on labelled time series that go on after the part they learned from."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from tocsin.errors import ParameterError
from tocsin.evaluate.holdout import check_normal
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.metrics.affiliation import affiliation
from tocsin.evaluate.metrics.ranges import (
    buffer_period,
    detection_delay,
    point_adjusted,
    range_precision_recall,
    vus,
)
from tocsin.pipeline import SeriesPipeline
from tocsin.types import IntArray, SeriesDetection


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """What a detector reached on series: ranking of points, and decisions about ranges.

    ``point_adjusted_f1`` flatters: one point found counts as its whole range. ``delay``: the
    median number of points from the start of a range to its first alarm. ``false_alarm_rate``:
    the share of normal points flagged. A measure that is not defined is None.
    """

    detector: str
    seconds: float
    vus_pr: float | None
    vus_roc: float | None
    average_precision: float | None
    range_precision: float | None
    range_recall: float | None
    affiliation_precision: float | None
    affiliation_recall: float | None
    point_adjusted_f1: float | None
    ranges: int
    found: float | None
    delay: float | None
    false_alarm_rate: float

    def as_dict(self) -> dict[str, Any]:
        """Return the measures by name, ready for JSON."""
        return asdict(self)


def measure_series(
    detection: SeriesDetection, labels: IntArray, detector: str, seconds: float = 0.0
) -> SeriesResult:
    """Return the measures of a detection against the labels (n,) of its points, 1 = anomaly.

    Raises InputError for labels of another length.
    """
    calls, scores = detection.decision.is_anomaly, detection.scores.values
    ranked = ranking(labels, scores)
    volumes = vus(labels, scores, buffer_period(detection.values[:, 0]))
    ranges, near = range_precision_recall(labels, calls), affiliation(labels, calls)
    delays = detection_delay(labels, calls)
    return SeriesResult(
        detector=detector,
        seconds=seconds,
        vus_pr=volumes.vus_pr,
        vus_roc=volumes.vus_roc,
        average_precision=ranked.average_precision,
        range_precision=ranges.precision,
        range_recall=ranges.recall,
        affiliation_precision=near.precision,
        affiliation_recall=near.recall,
        point_adjusted_f1=point_adjusted(labels, calls).f1,
        ranges=delays.ranges,
        found=delays.found,
        delay=delays.median,
        false_alarm_rate=float(calls[labels == 0].mean()) if (labels == 0).any() else 0.0,
    )


def hold_out_series(
    frame: pd.DataFrame, y: IntArray, pipeline: SeriesPipeline, train_rows: int | None = None
) -> tuple[SeriesResult, SeriesDetection]:
    """Train on the first rows, score all; return the measures and the detection.

    Without ``train_rows``, training ends before the first anomaly, and at half of the rows at
    most; where fewer than a tenth would be left, the whole is learned from, without labels.
    Of normal rows only, the false-alarm rate is all that is measured. Raises InputError when
    there are no normal rows, ParameterError for too many rows.

    >>> wave = np.sin(np.arange(900) / 7) + 0.05 * np.random.default_rng(0).normal(size=900)
    >>> wave[700:720] = 0.0
    >>> y = np.isin(np.arange(900), np.arange(700, 720)).astype(int)
    >>> frame = pd.DataFrame({"value": wave})
    >>> hold_out_series(frame, y, SeriesPipeline("autoregression"))[0].found
    1.0
    """
    check_normal(y)
    if train_rows is None:
        clean = min([*np.flatnonzero(y)[:1].tolist(), len(y) // 2])
        train_rows = clean if clean >= len(y) // 10 else len(y)
    if train_rows > len(y):
        raise ParameterError(f"There are {len(y)} rows; {train_rows} were asked to train on.")
    start = time.perf_counter()
    detection = pipeline.fit(frame[:train_rows]).detect(frame, explain=False)
    seconds = time.perf_counter() - start
    labels = detection.labels(y)
    return measure_series(detection, labels, pipeline.detector_name, seconds), detection
