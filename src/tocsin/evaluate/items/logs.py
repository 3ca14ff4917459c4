"""Labelled logs whose sessions can be taken apart: some to learn from, others to be scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from tocsin.errors import InputError
from tocsin.evaluate.items.base import Items
from tocsin.pipeline import BasePipeline
from tocsin.prepare.logs import LogPreparer
from tocsin.readers.item_labels import read_session_labels
from tocsin.readers.lines import RawLine, read_lines
from tocsin.types import Detection, IntArray, Scores


class LogItems(Items):
    """The lines of logs by their sessions, in the order of their first lines.

    ``format``, ``session`` and ``window``: as of ``LogPipeline``; what was found in place of None
    is in ``settings``, so that a pipeline that sees only some of the lines finds the same.

    >>> lines = [RawLine("", i, f"job {i % 2} step {i}") for i in range(1, 5)]
    >>> logs = LogItems(lines, session="(job [0-9])")
    >>> logs.keys, [line.number for line in logs.take(np.array([1]))]
    (['job 1', 'job 0'], [2, 4])
    """

    modality = "logs"
    split = "time"  # neighbours in time are alike: a random half looks better than new logs will

    def __init__(
        self,
        logs: str | Path | Sequence[RawLine],
        *,
        format: str | None = None,
        session: str | None = None,
        window: float | None = None,
    ) -> None:
        super().__init__(logs)
        self._lines = list(read_lines(logs) if isinstance(logs, str | Path) else logs)
        preparer = LogPreparer(format=format, session=session, window=window)
        prepared = preparer.fit_transform(self._lines)
        self.keys = prepared.keys
        self.settings = {
            "format": preparer.format_ if format is None else format,
            "session": preparer.session_ if session is None and window is None else session,
            "window": window,
        }
        self._sessions = prepared.lines
        place = {(record.file, record.number): i for i, record in enumerate(prepared.records)}
        owner, current = [], -1  # lines that begin no record continue the one before
        for line in self._lines:
            current = place.get((line.file, line.number), current)
            owner.append(current)
        self._owner = np.array(owner, dtype=np.int64)

    @classmethod
    def read_by(cls, data: Any, pipeline: BasePipeline) -> Self:
        """Return the sessions by a pipeline's settings; by what it found, if it is trained."""
        settings = {name: getattr(pipeline, name) for name in ("format", "session", "window")}
        if settings["session"] is settings["window"] is None and hasattr(pipeline, "preparer_"):
            settings["session"] = pipeline.preparer_.session_
        return cls(data, **settings)

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, items: IntArray) -> list[RawLine]:
        """Return the lines of some sessions, in their order in the file.

        A line that belongs to several sessions comes with each of them, and brings their keys.
        """
        wanted = np.zeros(len(self._owner) + 1, dtype=np.bool_)  # the last: lines of no record
        for item in items.tolist():
            wanted[self._sessions[item]] = True
        return [line for line, own in zip(self._lines, self._owner, strict=True) if wanted[own]]

    def pick(self, detection: Any, items: IntArray) -> Detection:
        """Return of a LogDetection for ``take(items)``, or of more lines, what it states of these.

        Raises InputError for sessions that are not there when the other lines are missing.
        """
        place = {key: i for i, key in enumerate(detection.keys)}
        keys = [self.keys[item] for item in items.tolist()]
        if missing := [key for key in keys if key not in place]:
            raise InputError(
                f"{len(missing):,} sessions (first: {missing[0]}) change when surrounding lines "
                "are removed: these logs cannot be split. Name what their lines share by session."
            )
        at = np.array([place[key] for key in keys], dtype=np.int64)
        decision = detection.decision
        return Detection(
            Scores(detection.scores.values[at]),
            replace(decision, p_values=decision.p_values[at], is_anomaly=decision.is_anomaly[at]),
            items,
            notes=detection.notes,
        )

    def labels(self, path: str | Path) -> IntArray:
        """Return the labels (sessions,), 1 = anomaly, that a table gives by keys or in order.

        Of two columns the first holds keys: a session's key, a line's number, or ``file:number``,
        the file by its path or its name. Raises as ``read_session_labels`` does.
        """
        return read_session_labels(path, self.keys, self._sessions_by_key())

    def _sessions_by_key(self) -> dict[str, list[int]]:
        """Return the sessions that a key may mean: lines by number, by file, sessions by key."""
        of_record: dict[int, list[int]] = {}
        for session, records in enumerate(self._sessions):
            for record in records.tolist():
                of_record.setdefault(record, []).append(session)
        files = {line.file for line in self._lines}
        found: dict[str, list[int]] = {}
        for line, own in zip(self._lines, self._owner.tolist(), strict=True):
            names = [line.file, Path(line.file).name] if line.file else []
            numbers = [f"{name}:{line.number}" for name in names]
            for key in [*numbers, str(line.number)] if len(files) == 1 else numbers:
                found.setdefault(key, []).extend(of_record.get(own, ()))
        return found | {key: [session] for session, key in enumerate(self.keys)}
