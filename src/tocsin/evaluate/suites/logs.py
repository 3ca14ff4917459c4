"""The benchmark of log detectors: sessions of event numbers, and single lines.

A folder holds ``hdfs_sessions`` with ``train_normal.txt`` and ``test_abnormal.txt``, one session of
event numbers per line, and ``labelled.csv`` with the columns ``Sequence`` and
``label``; and ``bgl/BGL_2k.log``, lines whose first field is "-" for normal ones; or one of them.

- hdfs_clean: train on the normal sessions, test on the labelled ones.
- hdfs_1 … hdfs_35: the same, with this percentage of the training sessions drawn from the
  abnormal ones, unlabelled.
- bgl_level, bgl_no_level: train on the normal lines of the first half, test on the second
  half, with the level of each line or without. The first field is never seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tocsin.errors import InputError, UnreadableFile
from tocsin.evaluate.suites.items import ItemSuite, ItemTask, read_labelled
from tocsin.prepare.logs import LogPreparer, PreparedLogs
from tocsin.types import IntArray, SessionArray

SHARES = (1, 5, 10, 20, 35)
HDFS = ("hdfs_clean", *(f"hdfs_{share}" for share in SHARES))
BGL = ("bgl_level", "bgl_no_level")
PROTOCOLS = HDFS + BGL

_HDFS_FOLDER, _BGL_FILE = "hdfs_sessions", "bgl/BGL_2k.log"


@dataclass(frozen=True)
class LogSuite(ItemSuite):
    """Measures detectors on the logs of a folder, by the protocols that its files allow."""

    modality = "logs"
    known_protocols = PROTOCOLS

    def tasks(self) -> Iterator[ItemTask]:
        """Yield the tasks of the logs that are there.

        Raises InputError when there are none, UnreadableFile naming a file that cannot be read.
        """
        hdfs, bgl = Path(self.data) / _HDFS_FOLDER, Path(self.data) / _BGL_FILE
        sessions = [name for name in self.chosen if name in HDFS and hdfs.is_dir()]
        lines = [name for name in self.chosen if name in BGL and bgl.is_file()]
        if not sessions and not lines:
            raise InputError(
                f"{self.data} holds neither {_HDFS_FOLDER} nor {_BGL_FILE}, for these protocols."
            )
        if sessions:
            yield from hdfs_tasks(hdfs, sessions, self.seeds)
        if lines:
            yield from bgl_tasks(bgl, lines, self.seeds)


def hdfs_tasks(folder: Path, protocols: Sequence[str], seeds: Sequence[int]) -> Iterator[ItemTask]:
    """Yield the tasks of a folder of sessions of event numbers.

    Raises UnreadableFile naming a file that cannot be read, InputError for too few sessions.
    """
    normal = _numbers(_read(folder / "train_normal.txt"), folder / "train_normal.txt")
    abnormal = _numbers(_read(folder / "test_abnormal.txt"), folder / "test_abnormal.txt")
    words, labels = read_labelled(folder / "labelled.csv", "Sequence", "label")
    tested = _numbers(words.tolist(), folder / "labelled.csv")
    for protocol in protocols:
        share = 0 if protocol == "hdfs_clean" else int(protocol.removeprefix("hdfs_")) / 100
        count = round(len(normal) * share / (1 - share))
        if count > len(abnormal):
            raise InputError(f"{protocol} needs {count} abnormal sessions; got {len(abnormal)}.")
        for seed in seeds:
            drawn = np.random.default_rng(seed).permutation(len(abnormal))[:count]
            preparer = LogPreparer()
            X = preparer.fit_transform([*normal, *(abnormal[i] for i in drawn)]).sessions
            test = preparer.transform(tested).sessions
            task = ItemTask("hdfs", protocol, seed, X, labels, test)
            yield replace(task, training="mixed" if share else "clean")


def bgl_tasks(path: Path, protocols: Sequence[str], seeds: Sequence[int]) -> Iterator[ItemTask]:
    """Yield the tasks of a file of lines whose first field marks the anomalies.

    Raises UnreadableFile for a file that cannot be read, or in which no line is normal.
    """
    split = [line.partition(" ") for line in _read(path)]
    labels = np.array([alert != "-" for alert, _, _ in split], dtype=np.int64)
    lines = ["- " + rest for _, _, rest in split]
    half = len(lines) // 2
    known = [line for line, label in zip(lines[:half], labels[:half], strict=True) if not label]
    if not known:
        raise UnreadableFile(
            f'{path}: no line of the first half begins with "-", as normal ones do.'
        )
    preparer = LogPreparer(session="line")
    X = preparer.fit_transform(known).sessions
    tested = preparer.transform(lines[half:])
    labels = _of_records(tested, labels[half:])
    for protocol in protocols:
        for seed in seeds:
            bare = protocol == "bgl_no_level"
            train, test = (_without_levels(each) if bare else each for each in (X, tested.sessions))
            yield ItemTask("bgl", protocol, seed, train, labels, test, training="clean")


def _read(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text("utf-8", "replace").split("\n") if line.strip()]
    except OSError as error:
        raise UnreadableFile(f"{path} cannot be read: {error}") from error


def _numbers(lines: Sequence[str], path: Path) -> list[list[int]]:
    try:
        return [[int(word) for word in line.split()] for line in lines]
    except ValueError as error:
        raise UnreadableFile(f"{path} holds more than event numbers: {error}") from error


def _of_records(logs: PreparedLogs, labels: IntArray) -> IntArray:
    """Return the label of each record, which may be of several lines, from that of its first."""
    return labels[[record.number - 1 for record in logs.records]]


def _without_levels(sessions: SessionArray) -> SessionArray:
    bare = np.empty(len(sessions), dtype=object)
    bare[:] = [replace(session, levels=()) for session in sessions]
    return bare
