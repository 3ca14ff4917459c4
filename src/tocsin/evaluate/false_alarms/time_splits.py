"""Promised against measured false alarms on later normal data, detectors of any modality.

A folder holds one set per folder, each with normal data in the order of time to learn from, and
later data to measure on:

- ``train_normal.csv`` or ``train.csv``, or the files of ``train/good``, one after the other;
- ``test_normal.csv`` and ``test.csv``, where they are, and every ``test_NAME.csv``; a column
  ``label`` marks faults (1) and normal data (0), without one a file is normal; where there is a
  ``test_normal.csv``, false alarms are counted on it alone;
- or the files of ``test/good``, normal, and of every other folder ``test/NAME``, faults;
- or one file with labels, in the order of time: the normal items of its first 55 % are learned
  from, the next 10 % are left out, and the rest is measured on.

Columns that the training data does not have are left out, and so are ``kind`` and ``scenario``,
which name faults.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from tocsin import registry
from tocsin.errors import InputError
from tocsin.evaluate.threads import limited_threads
from tocsin.pipeline import BasePipeline
from tocsin.readers.table import read_table
from tocsin.types import FloatArray, IntArray, Scores

if TYPE_CHECKING:
    from rich.console import Console

Row = dict[str, Any]

INSIDE = {0.01: (0.0, 0.02), 0.05: (0.01, 0.08)}
"""Where the measured rate of a promise is taken as kept; of another one up to twice as much."""

MEASURED = ("normals", "rate", "inside", "independent", "roc_auc", "recall", "error")
"""The keys of a row that a detector that fails has None for, but "error"."""

_LABEL, _MORE_LABELS = "label", ("kind", "scenario")
_LEARNED, _LEFT_OUT = 0.55, 0.10


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Normal data to learn from, and later recordings, each with its labels (n,).

    ``counted``: on which of the recordings false alarms are counted.
    """

    name: str
    train: pd.DataFrame
    later: tuple[tuple[pd.DataFrame, IntArray], ...]
    counted: tuple[bool, ...]


def read_time_splits(data: Path, most_rows: int | None = None) -> Iterator[TimeSplit]:
    """Return the sets of a folder by name, each read when its turn comes.

    Of more than ``most_rows`` rows to learn from, the last are taken, and of every later
    recording the first. Raises InputError when there is none, UnreadableFile for a file.
    """
    folders = sorted(path for path in Path(data).iterdir() if path.is_dir() and _files(path))
    if not folders:
        raise InputError(
            f"{data} holds no sets with later data; expected folders with train_normal.csv and "
            "test.csv, with train/good and test/good, or with one labelled file."
        )
    return (_read(folder, most_rows) for folder in folders)


def run_time_splits(
    data: Path,
    budgets: Sequence[float] = (0.01, 0.05),
    detectors: Sequence[str] = ("auto",),
    *,
    modality: str = "tables",
    settings: Mapping[str, Any] | None = None,
    only: Sequence[str] | None = None,
    most_rows: int | None = None,
    seed: int = 0,
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
) -> list[Row]:
    """Measure which share of later normal items is flagged, against what was promised.

    Returns a row per set, detector and budget: ``normals``, ``rate``, ``inside``, whether the rate
    lies within ``INSIDE``, ``independent`` calibration items, and where there are faults
    ``roc_auc`` and ``recall``, the share of them found at the threshold that 1 % of the later
    normal items exceed. A detector that fails has None there and the reason in ``error``.
    ``settings`` are those of the modality's pipeline. Raises as ``read_time_splits`` does, and
    UnknownName.
    """
    for name in detectors:
        registry.find(name, modality)
    kind: type[BasePipeline] = registry.of_modality("pipeline", modality)
    given = {"seed": seed, "training": "clean"}
    given = {name: given[name] for name in given if name in kind.parameter_names()}
    rows = []
    with limited_threads(threads):
        for split in read_time_splits(data, most_rows):
            if only is not None and split.name not in only:
                continue
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
        rates = [_marked(by_budget.loc[budget]) for budget in budgets]
        first = own.iloc[0]
        shares = [_share(first[name]) for name in ("roc_auc", "recall")]
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


def _files(folder: Path) -> bool:
    return any(folder.glob("*.csv")) or (folder / "train" / "good").is_dir()


