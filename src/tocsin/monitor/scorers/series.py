"""Points of time series, each entity's with the events before it in view."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tocsin.monitor.batches import plain, with_times
from tocsin.monitor.scorers.base import Description, Scorer, sentence
from tocsin.types import Batch, BatchDecision, Decision, Scores

_TIME, _ENTITY = "time", "entity"
_MOST_ENTITIES = 10_000


class SeriesScorer(Scorer):
    """Scores points behind the last ``context`` events of their entity."""

    modality = "series"
    settings: ClassVar[Mapping[str, Any]] = {"time": _TIME, "entity": _ENTITY}
    ordered = True
    keeps_context = True

    def __init__(self, pipeline: Any, name: str, context: int = 0) -> None:
        super().__init__(pipeline, name, context)
        channels = pipeline.preparer_.channels_
        readings = zip(channels.names_, channels.readings_, strict=True)
        self.numeric = frozenset(
            name for name, each in readings if each["style"] == "plain" and not each["levels"]
        )
        self._before: dict[str, pd.DataFrame] = {}

    @classmethod
    def training_data(cls, batches: Iterable[Batch]) -> pd.DataFrame:
        """Return the events with their times and entities as columns."""
        return pd.concat([with_times(batch) for batch in batches], ignore_index=True)

    def items(self, batch: Batch) -> pd.DataFrame:
        """Return the events with their times and entities as columns."""
        return with_times(batch).reset_index(drop=True)

    def forget(self) -> None:
        """Drop the last events of all entities."""
        self._before.clear()

    def remember(self, batch: Batch) -> None:
        """Keep the last events of each entity."""
        for entity, rows in with_times(batch).groupby(_ENTITY, sort=False):
            joined = pd.concat([self._before.pop(str(entity), rows.iloc[:0]), rows])
            self._before[str(entity)] = joined.iloc[-self.context :]
        while len(self._before) > _MOST_ENTITIES:
            del self._before[next(iter(self._before))]  # the one heard of least recently

    def judge(self, batch: Batch) -> BatchDecision:
        """Return the score and decision of each point; one that is merged has its neighbour's."""
        scores, p_values = np.zeros(len(batch)), np.ones(len(batch))
        anomalies = np.zeros(len(batch), dtype=bool)
        threshold = np.inf
        for entity, rows in self.items(batch).groupby(_ENTITY, sort=False):
            before = self._before.get(str(entity), rows.iloc[:0])
            found = self.pipeline.detect(
                pd.concat([before, rows], ignore_index=True), explain=False
            )
            mine = found.rows >= len(before)
            at = rows.index.to_numpy()[found.rows[mine] - len(before)]
            scores[at], p_values[at] = found.scores.values[mine], found.decision.p_values[mine]
            anomalies[at] = found.decision.is_anomaly[mine]
            threshold = min(threshold, found.decision.threshold)
        decision = Decision(p_values, threshold, anomalies, self.pipeline.budget.rate)
        return self._decided(Scores(scores), decision)

    def describe(self, batch: Batch, i: int) -> Description:
        """Return the channels that drove a point, and its values."""
        frame = self.items(batch)
        entity = frame[_ENTITY].iloc[i]
        rows = frame[frame[_ENTITY] == entity].loc[:i]
        before = self._before.get(str(entity), rows.iloc[:0])
        found = self.pipeline.detect(pd.concat([before, rows], ignore_index=True))
        last = len(found) - 1
        over = [each for each in found.intervals if each.start <= last <= each.end]
        reasons = over[0].reasons if over else ()
        return reasons, {"event": plain(batch.frame.iloc[i].to_dict())}, sentence(reasons)
