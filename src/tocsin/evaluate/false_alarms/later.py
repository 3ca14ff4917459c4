"""Promised against measured false alarms on normal data that is later than what was learned."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from tocsin import registry
from tocsin.evaluate.suites.base import Row
from tocsin.evaluate.threads import limited_threads
from tocsin.pipeline import BasePipeline
from tocsin.types import FloatArray, IntArray, Scores

if TYPE_CHECKING:
    from rich.console import Console

INSIDE = {0.01: (0.0, 0.02), 0.05: (0.01, 0.08)}
"""Where the measured rate of a promise is taken as kept; of another one up to twice as much."""

MEASURED = ("normals", "rate", "inside", "independent", "roc_auc", "recall", "error")
"""The keys of a row that a detector that fails has None for, but "error"."""


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Normal data to learn from, and later recordings, each with its labels (n,).

    ``counted``: on which of the recordings false alarms are counted.
    """

    name: str
    train: Any
    later: tuple[tuple[Any, IntArray], ...]
    counted: tuple[bool, ...]


def run_time_splits(
    splits: Iterable[TimeSplit],
    budgets: Sequence[float] = (0.01, 0.05),
    detectors: Sequence[str] = ("auto",),
    *,
    modality: str = "tables",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
) -> list[Row]:
    """Measure which share of later normal items is flagged, against what was promised.

    Returns a row per set, detector and budget: ``normals``, ``rate``, ``inside``, whether the rate
    lies within ``INSIDE``, ``independent`` calibration items, and where there are faults
    ``roc_auc`` and ``recall``, the share of them found at the threshold that 1 % of the later
    normal items exceed. A detector that fails has None there and the reason in ``error``.
    ``settings`` are those of the modality's pipeline. Raises UnknownName, and as reading the
    splits does.
    """
    for name in detectors:
        registry.find(name, modality)
    kind: type[BasePipeline] = registry.of_modality("pipeline", modality)
    given = {"seed": seed, "training": "clean"}
    given = {name: given[name] for name in given if name in kind.parameter_names()}
    rows = []
    with limited_threads(threads):
        for split in splits:
            for name in detectors:
                pipeline = kind(name, **{**given, **(settings or {})})
                for row in _measure(pipeline, split, budgets):
                    rows.append({"dataset": split.name, "detector": name, **row})
                    if progress is not None:
                        progress(rows[-1])
    return rows


def print_time_splits(rows: Sequence[Row], console: Console) -> None:
    """Print measured rates per set and detector, and how many lie inside, per budget."""
    from rich.table import Table

    frame = pd.DataFrame(rows)
    budgets = sorted(frame["budget"].unique())
    table = Table(title="False alarms on later normal data", title_justify="left")
    table.add_column("set")
    table.add_column("detector")
    promised = (f"{budget:.0%} promised" for budget in budgets)
    for name in (*promised, "ROC AUC", "recall", "independent"):
        table.add_column(name, justify="right")
    for (dataset, detector), own in frame.groupby(["dataset", "detector"], sort=False):
        by_budget = own.set_index("budget")
        rates = [_format_rate(by_budget.loc[budget]) for budget in budgets]
        first = own.iloc[0]
        shares = [_format_share(first[name]) for name in ("roc_auc", "recall")]
        worth = "" if pd.isna(first["independent"]) else f"{first['independent']:,.0f}"
        table.add_row(str(dataset), str(detector), *rates, *shares, worth)
    console.print(table)
    for budget in budgets:
        inside = frame[frame["budget"] == budget]["inside"].astype(bool)
        low, high = limits(budget)
        console.print(
            f"{budget:.0%} promised: {int(inside.sum())} of {len(inside)} within {low:.0%} to "
            f"{high:.0%}"
        )
    for row in rows:
        if row["error"]:
            console.print(f"{row['detector']} failed on {row['dataset']}: {row['error']}")


def limits(budget: float) -> tuple[float, float]:
    """Return from which to which measured rate a promise is taken as kept.

    >>> limits(0.05), limits(0.1)
    ((0.01, 0.08), (0.0, 0.2))
    """
    return INSIDE.get(float(budget), (0.0, 2 * budget))


def _measure(pipeline: BasePipeline, split: TimeSplit, budgets: Sequence[float]) -> list[Row]:
    empty = dict.fromkeys(MEASURED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _score_later(pipeline, split)
    except Exception as error:  # noqa: BLE001 - a detector's failure is its result here
        reason = f"{type(error).__name__}: {error}"
        return [empty | {"budget": budget, "inside": False, "error": reason} for budget in budgets]
    values = np.concatenate([scores.values for scores, _ in found])
    labels = np.concatenate([labels for _, labels in found])
    counted = np.repeat(split.counted, [len(each) for _, each in found]) & (labels == 0)
    shared = empty | {
        "normals": int(counted.sum()),
        "independent": pipeline.calibration_.independent_,
        **_rank(values, labels),
    }
    rows = []
    for budget in budgets:
        pipeline.set_params(false_alarms=budget)
        flagged = np.concatenate([pipeline.decide(scores).is_anomaly for scores, _ in found])
        rate, (low, high) = float(flagged[counted].mean()), limits(budget)
        rows.append(shared | {"budget": budget, "rate": rate, "inside": low <= rate <= high})
    return rows


def _score_later(pipeline: Any, split: TimeSplit) -> list[tuple[Scores, IntArray]]:
    """Return the scores of each later recording, with the label of each item scored."""
    pipeline.fit(split.train)
    found = []
    for frame, labels in split.later:
        detection = pipeline.detect(frame, explain=False)
        there = detection.rows >= 0
        scores = Scores(detection.scores.values[there])
        found.append((scores, labels[detection.rows[there]]))
    return found


def _rank(values: FloatArray, labels: IntArray) -> Row:
    """Return ROC AUC, and the recall at the threshold that 1 % of the normal items exceed."""
    if not 0 < labels.sum() < len(labels):
        return {}
    threshold = np.quantile(values[labels == 0], 0.99)
    recall = float((values[labels == 1] > threshold).mean())
    return {"roc_auc": float(roc_auc_score(labels, values)), "recall": recall}


def _format_rate(row: Any) -> str:
    if row["rate"] is None or pd.isna(row["rate"]):
        return "failed"
    return f"{row['rate']:.1%}" + ("" if row["inside"] else " !")


def _format_share(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{100 * value:.1f}"
