"""The benchmark of table detectors: the protocols of the field, through the pipeline.

- clean: train on a random half of the normal rows, test on the other half and all anomalies.
- mixed: fit on all rows, unlabelled, and rank them by their leave-one-out scores.

Sets are read as ``evaluate.sets.tables`` describes; those above 10,000 rows are cut to 10,000,
stratified, keeping at least 20 anomalies.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from tocsin.base import Detector
from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.compare import compare, print_comparison
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.sets.tables import Protocol, read_sets
from tocsin.evaluate.suites.base import Column, Row, Stopwatch, Suite, check_seeds
from tocsin.pipeline import Pipeline
from tocsin.types import FloatArray, IntArray

if TYPE_CHECKING:
    from rich.console import Console


class TableTask(NamedTuple):
    """Rows to learn from, rows to be scored, and the labels of these."""

    dataset: str
    seed: int
    train: FloatArray
    test: FloatArray
    y: IntArray


@dataclass(frozen=True)
class TableSuite(Suite[TableTask]):
    """Measures detectors, each inside a pipeline, on every set of a folder, or those in ``only``.

    Measured are ``roc_auc``, ``average_precision`` (fractions), ``fit_seconds`` and
    ``score_seconds``; in mixed, fitting already scores the rows, so ``score_seconds`` is 0.

    Raises ParameterError for an unknown protocol, or without a seed.
    """

    modality: ClassVar[str] = "tables"
    title: ClassVar[str] = "Means over sets and seeds"
    columns: ClassVar[Mapping[str, Column]] = {
        "roc_auc": Column("ROC AUC"),
        "average_precision": Column("average precision"),
        "fit_seconds": Column("fit s", 1.0, 3),
        "score_seconds": Column("score s", 1.0, 3),
    }
    measures: ClassVar[tuple[str, ...]] = tuple(columns)

    data: Path
    protocol: Protocol = "clean"
    seeds: Sequence[int] = (0,)
    only: Collection[str] | None = None

    def __post_init__(self) -> None:
        if self.protocol not in ("clean", "mixed"):
            raise ParameterError(f'The protocol is "clean" or "mixed"; got "{self.protocol}".')
        check_seeds(self.seeds)

    def tasks(self) -> Iterator[TableTask]:
        """Yield every set split by every seed; raises as ``read_sets`` and ``TableSet.split``."""
        for table in read_sets(self.data):
            if self.only is None or table.name in self.only:
                for seed in self.seeds:
                    yield TableTask(table.name, seed, *table.split(self.protocol, seed))

    def describe(self, task: TableTask) -> Row:
        """Return set, protocol and seed."""
        return {"dataset": task.dataset, "protocol": self.protocol, "seed": task.seed}

    def measure(self, task: TableTask, detector: str | Detector) -> Row:
        """Return measures of a new pipeline; see the class."""
        pipeline = Pipeline(detector, training=self.protocol, seed=task.seed)
        watch = Stopwatch()
        if self.protocol == "mixed":
            scores = pipeline.fit_detect(task.train, explain=False).scores
            fit_seconds, score_seconds = watch.lap(), 0.0
        else:
            pipeline.fit(task.train)
            fit_seconds = watch.lap()
            scores = pipeline.score(task.test)
            score_seconds = watch.lap()
        ranks = ranking(task.y, scores)
        return {
            "roc_auc": ranks.roc_auc,
            "average_precision": ranks.average_precision,
            "fit_seconds": fit_seconds,
            "score_seconds": score_seconds,
        }

    def print(self, rows: Sequence[Row], console: Console) -> None:
        """Print means, failures, and the comparison with the first detector."""
        super().print(rows, console)
        if len({row["detector"] for row in rows}) > 1:
            try:
                for metric in ("roc_auc", "average_precision"):
                    print_comparison(compare(rows, metric), console)
            except InputError as error:
                console.print(str(error), markup=False)
