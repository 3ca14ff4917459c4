"""Detectors measured on labelled items that they have not learned from."""

from __future__ import annotations

import time
from typing import Any, Literal, get_args

import numpy as np

from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.items import Items, find_items
from tocsin.evaluate.results import Result, SeriesResult
from tocsin.evaluate.splits import Split, check_normal
from tocsin.pipeline import BasePipeline
from tocsin.types import Detection, IntArray

Protocol = Literal["clean", "mixed", "supervised"]
"""clean: learn from half of the normal items, measure on others. mixed: learn from all items
without labels, measure each left out. supervised: learn with labels, out of fold."""


def hold_out(
    data: Any,
    y: IntArray,
    pipeline: BasePipeline,
    protocol: Protocol = "clean",
    split: Split | None = None,
    train_items: int | None = None,
) -> tuple[Result | SeriesResult, Detection, IntArray]:
    """Train the pipeline by the protocol; return measures, detection, and labels as tested.

    ``data``: as the pipeline takes them, or ``Items``. ``split``: of the clean protocol; None is
    "time" for items that follow each other, whose neighbours are alike, else "random".
    ``train_items``: of series, how many points to train on, the first ones. Of normal items only,
    the false-alarm rate is all that is measured. Raises ParameterError for an unknown protocol or
    split, InputError when there are no normal items, or no anomalies to learn from.

    >>> from tocsin.pipeline import Pipeline
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> X[:10] += 20
    >>> y = (np.arange(200) < 10).astype(int)
    >>> hold_out(X, y, Pipeline("neighbours"), "clean")[0].ranking.roc_auc
    1.0
    """
    if protocol not in get_args(Protocol):
        raise ParameterError(f"The protocol is one of {get_args(Protocol)}; got {protocol!r}.")
    check_normal(y)
    if protocol == "supervised" and not y.any():
        raise InputError("supervised learns from labelled anomalies; all items are normal.")
    items = data if isinstance(data, Items) else find_items(data, pipeline)
    pipeline.set_params(**items.settings)
    start = time.perf_counter()
    if protocol == "clean":
        split = split or items.split
        train, tested = items.parts(y, split, pipeline.seed, train_items)
        _state_training(pipeline, "clean").fit(items.take(train))
        detection = pipeline.detect(items.take(tested), explain=False)
    else:
        split, labels, tested = None, y if protocol == "supervised" else None, np.arange(len(y))
        _state_training(pipeline, "mixed" if protocol == "mixed" else "guess")
        detection = pipeline.fit_detect(items.take(tested), labels=labels, explain=False)
    detection = items.pick(detection, tested)
    seconds, known = time.perf_counter() - start, detection.labels(y[tested])
    about = {"protocol": protocol, "seconds": seconds, "split": split}
    return items.measure(pipeline, detection, known, **about), detection, known


def measure_trained(
    data: Any, y: IntArray, pipeline: BasePipeline
) -> tuple[Result | SeriesResult, Detection, IntArray]:
    """Score items with a trained pipeline; return measures, detection, and labels of its items.

    ``data``: as the pipeline takes them, or ``Items``. Raises as the pipeline does.
    """
    items = data if isinstance(data, Items) else find_items(data, pipeline)
    every = np.arange(len(items))
    detection = items.pick(pipeline.detect(items.take(every), explain=False), every)
    known = detection.labels(y)
    return items.measure(pipeline, detection, known, protocol="trained model"), detection, known


def _state_training(pipeline: BasePipeline, training: str) -> BasePipeline:
    """State what is known of the training items, if the pipeline can be given that."""
    if "training" in pipeline.parameter_names():
        pipeline.set_params(training=training)
    return pipeline
