"""What the reports of items share, such as rows, texts or images: counts, ranks and curves."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.base import check_labels
from tocsin.decide.calibration import NEVER
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.metrics.names import humanised
from tocsin.files import write_atomically
from tocsin.report.base import Model, Report
from tocsin.report.page import image, mean_weights, provenance, render
from tocsin.report.plots.curves import precision_recall_plot, roc_plot
from tocsin.report.plots.scores import anomalies_over_time, score_histogram, score_rows
from tocsin.types import Detection, IntArray, Reason

MOST_ANOMALIES = 200
_MOST_REASONS = 5


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One row of the ranked table; ``content``: what its modality shows of it."""

    row: int
    score: float
    p_value: float
    label: int | None
    reasons: tuple[Reason, ...]
    content: Any


class ItemReport(Report):
    """A report of n items.

    ``unit``: what an item is called. ``template``: the name of one of ours, or the path of
    another package's, which may extend ``items.html``.
    """

    unit: ClassVar[str]
    template: ClassVar[str | Path] = "items.html"

    @classmethod
    def show_item(cls, detection: Any, item: int, data: Any) -> Any:
        """Return what the ranked table shows of the item at a place 0 … n - 1."""
        return None

    @classmethod
    def context(cls, detection: Any, pipeline: Model, data: Any) -> dict[str, Any]:
        """Return what else the template takes; ``plots`` in it are added to those of all items."""
        return {}

    @classmethod
    def times(cls, detection: Any) -> NDArray[np.datetime64] | None:
        """Return the time (n,) of each item, NaT for none, or None to draw them by row."""
        return None

    @classmethod
    def reasons(cls, detection: Any, row: int) -> tuple[Reason, ...]:
        """Return the reasons of a row as they are shown, the heaviest first."""
        explanation = detection.explanations.get(row)
        return explanation.reasons if explanation else ()

    @classmethod
    def heaviest(cls, detection: Detection) -> list[tuple[str, float]]:
        """Return the names that weigh most in the explanations, each with its mean weight."""
        return mean_weights([cls.reasons(detection, row) for row in detection.explanations])

    @classmethod
    def write(
        cls,
        path: str | os.PathLike[str],
        detection: Any,
        *,
        pipeline: Model,
        data: Any = None,
        labels: ArrayLike | None = None,
        command: str | None = None,
        title: str = "Anomalies",
    ) -> Path:
        """See ``Report.write``; the table holds the 200 most anomalous items."""
        known = None if labels is None else check_labels(labels, len(detection))
        own = cls.context(detection, pipeline, data)
        context = {
            **_summary(detection),
            **_measure(detection, known),
            "mean_weights": cls.heaviest(detection),
            **own,
            "ranked": cls._rank(detection, known, data),
            "plots": _draw_plots(detection, known, cls.unit, cls.times(detection))
            | own.get("plots", {}),
            "unit": cls.unit,
            "title": title,
            "card": pipeline.card,
            "command": command,
            "settings": provenance(pipeline.card, pipeline.settings),
        }
        return write_atomically(Path(path), render(cls.template, context))

    @classmethod
    def _rank(cls, detection: Detection, labels: IntArray | None, data: Any) -> list[Anomaly]:
        scores, decision = detection.scores.values, detection.decision
        found = np.flatnonzero(decision.is_anomaly)
        order = found[np.argsort(-scores[found], kind="stable")]
        return [
            Anomaly(
                row=int(detection.rows[item]),
                score=float(scores[item]),
                p_value=float(decision.p_values[item]),
                label=None if labels is None else int(labels[item]),
                reasons=cls.reasons(detection, int(detection.rows[item]))[:_MOST_REASONS],
                content=cls.show_item(detection, item, data),
            )
            for item in order[:MOST_ANOMALIES].tolist()
        ]


def _summary(detection: Detection) -> dict[str, Any]:
    decision, scores = detection.decision, detection.scores.values
    return {
        "n": len(detection),
        "found": int(decision.is_anomaly.sum()),
        "budget": decision.false_alarm_rate,
        "threshold": decision.threshold,
        "reachable": decision.threshold < NEVER,
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
        "notes": detection.notes,
        "explained": len(detection.explanations),
    }


def _measure(detection: Detection, labels: IntArray | None) -> dict[str, Any]:
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
            *((humanised(name), at_threshold[name]) for name in list(at_threshold)[:7]),
            ("ROC AUC", ranked.roc_auc),
            ("Average precision", ranked.average_precision),
            ("Best F1 of any threshold", ranked.best_f1),
            (f"Precision of the top {ranked.anomalies}", ranked.precision_at_n),
        ],
    }


def _draw_plots(
    detection: Detection,
    labels: IntArray | None,
    unit: str,
    times: NDArray[np.datetime64] | None,
) -> dict[str, str]:
    scores, decision = detection.scores.values, detection.decision
    level, calls = decision.threshold, decision.is_anomaly
    places: NDArray[Any] = detection.rows
    placed = np.ones(len(scores), dtype=np.bool_)
    if times is not None:
        places, placed = times, ~np.isnat(times)
    drawn = {
        "histogram": score_histogram(scores, level, labels, unit=unit),
        "rows": score_rows(scores[placed], places[placed], calls[placed], level, unit=unit),
        "times": "",
        "roc": "",
        "precision_recall": "",
    }
    if times is not None:
        drawn["times"] = anomalies_over_time(places[placed], calls[placed], unit)
    if labels is not None and 0 < labels.sum() < len(labels):
        drawn["roc"] = roc_plot(labels, scores, level)
        drawn["precision_recall"] = precision_recall_plot(labels, scores, level)
    return {name: image(svg) if svg else "" for name, svg in drawn.items()}
