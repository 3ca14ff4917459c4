"""The benchmark of table detectors: the protocols of the field, through the Pipeline.

A folder holds one set a file. ``NAME.npz`` with ``X`` (n, d) and ``y`` (n,), 1 = anomaly,
is split here; ``NAME.npz`` with ``train`` (normal rows only), ``test`` and ``labels`` (of
test) comes as split, and fits the clean protocol only.

- clean: train on a random half of the normal rows, test on the other half and all anomalies.
- mixed: fit on all rows, unlabelled, and rank them by their leave-one-out scores.

Sets above 10,000 rows are cut to 10,000, stratified, keeping at least 20 anomalies.
"""

from __future__ import annotations

import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom

from tocsin import registry
from tocsin.base import check_labels
from tocsin.errors import InputError, MissingExtra, ParameterError, UnknownName, UnreadableFile
from tocsin.evaluate.compare import compare, print_comparison
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.threads import limited_threads
from tocsin.pipeline import Pipeline
from tocsin.types import FloatArray, IntArray, Scores

if TYPE_CHECKING:
    from rich.console import Console

Protocol = Literal["clean", "mixed"]
Row = dict[str, Any]

MOST_ROWS = 10_000
LEAST_ANOMALIES = 20


@dataclass(frozen=True, slots=True)
class TableSet:
    """A labelled set: rows X (n, d), labels y (n,), and training rows where it comes as split."""

    name: str
    X: FloatArray
    y: IntArray
    train: FloatArray | None = None

    def split(self, protocol: Protocol, seed: int) -> tuple[FloatArray, FloatArray, IntArray]:
        """Return training rows, test rows and the labels of the test rows.

        Raises InputError where the set does not fit the protocol.
        """
        if self.train is not None:
            if protocol == "mixed":
                raise InputError(f"{self.name} comes split, with clean training rows; use clean.")
            return self.train, self.X, self.y
        rows = cut(self.y, seed)
        X, y = self.X[rows], self.y[rows]
        if protocol == "mixed":
            return X, X, y
        normal = np.random.default_rng(seed).permutation(np.flatnonzero(y == 0))
        half = len(normal) // 2
        tested = np.sort(np.concatenate([normal[half:], np.flatnonzero(y == 1)]))
        return X[np.sort(normal[:half])], X[tested], y[tested]

    def normal(self, train_share: float, seed: int) -> tuple[FloatArray, FloatArray]:
        """Return normal rows to train on and normal rows that training has not seen."""
        if self.train is not None:
            return self.train, self.X[self.y == 0]
        rows = cut(self.y, seed)
        normal = np.random.default_rng(seed).permutation(rows[self.y[rows] == 0])
        count = round(train_share * len(normal))
        return self.X[normal[:count]], self.X[normal[count:]]


def cut(y: IntArray, seed: int, most: int = MOST_ROWS) -> IntArray:
    """Return at most ``most`` positions of y (n,), stratified, with at least 20 anomalies.

    >>> y = np.repeat([0, 1], [30_000, 30])
    >>> kept = cut(y, seed=0)
    >>> len(kept), int(y[kept].sum())
    (10000, 20)
    """
    if len(y) <= most:
        return np.arange(len(y))
    normal, anomalous = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    wanted = max(LEAST_ANOMALIES, round(most * len(anomalous) / len(y)))
    wanted = min(wanted, len(anomalous))
    rng = np.random.default_rng(seed)
    kept = [
        rng.choice(anomalous, wanted, replace=False),
        rng.choice(normal, min(most - wanted, len(normal)), replace=False),
    ]
    return np.sort(np.concatenate(kept))


def read_sets(data: Path) -> Iterator[TableSet]:
    """Return the sets of a folder by name, each read when its turn comes.

    Raises InputError when there is none, UnreadableFile naming a file that is not a set.
    """
    paths = sorted(Path(data).glob("*.npz"), key=lambda path: path.name.lower())
    if not paths:
        raise InputError(f"{data} holds no sets; expected a folder of NAME.npz files.")
    for path in paths:
        _read_set(path)  # so that hours of work do not end at an unreadable file
    return map(_read_set, paths)


