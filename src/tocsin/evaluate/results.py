"""What a detector reached on labelled items, or on labelled points of series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from tocsin.evaluate.metrics import (
    ClassificationMetrics,
    RankingMetrics,
    classification,
    ranking,
)
from tocsin.evaluate.metrics.affiliation import affiliation
from tocsin.evaluate.metrics.ranges import (
    buffer_period,
    detection_delay,
    point_adjusted,
    range_precision_recall,
    vus,
)
from tocsin.evaluate.splits import Split
from tocsin.types import Detection, IntArray, SeriesDetection


@dataclass(frozen=True, slots=True)
class Result:
    """What a detector reached: ranking whatever the threshold, decisions under the budget.

    ``columns``: the measures that fit into one line, by their headings.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "ROC AUC": "roc_auc",
        "average precision": "average_precision",
        "best F1": "best_f1",
        "P@n": "precision_at_n",
        "accuracy": "accuracy",
        "precision": "precision",
        "recall": "recall",
        "F1": "f1",
        "false alarms": "false_alarm_rate",
    }

    detector: str
    protocol: str
    seed: int
    seconds: float
    ranking: RankingMetrics
    decisions: ClassificationMetrics
    split: Split | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the measures in one flat dict, ready for JSON."""
        flat = asdict(self)
        return {**flat, **flat.pop("ranking"), **flat.pop("decisions")}


def measure(
    detection: Detection,
    y: IntArray,
    detector: str,
    *,
    protocol: str,
    seed: int = 0,
    seconds: float = 0.0,
    split: Split | None = None,
) -> Result:
    """Return the measures of a detection against the labels y (n,) of its items, 1 = anomaly.

    Raises InputError for labels of another length.
    """
    return Result(
        detector=detector,
        protocol=protocol,
        seed=seed,
        seconds=seconds,
        ranking=ranking(y, detection.scores.values),
        decisions=classification(y, detection.decision.is_anomaly),
        split=split,
    )


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """What a detector reached on series: ranking of points, and decisions about ranges.

    ``point_adjusted_f1`` is optimistic: one point found counts as its whole range. ``delay``: the
    median number of points from the start of a range to its first alarm. ``false_alarm_rate``:
    the share of normal points flagged. A measure that is not defined is None. ``columns``: the
    measures that fit into one line, by their headings.
    """

    columns: ClassVar[Mapping[str, str]] = {
        "VUS-PR": "vus_pr",
        "VUS-ROC": "vus_roc",
        "average precision": "average_precision",
        "range P": "range_precision",
        "range R": "range_recall",
        "affil. P": "affiliation_precision",
        "affil. R": "affiliation_recall",
        "found": "found",
        "delay": "delay",
        "false alarms": "false_alarm_rate",
    }

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
