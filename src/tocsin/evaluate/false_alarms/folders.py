"""Normal data and later recordings in folders, for detectors of any modality.

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

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from tocsin.errors import InputError
from tocsin.evaluate.false_alarms.later import TimeSplit
from tocsin.readers.table import read_table
from tocsin.types import IntArray

_LABEL, _MORE_LABELS = "label", ("kind", "scenario")
_LEARNED, _LEFT_OUT = 0.55, 0.10


def read_time_splits(
    data: Path, most_rows: int | None = None, only: Collection[str] | None = None
) -> Iterator[TimeSplit]:
    """Return the sets of a folder by name, or those named by ``only``, each read when used.

    Of more than ``most_rows`` rows to learn from, the last are taken, and of every later
    recording the first. Raises InputError when there is none, UnreadableFile for a file.
    """
    folders = sorted(path for path in Path(data).iterdir() if path.is_dir() and _has_data(path))
    if not folders:
        raise InputError(
            f"{data} holds no sets with later data; expected folders with train_normal.csv and "
            "test.csv, with train/good and test/good, or with one labelled file."
        )
    chosen = [folder for folder in folders if only is None or folder.name in only]
    if not chosen:
        there = ", ".join(folder.name for folder in folders)
        raise InputError(f"{data} has no set {', '.join(only or ())}; it has: {there}.")
    return (_read(folder, most_rows) for folder in chosen)


def _has_data(folder: Path) -> bool:
    return any(folder.glob("*.csv")) or (folder / "train" / "good").is_dir()


def _read(folder: Path, most_rows: int | None) -> TimeSplit:
    named = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    known = named.get("train_normal") or named.get("train")
    normal: list[bool] = []
    if (folder / "train" / "good").is_dir():
        train = _read_together(folder / "train" / "good")
        later = [
            (_read_together(part), int(part.name != "good"))
            for part in sorted((folder / "test").iterdir())
        ]
        pairs = [(frame, np.full(len(frame), label)) for frame, label in later]
    elif known is not None:
        train = _split_labels(read_table(known))[0]
        tests = {name: path for name, path in named.items() if name.startswith("test")}
        pairs = [_split_labels(read_table(path)) for path in tests.values()]
        normal = [name == "test_normal" for name in tests]
    elif len(named) == 1:
        train, pairs = _cut_in_time(*_split_labels(read_table(next(iter(named.values())))))
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


def _read_together(folder: Path) -> pd.DataFrame:
    return pd.concat([read_table(path) for path in sorted(folder.glob("*.csv"))], ignore_index=True)


def _split_labels(frame: pd.DataFrame) -> tuple[pd.DataFrame, IntArray]:
    """Return a table without the columns of labels, and its labels (n,), 0 if there are none."""
    labels = np.zeros(len(frame), dtype=np.int64)
    if _LABEL in frame:
        labels = frame[_LABEL].to_numpy().astype(np.int64)
    return frame.drop(columns=[_LABEL, *_MORE_LABELS], errors="ignore"), labels


def _cut_in_time(
    frame: pd.DataFrame, labels: IntArray
) -> tuple[pd.DataFrame, list[tuple[pd.DataFrame, IntArray]]]:
    learned, measured = (round(share * len(frame)) for share in (_LEARNED, _LEARNED + _LEFT_OUT))
    train = frame[:learned][labels[:learned] == 0]
    return train, [(frame[measured:].reset_index(drop=True), labels[measured:])]
