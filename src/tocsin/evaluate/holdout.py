"""Detectors measured on one labelled table, on rows that they have not learned from."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.metrics import (
    ClassificationMetrics,
    RankingMetrics,
    classification,
    ranking,
)
from tocsin.pipeline import Pipeline
from tocsin.types import Detection, IntArray

Protocol = Literal["clean", "mixed", "supervised"]
"""clean: learn from half of the normal rows, measure on all others. mixed: learn from all
rows without labels, measure each left out. supervised: learn with labels, out of fold."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a detector reached: ranking whatever the threshold, decisions under the budget."""

    detector: str
    protocol: str
    seed: int
    seconds: float
    ranking: RankingMetrics
    decisions: ClassificationMetrics

    def as_dict(self) -> dict[str, Any]:
        """Return the measures in one flat dict, ready for JSON."""
        flat = asdict(self)
        return {**flat, **flat.pop("ranking"), **flat.pop("decisions")}


def hold_out(
    frame: pd.DataFrame, y: IntArray, pipeline: Pipeline, protocol: Protocol
) -> tuple[Result, Detection, IntArray]:
    """Train the pipeline by the protocol; return measures, detection, and labels as tested.

    Raises ParameterError for an unknown protocol, InputError when a class is missing.

    >>> from tocsin.pipeline import Pipeline
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame(rng.normal(size=(200, 2)))
    >>> frame.iloc[:10] += 20
    >>> y = (np.arange(200) < 10).astype(int)
    >>> hold_out(frame, y, Pipeline("neighbours"), "clean")[0].ranking.roc_auc
    1.0
    """
    if protocol not in get_args(Protocol):
        raise ParameterError(f"The protocol is one of {get_args(Protocol)}; got {protocol!r}.")
    if not 0 < y.sum() < len(y):
        raise InputError(f"To measure takes normal rows and anomalies; {y.sum()} of {len(y)} are.")
    start = time.perf_counter()
    if protocol == "clean":
        normal = np.random.default_rng(pipeline.seed).permutation(np.flatnonzero(y == 0))
        train = np.sort(normal[: len(normal) // 2])
        tested = np.setdiff1d(np.arange(len(y)), train)
        pipeline.set_params(training="clean").fit(frame.iloc[train])
        detection = pipeline.detect(frame.iloc[tested], explain=False)
        y = y[tested]
    else:
        pipeline.set_params(training="mixed" if protocol == "mixed" else "guess")
        labels = y if protocol == "supervised" else None
        detection = pipeline.fit_detect(frame, labels=labels, explain=False)
    seconds = time.perf_counter() - start
    return measure(pipeline, detection, y, protocol, seconds), detection, y


def measure(
    pipeline: Pipeline, detection: Detection, y: IntArray, protocol: str, seconds: float = 0.0
) -> Result:
    """Return the measures of a detection against labels y (n,), 1 = anomaly."""
    return Result(
        detector=pipeline.detector_.card.name,
        protocol=protocol,
        seed=pipeline.seed,
        seconds=seconds,
        ranking=ranking(y, detection.scores.values),
        decisions=classification(y, detection.decision.is_anomaly),
    )
