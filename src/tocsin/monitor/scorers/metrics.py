"""Readings of entities, each judged by what its entity did before, exactly as they came."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.explain.metrics import reasons_of
from tocsin.monitor.batches import plain, with_times
from tocsin.monitor.scorers.base import Description, Scorer, sentence
from tocsin.types import Batch, BatchDecision, ReadingArray, Scores
from tocsin.types.metrics import Judged, known_entities, readings

_Memory = tuple[NDArray[Any], ...]


class MetricScorer(Scorer):
    """Scores readings in their order, and remembers a fixed amount of each entity.

    What it remembers is written with every commit, so that a run that was interrupted goes on
    exactly where it stopped. Readings of entities that training did not have score 0.
    """

    modality = "metrics"
    settings: ClassVar[Mapping[str, Any]] = {"time": "time", "entity": "entity"}
    ordered = True
    keeps_context = True
    counts_alarms = True
    quiet = 1_800.0
    learn = 7 * 86_400.0
    refit = 86_400.0

    def __init__(self, pipeline: Any, name: str, context: int = 0) -> None:
        super().__init__(pipeline, name, context)
        self._tracker = pipeline.tracker
        self._names: list[str] = pipeline.preparer_.names_
        self._judged: tuple[Batch, ReadingArray, Judged, _Memory] | None = None
        self._touched: set[int] = set()
        channels = pipeline.preparer_.channels_
        about = zip(channels.names_, channels.readings_, strict=True)
        self.numeric = frozenset(
            name for name, each in about if each["style"] == "plain" and not each["levels"]
        )

    @classmethod
    def training_data(cls, batches: Iterable[Batch]) -> pd.DataFrame:
        """Return the events with their times and entities as columns."""
        return pd.concat([with_times(batch) for batch in batches], ignore_index=True)

    def items(self, batch: Batch) -> ReadingArray:
        """Return the events as readings, in their order; a column that they lack is missing."""
        ready = self.pipeline.preparer_
        frame = batch.frame.reindex(columns=ready.columns_).reset_index(drop=True)
        values = ready.channels_.read(frame, {})
        names = batch.entities if batch.entities is not None else ("",) * len(batch)
        return readings(batch.times, ready.numbers_of(names), values)

    def judge(self, batch: Batch) -> BatchDecision:
        """Return the score and decision of each reading; ``remember`` takes the readings in."""
        given = self.items(batch)
        taken, after = self._tracker.peek(given)
        self._judged = batch, given, taken, after
        scores = Scores(taken.scores)
        return self._decided(scores, self.pipeline.decide(scores))

    def describe(self, batch: Batch, i: int) -> Description:
        """Return the channels that made a reading anomalous and what they did, and its values."""
        given, taken, _ = self._of(batch)
        ready = self.pipeline
        reasons = reasons_of(taken, i, given["values"][i], ready.columns, ready.reasons)
        return reasons, {"event": plain(batch.frame.iloc[i].to_dict())}, sentence(reasons)

    def moved(self, batch: Batch) -> list[str]:
        """Return no column: what moves is judged reading by reading."""
        return []

    def remember(self, batch: Batch) -> None:
        """Take readings in, so that the next are judged by them."""
        given, _, after = self._of(batch)
        concerned = known_entities(given)
        self._tracker.remember(concerned, after)
        self._touched.update(concerned.tolist())
        self._judged = None

    def forget(self) -> None:
        """Drop all that was remembered."""
        self._tracker.forget()
        self._judged = None
        self._touched.clear()

    def silent(self, at: int) -> dict[str, tuple[int, int]]:
        """Return the entities without a reading for longer than training lets expect."""
        last = self._tracker.memory[0]
        due = last + self._tracker.patience
        late = np.flatnonzero((last > 0) & (due < at))
        return {self._names[e]: (int(last[e]), int(due[e])) for e in late.tolist()}

    def state(self) -> dict[str, Any]:
        """Return what is remembered of the entities that reported since the last call."""
        changed = {self._names[e]: self._written(e) for e in sorted(self._touched)}
        self._touched.clear()
        return {name: {"model": self.name, "memory": memory} for name, memory in changed.items()}

    def restore(self, states: Mapping[str, Any]) -> bool:
        """Take over what ``state`` returned by name, if it was of this model; return whether so."""
        place = {name: e for e, name in enumerate(self._names)}
        mine = {
            place[name]: state["memory"]
            for name, state in states.items()
            if name in place and state.get("model") == self.name
        }
        for e, memory in mine.items():
            self._recall(e, b64decode(memory))
        return bool(mine)

    def _of(self, batch: Batch) -> tuple[ReadingArray, Judged, _Memory]:
        """Return the readings of a batch and what is said of them, judged just now or again."""
        if self._judged is None or self._judged[0] is not batch:
            given = self.items(batch)
            self._judged = batch, given, *self._tracker.peek(given)
        return self._judged[1:]

    def _written(self, e: int) -> str:
        return b64encode(b"".join(part[e].tobytes() for part in self._tracker.memory)).decode()

    def _recall(self, e: int, memory: bytes) -> None:
        """Take over an entity's memory; one of another size is left as it is."""
        sizes = [part[e].nbytes for part in self._tracker.memory]
        if len(memory) != sum(sizes):
            return
        for part, end in zip(self._tracker.memory, np.cumsum(sizes).tolist(), strict=True):
            piece = memory[end - part[e].nbytes : end]
            part[e] = np.frombuffer(piece, dtype=part.dtype).reshape(part[e].shape)