def run_tables(
    data: Path,
    protocol: Protocol = "clean",
    seeds: Sequence[int] = (0,),
    detectors: Sequence[str] = ("auto",),
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
    only: Collection[str] | None = None,
) -> list[Row]:
    """Measure detectors, each inside a Pipeline, on every set of a folder.

    Returns a row per set, seed and detector: ``dataset``, ``protocol``, ``seed``,
    ``detector``, ``roc``, ``pr`` (fractions), ``fit_seconds``, ``score_seconds``, on one
    thread unless told otherwise. In mixed, fitting already scores the rows, so
    ``score_seconds`` is 0. A detector that fails has None there and the reason in
    ``error``. ``progress`` is called with each row when it is done. ``only`` these sets are
    measured, if given.

    Raises UnknownName, MissingExtra and ParameterError for what cannot be asked for,
    InputError and UnreadableFile for the folder.
    """
    if protocol not in ("clean", "mixed"):
        raise ParameterError(f'The protocol is "clean" or "mixed"; got "{protocol}".')
    _check_asked(detectors, seeds)
    rows = []
    with limited_threads(threads):
        for table in read_sets(data):
            if only is not None and table.name not in only:
                continue
            for seed in seeds:
                train, test, y = table.split(protocol, seed)
                for name in detectors:
                    row = {"dataset": table.name, "protocol": protocol, "seed": seed}
                    row |= {"detector": name, **_measure(name, protocol, seed, train, test, y)}
                    rows.append(row)
                    if progress is not None:
                        progress(row)
    return rows


def run_false_alarms(
    data: Path,
    budgets: Sequence[float] = (0.01, 0.05),
    seeds: Sequence[int] = (0,),
    detectors: Sequence[str] = ("auto",),
    train_share: float = 0.8,
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
) -> list[Row]:
    """Measure how many unseen normal rows ring, against the budget that was set.

    Trains on a share of the normal rows (or as the set comes split) and decides on the
    others. Returns a row per set, seed, detector and budget: ``normals`` unseen, ``alarms``,
    ``rate``, the binomial 95 % band of the count as ``low`` and ``high``, and ``within``.
    Raises as ``run_tables`` does.
    """
    _check_asked(detectors, seeds)
    rows = []
    with limited_threads(threads):
        for table in read_sets(data):
            for seed in seeds:
                train, unseen = table.normal(train_share, seed)
                for name in detectors:
                    pipeline = Pipeline(name, training="clean", seed=seed)
                    with _quiet():
                        scores = pipeline.fit(train).score(unseen)
                    for budget in budgets:
                        row = {"dataset": table.name, "seed": seed, "detector": name}
                        row |= {"budget": budget, **_alarms(pipeline, scores, budget)}
                        rows.append(row)
                        if progress is not None:
                            progress(row)
    return rows


