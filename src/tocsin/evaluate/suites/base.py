"""What the benchmark suites of all modalities share: the loop, failures, and means."""

from __future__ import annotations

import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
from sklearn.base import clone

from tocsin import decide, registry
from tocsin.base import Detector
from tocsin.errors import MissingExtra, ParameterError, UnknownName
from tocsin.evaluate.threads import limited_threads
from tocsin.types import Decision, FloatArray

if TYPE_CHECKING:
    from rich.console import Console

Task = TypeVar("Task")
Row = dict[str, Any]
"""What was measured of one detector on one task; None where it failed, the reason in "error"."""

BUDGET = 0.01
"""The share of normal items that may be flagged, which the threshold of F1 follows from."""


class Column(NamedTuple):
    """How the mean of a measure is printed: under which heading, times what, how many decimals."""

    heading: str
    factor: float = 100.0
    decimals: int = 1


class Suite(ABC, Generic[Task]):
    """Measures detectors on the tasks that a folder of labelled sets holds.

    ``measures``: the keys of what is measured. ``columns``: those that are printed. ``by``: what
    means are printed for besides set and detector; empty for means over all sets.
    """

    modality: ClassVar[str]
    title: ClassVar[str]
    measures: ClassVar[tuple[str, ...]]
    columns: ClassVar[Mapping[str, Column]]
    by: ClassVar[str] = ""

    parameters: Mapping[str, Any] = {}
    """Given to each detector that has a parameter of the name."""

    @abstractmethod
    def tasks(self) -> Iterator[Task]:
        """Yield what is measured, each read when its turn comes; raises for the folder."""

    @abstractmethod
    def describe(self, task: Task) -> Row:
        """Return the keys of a row that identify its task."""

    @abstractmethod
    def measure(self, task: Task, detector: str | Detector) -> Row:
        """Return what a detector reached on a task; an exception becomes its error."""

    def run(
        self,
        detectors: Sequence[str | Detector] = ("auto",),
        progress: Callable[[Row], None] | None = None,
        threads: int = 1,
    ) -> list[Row]:
        """Measure detectors, by name or as they are, on every task; return a row for each.

        A detector that fails has None for its measures and the reason in ``error``. ``progress``
        is called with each row when it is done. Raises UnknownName, MissingExtra and
        ParameterError for what cannot be asked for, and as ``tasks`` does.
        """
        self._check(detectors)
        rows = []
        with limited_threads(threads):
            for task in self.tasks():
                for detector in detectors:
                    name = detector if isinstance(detector, str) else detector.card.name
                    row = {**self.describe(task), "detector": name}
                    rows.append(row | self._measure_safely(task, detector))
                    if progress is not None:
                        progress(rows[-1])
        return rows

    def print(self, rows: Sequence[Row], console: Console) -> None:
        """Print means over runs per detector, by ``by`` and set, and the failures."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        frame = pd.DataFrame(rows).astype(dict.fromkeys(self.columns, float))
        table = Table(
            title=self.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        for heading in (*((self.by, "set") if self.by else ()), "detector"):
            table.add_column(heading, overflow="fold")
        for heading in (*(column.heading for column in self.columns.values()), "runs"):
            table.add_column(Text(heading.replace(" ", "\n")), justify="right", no_wrap=True)
        for group, same in self._groups(frame):
            for detector, own in same.groupby("detector", sort=False):
                means = (_mean(own[key], column) for key, column in self.columns.items())
                table.add_row(*group, str(detector), *means, _runs(own["error"]))
        console.print(table)
        for row in filter(lambda row: row["error"], rows):
            where = self.locate(row)
            console.print(f"{row['detector']} failed on {where}: {row['error']}", markup=False)

    def locate(self, row: Row) -> str:
        """Return the words that identify the task of a row."""
        places = [row["dataset"], *([row[self.by]] if self.by else [])]
        return ", ".join([*map(str, places), *([f"seed {row['seed']}"] if "seed" in row else [])])

    def create(self, detector: str | Detector, **offered: Any) -> Detector:
        """Return a new detector; it takes those of the parameters offered that it has."""
        if isinstance(detector, str):
            made: Detector = registry.create(detector, self.modality)
        else:
            made = clone(detector)
        known, given = made.parameter_names(), {**offered, **self.parameters}
        made.set_params(**{key: value for key, value in given.items() if key in known})
        return made

    def _groups(self, frame: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
        """Yield the first cells of lines of the table, and the rows that their means are over."""
        if not self.by:
            yield (), frame
            return
        for value, same in frame.groupby(self.by, sort=False):
            sets = list(same.groupby("dataset", sort=False))
            for dataset, group in [*sets, *([("all", same)] if len(sets) > 1 else [])]:
                yield (str(value), str(dataset)), group

    def _measure_safely(self, task: Task, detector: str | Detector) -> Row:
        row: Row = dict.fromkeys((*self.measures, "error"))
        try:
            with quiet():
                return row | self.measure(task, detector)
        except (MissingExtra, UnknownName):
            raise
        except Exception as error:  # noqa: BLE001 - a detector's failure is its result here
            return row | {"error": f"{type(error).__name__}: {error}"}

    def _check(self, detectors: Sequence[str | Detector]) -> None:
        if not detectors:
            raise ParameterError("Give at least one detector to measure.")
        known: set[str] = set()
        for detector in detectors:
            kind = registry.find(detector, self.modality) if isinstance(detector, str) else detector
            known |= set(kind.parameter_names())
        if unknown := sorted(set(self.parameters) - known):
            raise ParameterError(
                f"No detector here has a parameter {', '.join(unknown)}; they have: "
                f"{', '.join(sorted(known)) or 'none'}."
            )


class Stopwatch:
    """Seconds between the laps of a measurement."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last lap, or since the start."""
        now = time.perf_counter()
        passed, self._last = now - self._last, now
        return passed


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings, which would hide the rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise ParameterError without a seed."""
    if not seeds:
        raise ParameterError("Give at least one seed.")


def decide_by(normal: FloatArray, scores: FloatArray, method: str = "conformal") -> Decision:
    """Return which scores (n,) are anomalies at the budget, by those of normal items (m,)."""
    return decide.decide(decide.create(method).fit(normal), scores, BUDGET)


def _mean(values: pd.Series[float], column: Column) -> str:
    mean = values.mean()
    return "–" if np.isnan(mean) else f"{column.factor * mean:,.{column.decimals}f}"


def _runs(errors: pd.Series[Any]) -> str:
    finished = int(errors.isna().sum())
    return str(len(errors)) if finished == len(errors) else f"{finished} of {len(errors)}"
