"""What benchmarks of items share: a task, its measurement, and the printing of means."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin import decide, registry
from tocsin.base import Detector
from tocsin.errors import MissingExtra, ParameterError, UnreadableFile
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.threads import limited_threads
from tocsin.types import Decision, FloatArray, IntArray

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]

BUDGET = 0.01
"""The share of normal items that may ring, which the threshold of F1 follows from."""


@dataclass(frozen=True, slots=True)
class Task:
    """Items X (n,) to learn from, perhaps with labels y (n,), and items to be judged.

    ``test`` and ``labels`` (m,), 1 = anomaly: what is judged, X itself where ``test`` is None.
    ``training``: what detectors that can be told so are told about X; "guess" says nothing.
    """

    dataset: str
    protocol: str
    seed: int
    X: NDArray[np.object_]
    labels: IntArray
    test: NDArray[np.object_] | None = None
    y: IntArray | None = None
    training: Literal["guess", "clean", "mixed"] = "guess"


def run_tasks(
    tasks: Iterable[Task],
    modality: str,
    detectors: Sequence[str],
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
    parameters: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Measure detectors, by name, on every task; each gets those ``parameters`` that it has.

    Returns a row per task and detector: ``dataset``, ``protocol``, ``seed``, ``detector``,
    ``roc``, ``pr``, ``f1`` (fractions), ``threshold`` and ``items_per_second`` when scoring,
    which in unlabelled training is part of fitting. The threshold knows no labels: it is the
    one that the detector found in unlabelled training, or that of a false-alarm budget of
    1 % by the training scores. A detector that fails has None there and the reason in
    ``error``. ``progress`` is called with each row when it is done.

    Raises UnknownName, MissingExtra and ParameterError for what cannot be asked for.
    """
    given = check_detectors(modality, detectors, parameters)
    rows = []
    with limited_threads(threads):
        for task in tasks:
            for name in detectors:
                row = {"dataset": task.dataset, "protocol": task.protocol, "seed": task.seed}
                row |= {"detector": name, **_measure(task, modality, name, given)}
                rows.append(row)
                if progress is not None:
                    progress(row)
    return rows


def check_detectors(
    modality: str, detectors: Sequence[str], parameters: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the parameters, of which each is one of some detector's.

    Raises UnknownName, and ParameterError without a detector or for a parameter of none.
    """
    if not detectors:
        raise ParameterError("Give at least one detector to measure.")
    given = dict(parameters or {})
    unknown = set(given)
    for name in detectors:
        unknown -= set(registry.find(name, modality).parameter_names())
    if unknown:
        raise ParameterError(f"No detector here has a parameter {', '.join(sorted(unknown))}.")
    return given


def check_asked(asked: Sequence[str], known: Sequence[str], seeds: Sequence[int]) -> None:
    """Raise ParameterError without a seed, or for a protocol that is not known."""
    unknown = sorted(set(asked) - set(known))
    if unknown or not asked:
        raise ParameterError(
            f"The protocols are {', '.join(known)}; got {', '.join(unknown) or 'none'}."
        )
    if not seeds:
        raise ParameterError("Give at least one seed.")


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


def created(modality: str, name: str, told: Mapping[str, Any]) -> Detector:
    """Return a new detector with those of the parameters that it has."""
    detector: Detector = registry.create(name, modality)
    known = detector.parameter_names()
    detector.set_params(**{key: told[key] for key in told if key in known})
    return detector


def decided(normal: FloatArray, scores: FloatArray, method: str = "conformal") -> Decision:
    """Return which scores (n,) are anomalies at the budget, by those of normal items (m,)."""
    return decide.decide(decide.create(method).fit(normal), scores, BUDGET)


def print_tasks(rows: Sequence[Row], console: Console) -> None:
    """Print the means over seeds by set and protocol, those over sets, and failures."""
    columns = {"roc": ("ROC", 100.0), "pr": ("PR", 100.0), "f1": ("F1", 100.0)}
    columns["items_per_second"] = ("items/s", 1.0)
    title = "Means; F1 at a threshold that knows no labels"
    print_means(rows, console, "protocol", columns, title)


def print_means(
    rows: Sequence[Row],
    console: Console,
    by: str,
    columns: Mapping[str, tuple[str, float]],
    title: str,
) -> None:
    """Print means over seeds by set, those over sets, and failures, for each value of ``by``.

    ``columns``: the title of each measure and what it is multiplied with.
    """
    from rich import box
    from rich.table import Table

    frame = pd.DataFrame(rows).astype(dict.fromkeys(columns, float))
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in (by, "set", "detector"):
        table.add_column(name, overflow="fold")
    for name in (*(name for name, _ in columns.values()), "runs"):
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for value, same in frame.groupby(by, sort=False):
        sets = list(same.groupby("dataset", sort=False))
        for dataset, group in sets + ([("all", same)] if len(sets) > 1 else []):
            for detector, own in group.groupby("detector", sort=False):
                shown = [_shown(own[key].mean(), unit) for key, (_, unit) in columns.items()]
                ran, runs = int(own["error"].isna().sum()), len(own)
                counted = str(runs) if ran == runs else f"{ran} of {runs}"
                table.add_row(str(value), str(dataset), str(detector), *shown, counted)
    console.print(table)
    for row in rows:
        if row["error"]:
            where = f"{row['dataset']}, {row[by]}, seed {row['seed']}"
            console.print(f"{row['detector']} failed on {where}: {row['error']}", markup=False)


_MEASURED = ("roc", "pr", "f1", "items_per_second")


def _shown(value: float, unit: float = 1.0) -> str:
    return "–" if np.isnan(value) else f"{unit * value:,.{1 if unit > 1 else 0}f}"


def _measure(task: Task, modality: str, name: str, parameters: Mapping[str, Any]) -> Row:
    row: Row = dict.fromkeys((*_MEASURED, "threshold", "error"))
    try:
        told = {"training": task.training, "seed": task.seed, **parameters}
        detector = created(modality, name, told)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            detector.fit(task.X, task.y)
            if task.test is None:
                scores = detector.training_scores_
            else:
                start = time.perf_counter()
                scores = detector.score(task.test).values
            seconds = time.perf_counter() - start
        found, threshold = _decided(task, detector, scores)
        measured = ranking(task.labels, scores)
        f1 = classification(task.labels, found).f1
    except MissingExtra:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a detector dies of is its result here
        return row | {"error": f"{type(error).__name__}: {error}"}
    row |= {
        "roc": measured.roc_auc,
        "pr": measured.average_precision,
        "f1": f1,
        "threshold": threshold,
    }
    return row | {"items_per_second": len(scores) / seconds}


def _decided(task: Task, detector: Detector, scores: FloatArray) -> tuple[NDArray[np.bool_], float]:
    """Return which items are anomalies, and the threshold, found without labels."""
    natural = getattr(detector, "natural_threshold_", None)
    if task.training == "mixed" and natural is not None:
        return scores > natural, float(natural)
    own = detector.training_scores_
    decision = decided(own if task.y is None else own[task.y == 0], scores)
    return decision.is_anomaly, decision.threshold
