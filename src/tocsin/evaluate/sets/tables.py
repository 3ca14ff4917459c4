"""Labelled tables in a folder, one ``.npz`` file per set, and how they are split.

``NAME.npz`` with ``X`` (n, d) and ``y`` (n,), 1 = anomaly, is split here; ``NAME.npz`` with
``train`` (normal rows only), ``test`` and ``labels`` (of test) comes as split, and fits the clean
protocol only.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tocsin.base import check_labels
from tocsin.errors import InputError, UnreadableFile
from tocsin.types import FloatArray, IntArray

Protocol = Literal["clean", "mixed"]

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