def _read(folder: Path, most_rows: int | None) -> TimeSplit:
    named = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    known = named.get("train_normal") or named.get("train")
    normal: list[bool] = []
    if (folder / "train" / "good").is_dir():
        train = _joined(folder / "train" / "good")
        later = [
            (_joined(part), int(part.name != "good"))
            for part in sorted((folder / "test").iterdir())
        ]
        pairs = [(frame, np.full(len(frame), label)) for frame, label in later]
    elif known is not None:
        train = _labelled(read_table(known))[0]
        tests = {name: path for name, path in named.items() if name.startswith("test")}
        pairs = [_labelled(read_table(path)) for path in tests.values()]
        normal = [name == "test_normal" for name in tests]
    elif len(named) == 1:
        train, pairs = _cut(*_labelled(read_table(next(iter(named.values())))))
    else:
        raise InputError(f"{folder} holds neither train_normal.csv nor one labelled file.")
    rows = slice(None) if most_rows is None else slice(-most_rows, None)
    first = slice(None, most_rows)
    return TimeSplit(
        folder.name,
        train[rows].reset_index(drop=True),
        tuple((frame.reindex(columns=train.columns)[first], y[first]) for frame, y in pairs),
        tuple(normal if any(normal) else [True] * len(pairs)),
    )


def _joined(folder: Path) -> pd.DataFrame:
    return pd.concat([read_table(path) for path in sorted(folder.glob("*.csv"))], ignore_index=True)


def _labelled(frame: pd.DataFrame) -> tuple[pd.DataFrame, IntArray]:
    """Return a table without the columns of labels, and its labels (n,), 0 if there are none."""
    labels = np.zeros(len(frame), dtype=np.int64)
    if _LABEL in frame:
        labels = frame[_LABEL].to_numpy().astype(np.int64)
    return frame.drop(columns=[_LABEL, *_MORE_LABELS], errors="ignore"), labels


def _cut(
    frame: pd.DataFrame, labels: IntArray
) -> tuple[pd.DataFrame, list[tuple[pd.DataFrame, IntArray]]]:
    learned, measured = (round(share * len(frame)) for share in (_LEARNED, _LEARNED + _LEFT_OUT))
    train = frame[:learned][labels[:learned] == 0]
    return train, [(frame[measured:].reset_index(drop=True), labels[measured:])]


def _measure(pipeline: BasePipeline, split: TimeSplit, budgets: Sequence[float]) -> list[Row]:
    empty = dict.fromkeys(MEASURED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _detected(pipeline, split)
    except Exception as error:  # noqa: BLE001 - a detector's failure is its result here
        reason = f"{type(error).__name__}: {error}"
        return [empty | {"budget": budget, "inside": False, "error": reason} for budget in budgets]
    values = np.concatenate([scores.values for scores, _ in found])
    labels = np.concatenate([labels for _, labels in found])
    counted = np.repeat(split.counted, [len(each) for _, each in found]) & (labels == 0)
    shared = empty | {
        "normals": int(counted.sum()),
        "independent": pipeline.calibration_.independent_,
        **_ranked(values, labels),
    }
    rows = []
    for budget in budgets:
        pipeline.set_params(false_alarms=budget)
        flagged = np.concatenate([pipeline.decide(scores).is_anomaly for scores, _ in found])
        rate, (low, high) = float(flagged[counted].mean()), limits(budget)
        rows.append(shared | {"budget": budget, "rate": rate, "inside": low <= rate <= high})
    return rows


def _detected(pipeline: Any, split: TimeSplit) -> list[tuple[Scores, IntArray]]:
    """Return the scores of each later recording, with the label of each item scored."""
    pipeline.fit(split.train)
    found = []
    for frame, labels in split.later:
        detection = pipeline.detect(frame, explain=False)
        there = detection.rows >= 0
        scores = Scores(detection.scores.values[there])
        found.append((scores, labels[detection.rows[there]]))
    return found


def _ranked(values: FloatArray, labels: IntArray) -> Row:
    """Return ROC AUC, and the recall at the threshold that 1 % of the normal items exceed."""
    if not 0 < labels.sum() < len(labels):
        return {}
    threshold = np.quantile(values[labels == 0], 0.99)
    recall = float((values[labels == 1] > threshold).mean())
    return {"roc_auc": float(roc_auc_score(labels, values)), "recall": recall}


def _marked(row: Any) -> str:
    if row["rate"] is None or pd.isna(row["rate"]):
        return "failed"
    return f"{row['rate']:.1%}" + ("" if row["inside"] else " !")


def _share(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{100 * value:.1f}"