def summarise_false_alarms(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return, per detector and budget, the mean rate and the share of runs within the band."""
    frame = pd.DataFrame([dict(row) for row in rows])
    grouped = frame.groupby(["detector", "budget"], sort=False)
    summary = grouped.agg(runs=("within", "size"), rate=("rate", "mean"), within=("within", "mean"))
    return [
        {str(key): value for key, value in row.items()}
        for row in summary.reset_index().to_dict(orient="records")
    ]


def print_tables(rows: Sequence[Row], console: Console) -> None:
    """Print means per detector, failures, and the comparison with the first detector."""
    from rich.table import Table

    frame = pd.DataFrame(rows)
    table = Table(title=f"{rows[0]['protocol']}: means over sets and seeds", title_justify="left")
    table.add_column("detector")
    for name in ("ROC", "PR", "fit s", "score s", "runs", "failed"):
        table.add_column(name, justify="right")
    for detector, own in frame.groupby("detector", sort=False):
        mean = own[["roc", "pr", "fit_seconds", "score_seconds"]].astype(float).mean()
        table.add_row(
            str(detector),
            f"{100 * mean.roc:.1f}",
            f"{100 * mean.pr:.1f}",
            f"{mean.fit_seconds:.3f}",
            f"{mean.score_seconds:.3f}",
            str(len(own)),
            str(int(own["roc"].isna().sum())),
        )
    console.print(table)
    for row in rows:
        if row["error"]:
            console.print(
                f"{row['detector']} failed on {row['dataset']}: {row['error']}", markup=False
            )
    if frame["detector"].nunique() > 1:
        try:
            for metric in ("roc", "pr"):
                print_comparison(compare(rows, metric), console)
        except InputError as error:
            console.print(str(error), markup=False)


def print_false_alarms(rows: Sequence[Row], console: Console) -> None:
    """Print how false alarms kept to their budgets, and the runs that left the band."""
    from rich.table import Table

    table = Table(title="False alarms on unseen normal rows", title_justify="left")
    table.add_column("detector")
    for name in ("budget", "mean rate", "runs", "within the 95 % band"):
        table.add_column(name, justify="right")
    for entry in summarise_false_alarms(rows):
        shares = [f"{entry[name]:.2%}" for name in ("budget", "rate")]
        table.add_row(entry["detector"], *shares, str(entry["runs"]), f"{entry['within']:.0%}")
    console.print(table)
    for row in rows:
        if not row["within"]:
            console.print(
                f"{row['detector']}, {row['dataset']}, seed {row['seed']}: {row['alarms']} of "
                f"{row['normals']} rang at {row['budget']:.0%}; the band is "
                f"{row['low']} to {row['high']}."
            )


def _measure(
    name: str, protocol: Protocol, seed: int, train: FloatArray, test: FloatArray, y: IntArray
) -> Row:
    row: Row = dict.fromkeys(("roc", "pr", "fit_seconds", "score_seconds", "error"))
    pipeline = Pipeline(name, training=protocol, seed=seed)
    try:
        with _quiet():
            start = time.perf_counter()
            if protocol == "mixed":
                scores = pipeline.fit_detect(train, explain=False).scores
                fitted = scored = time.perf_counter()
            else:
                pipeline.fit(train)
                fitted = time.perf_counter()
                scores = pipeline.score(test)
                scored = time.perf_counter()
        measured = ranking(y, scores)
    except (MissingExtra, UnknownName):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a detector dies of is its result here
        return row | {"error": f"{type(error).__name__}: {error}"}
    row |= {"roc": measured.roc_auc, "pr": measured.average_precision}
    return row | {"fit_seconds": fitted - start, "score_seconds": scored - fitted}


def _alarms(pipeline: Pipeline, scores: Scores, budget: float) -> Row:
    decision = pipeline.set_params(false_alarms=budget).decide(scores)
    count, alarms = len(scores), int(decision.is_anomaly.sum())
    low, high = (int(edge) for edge in binom.interval(0.95, count, budget))
    return {
        "normals": count,
        "alarms": alarms,
        "rate": alarms / count,
        "low": low,
        "high": high,
        "within": low <= alarms <= high,
    }


def _read_set(path: Path) -> TableSet:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableFile(f"{path} is not a readable .npz file: {error}") from error
    split = {"train", "test", "labels"} <= set(arrays)
    if not split and not {"X", "y"} <= set(arrays):
        raise UnreadableFile(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected X and y, or train, test "
            "and labels."
        )
    try:
        if split:
            X, train = _matrix(arrays["test"]), _matrix(arrays["train"])
            return TableSet(path.stem, X, check_labels(arrays["labels"], len(X)), train)
        X = _matrix(arrays["X"])
        return TableSet(path.stem, X, check_labels(arrays["y"], len(X)))
    except ValueError as error:
        raise UnreadableFile(f"{path} cannot be used: {error}") from error


def _matrix(array: NDArray[Any]) -> FloatArray:
    matrix = np.asarray(array, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(f"Rows are a matrix (n, d), neither 0; got shape {matrix.shape}.")
    return matrix


def _check_asked(detectors: Sequence[str], seeds: Sequence[int]) -> None:
    if not detectors or not seeds:
        raise ParameterError("Give at least one detector and one seed to measure.")
    for name in detectors:
        registry.find(name)


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
