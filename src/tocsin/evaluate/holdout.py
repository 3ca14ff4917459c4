"""Detectors measured on labelled rows, texts, logs or images that they have not learned from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.log_items import LogItems
from tocsin.evaluate.metrics import (
    ClassificationMetrics,
    RankingMetrics,
    classification,
    ranking,
)
from tocsin.pipeline import ImagePipeline, LogPipeline, Pipeline, TextPipeline
from tocsin.types import Detection, ImageArray, IntArray

AnyItems = Pipeline | TextPipeline | LogPipeline | ImagePipeline
Protocol = Literal["clean", "mixed", "supervised"]
"""clean: learn from half of the normal items, measure on others. mixed: learn from all items
without labels, measure each left out. supervised: learn with labels, out of fold."""
Split = Literal["random", "time"]
"""random: learn from a seeded half of the normal items, measure on all others. time: learn from
the normal items of the first half, measure on the second half."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a detector reached: ranking whatever the threshold, decisions under the budget."""

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


def hold_out(
    data: pd.DataFrame | LogItems | ImageArray,
    y: IntArray,
    pipeline: AnyItems,
    protocol: Protocol,
    split: Split | None = None,
) -> tuple[Result, Detection, IntArray]:
    """Train the pipeline by the protocol; return measures, detection, and labels as tested.

    ``data``: rows or texts of a table, log sessions, or images all of which can be read.
    ``split``: of the clean protocol; None is "time" for logs, whose neighbours in time are alike,
    so that a random half flatters, else "random". Of normal items only, the false-alarm rate is
    all that is measured. Raises ParameterError for an unknown protocol or split, InputError when
    there are no normal items, or no anomalies to learn from.

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
    check_normal(y)
    if protocol == "supervised" and not y.any():
        raise InputError("supervised learns from labelled anomalies; all items are normal.")
    logs = data if isinstance(data, LogItems) else None
    take = data.take if isinstance(data, LogItems) else _taking(data)
    start = time.perf_counter()
    tested: IntArray = np.arange(len(y))
    if protocol == "clean":
        split = split or ("random" if logs is None else "time")
        train, tested = halves(y, split, pipeline.seed)
        pipeline.set_params(training="clean").fit(take(train))
        detection: Detection = pipeline.detect(take(tested), explain=False)
    else:
        split, labels = None, y if protocol == "supervised" else None
        pipeline.set_params(training="mixed" if protocol == "mixed" else "guess")
        detection = pipeline.fit_detect(take(tested), labels=labels, explain=False)
    if logs is not None:
        detection = logs.pick(detection, tested)
    seconds = time.perf_counter() - start
    result = measure(pipeline, detection, y[tested], protocol, seconds)
    return replace(result, split=split), detection, y[tested]


def _taking(data: pd.DataFrame | ImageArray) -> Callable[[IntArray], Any]:
    return data.iloc.__getitem__ if isinstance(data, pd.DataFrame) else data.__getitem__


def halves(y: IntArray, split: Split, seed: int = 0) -> tuple[IntArray, IntArray]:
    """Return which items to learn from, normal ones, and which to test, both ascending.

    ``y``: the labels (n,), 1 = anomaly. Raises ParameterError for an unknown split, InputError
    when nothing is left to learn from, or the tested half lacks a class that there is.

    >>> [part.tolist() for part in halves(np.array([0, 1, 0, 0, 0, 1]), "time")]
    [[0, 2], [3, 4, 5]]
    """
    if split not in get_args(Split):
        raise ParameterError(f"The split is one of {get_args(Split)}; got {split!r}.")
    normal = np.flatnonzero(y == 0)
    if split == "random":
        train = np.sort(np.random.default_rng(seed).permutation(normal)[: len(normal) // 2])
        tested = np.setdiff1d(np.arange(len(y)), train)
    else:
        train, tested = normal[normal < len(y) // 2], np.arange(len(y) // 2, len(y))
    if len(train) < 2 or not (y[tested] == 0).any() or y[tested].any() != y.any():
        raise InputError(
            f"Split by {split}, there are {len(train)} normal items to learn from, and "
            f"{y[tested].sum()} anomalies among {len(tested)} to test; both parts need normal "
            "items, the tested one also anomalies. Split otherwise, or give more data."
        )
    return train, tested


def check_normal(y: IntArray) -> None:
    """Raise InputError unless there is a normal item among the labels y (n,), 1 = anomaly."""
    if y.all():
        raise InputError(f"To measure takes normal items; all {len(y)} are labelled anomalies.")


def measure(
    pipeline: AnyItems, detection: Detection, y: IntArray, protocol: str, seconds: float = 0.0
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
