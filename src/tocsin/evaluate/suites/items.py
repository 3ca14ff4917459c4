"""What the suites of log sessions and of texts share: the task, and how it is measured."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import Detector
from tocsin.base.abilities import FindsThreshold
from tocsin.errors import ParameterError, UnreadableFile
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.suites.base import Column, Row, Stopwatch, Suite, check_seeds, decide_by
from tocsin.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class ItemTask:
    """Items X (n,) to learn from, perhaps with labels y (n,), and items to be scored.

    ``test`` and ``labels`` (m,), 1 = anomaly: what is scored, X itself where ``test`` is None.
    ``training``: what is known of X, for detectors that have this parameter.
    """

    dataset: str
    protocol: str
    seed: int
    X: NDArray[np.object_]
    labels: IntArray
    test: NDArray[np.object_] | None = None
    y: IntArray | None = None
    training: Literal["guess", "clean", "mixed"] = "guess"


@dataclass(frozen=True)
class ItemSuite(Suite[ItemTask]):
    """Measures detectors by several protocols; each gets those ``parameters`` that it has.

    Measured are ``roc_auc``, ``average_precision``, ``f1`` (fractions), ``threshold`` and
    ``items_per_second`` when scoring, which in unlabelled training is part of fitting. The
    threshold is set without labels: it is the one that the detector found in unlabelled training,
    or that of a false-alarm budget of 1 % by the training scores.

    Raises ParameterError for an unknown protocol, or without a seed.
    """

    known_protocols: ClassVar[tuple[str, ...]]
    title: ClassVar[str] = "Means; F1 at a threshold set without labels"
    by: ClassVar[str] = "protocol"
    columns: ClassVar[Mapping[str, Column]] = {
        "roc_auc": Column("ROC AUC"),
        "average_precision": Column("average precision"),
        "f1": Column("F1"),
        "items_per_second": Column("items/s", 1.0, 0),
    }
    measures: ClassVar[tuple[str, ...]] = (*columns, "threshold")

    data: Path
    protocols: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    only: Collection[str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.protocols) - set(self.known_protocols))
        if unknown:
            raise ParameterError(
                f"The protocols are {', '.join(self.known_protocols)}; got {', '.join(unknown)}."
            )
        check_seeds(self.seeds)

    @abstractmethod
    def tasks(self) -> Iterator[ItemTask]:
        """Yield the tasks; see ``Suite.tasks``."""

    @property
    def chosen(self) -> Sequence[str]:
        """The protocols asked for, or all."""
        return self.protocols or self.known_protocols

    def describe(self, task: ItemTask) -> Row:
        """Return set, protocol and seed."""
        return {"dataset": task.dataset, "protocol": task.protocol, "seed": task.seed}

    def measure(self, task: ItemTask, detector: str | Detector) -> Row:
        """Return measures of a new detector; see the class."""
        made = self.create(detector, training=task.training, seed=task.seed)
        watch = Stopwatch()
        made.fit(task.X, task.y)
        if task.test is None:
            scores = made.training_scores_
        else:
            watch.lap()
            scores = made.score(task.test).values
        seconds = watch.lap()
        found, threshold = _decide(task, made, scores)
        ranks = ranking(task.labels, scores)
        return {
            "roc_auc": ranks.roc_auc,
            "average_precision": ranks.average_precision,
            "f1": classification(task.labels, found).f1,
            "items_per_second": len(scores) / seconds,
            "threshold": threshold,
        }


def read_labelled(path: Path, column: str, label: str) -> tuple[NDArray[np.object_], IntArray]:
    """Return the words (n,) of a column of a table, and the labels (n,) of another one.

    Raises UnreadableFile naming what is wrong.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} is not a readable table: {error}") from error
    if not {column, label} <= set(table.columns):
        raise UnreadableFile(
            f"{path} has the columns {', '.join(table.columns)}; expected {column} and {label}."
        )
    if set(table[label]) != {"0", "1"}:
        raise UnreadableFile(f"{path}: {label} must hold 0 (normal) and 1 (anomaly), both of them.")
    return table[column].to_numpy(dtype=object), table[label].to_numpy().astype(np.int64)


def _decide(task: ItemTask, detector: Detector, scores: FloatArray) -> tuple[BoolArray, float]:
    """Return which items are anomalies, and the threshold, found without labels."""
    found = detector.detector_threshold_ if isinstance(detector, FindsThreshold) else None
    if task.training == "mixed" and found is not None:
        return scores > found, float(found)
    own = detector.training_scores_
    decision = decide_by(own if task.y is None else own[task.y == 0], scores)
    return decision.is_anomaly, decision.threshold
