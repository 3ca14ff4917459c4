"""What the reports of rows, log sessions, texts and images share: counts, ranks, curves, marks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.base import check_labels
from tocsin.decide.calibration import NEVER
from tocsin.evaluate import plots
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.page import about, causes, image, render, words
from tocsin.files import write_atomically
from tocsin.printable import printable
from tocsin.types import Card, Detection, IntArray, Reason, TextMark

MOST_ANOMALIES = 200
_MOST_REASONS = 5
_BEFORE = 100
_FAINTEST = 0.2


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One row of the ranked table; ``shown``: what its modality shows of it."""

    row: int
    score: float
    p_value: float
    label: int | None
    reasons: tuple[Reason, ...]
    shown: Any


def write_item_report(
    path: str | os.PathLike[str],
    template: str,
    detection: Detection,
    show: Callable[[int], Any],
    *,
    card: Card,
    settings: Mapping[str, Any] | None,
    command: str | None,
    labels: ArrayLike | None,
    title: str,
    unit: str,
    times: NDArray[np.datetime64] | None = None,
    more: Mapping[str, Any],
) -> Path:
    """Write the report of n items by a template and return its path.

    ``show``: gives what is shown of the item at a place 0 … n - 1. ``unit``: what an item is
    called. ``times`` (n,), NaT for none, place the scores in time. ``more``: what else the
    template takes; ``plots`` in it are added to those drawn here.

    Raises InputError for labels of another length, ParameterError when ``path`` cannot be
    written.
    """
    known = None if labels is None else check_labels(labels, len(detection))
    context = {
        **_summary(detection),
        **_measured(detection, known),
        **more,
        "ranked": _ranked(detection, known, show),
        "plots": _plots(detection, known, unit, times) | more.get("plots", {}),
        "unit": unit,
        "title": title,
        "card": card,
        "command": command,
        "settings": about(card, settings or {}),
    }
    return write_atomically(Path(path), render(template, context))


def heaviest(detection: Detection) -> list[tuple[str, float]]:
    """Return the names that weigh most in the explanations, each with its mean weight."""
    return causes([each.reasons for each in detection.explanations.values()])


def pieces(
    text: str, marks: Sequence[TextMark], most: int, keep: str = ""
) -> list[tuple[str, float | None]]:
    r"""Return a text in pieces for reading, each with how strongly it is marked, or None.

    The heaviest mark is 1. Of a longer text than ``most`` characters a part is taken that shows
    the heaviest mark. Characters that are not seen are written out, but those in ``keep``.

    >>> pieces("win a \x1b prize", [TextMark(8, 13, 0.4)], 80)
    [('win a \\x1b ', None), ('prize', 1.0)]
    """
    first = max(marks, key=lambda mark: mark.weight, default=TextMark(0, 0, 1.0))
    start = 0 if first.end <= most else max(0, first.start - _BEFORE)
    end, done = min(len(text), start + most), start
    found: list[tuple[str, float | None]] = [("…", None)] if start else []
    for mark in sorted(marks, key=lambda mark: mark.start):
        a, b = max(mark.start, done), min(mark.end, end)
        if a < b:
            strength = max(_FAINTEST, mark.weight / first.weight) if first.weight else _FAINTEST
            found += [(text[done:a], None), (text[a:b], strength)]
            done = b
    found += [(text[done:end], None), ("…" if end < len(text) else "", None)]
    return [(printable(piece, keep=keep), strength) for piece, strength in found if piece]


def _summary(detection: Detection) -> dict[str, Any]:
    decision, scores = detection.decision, detection.scores.values
    return {
        "n": len(detection),
        "found": int(decision.is_anomaly.sum()),
        "budget": decision.false_alarm_rate,
        "threshold": decision.threshold,
        "can_ring": decision.threshold < NEVER,
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
        "notes": detection.notes,
        "explained": len(detection.explanations),
        "causes": heaviest(detection),
    }


def _ranked(
    detection: Detection, labels: IntArray | None, show: Callable[[int], Any]
) -> list[Anomaly]:
    scores, decision = detection.scores.values, detection.decision
    found = np.flatnonzero(decision.is_anomaly)
    anomalies = []
    for item in found[np.argsort(-scores[found], kind="stable")][:MOST_ANOMALIES].tolist():
        explanation = detection.explanations.get(int(detection.rows[item]))
        anomalies.append(
            Anomaly(
                row=int(detection.rows[item]),
                score=float(scores[item]),
                p_value=float(decision.p_values[item]),
                label=None if labels is None else int(labels[item]),
                reasons=explanation.reasons[:_MOST_REASONS] if explanation else (),
                shown=show(item),
            )
        )
    return anomalies


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
        "histogram": plots.score_histogram(scores, level, labels, unit=unit),
        "rows": plots.score_rows(scores[placed], places[placed], calls[placed], level, unit=unit),
        "times": "",
        "roc": "",
        "precision_recall": "",
    }
    if times is not None:
        drawn["times"] = plots.anomalies_over_time(places[placed], calls[placed], unit)
    if labels is not None and 0 < labels.sum() < len(labels):
        drawn["roc"] = plots.roc_plot(labels, scores, level)
        drawn["precision_recall"] = plots.precision_recall_plot(labels, scores, level)
    return {name: image(svg) if svg else "" for name, svg in drawn.items()}
