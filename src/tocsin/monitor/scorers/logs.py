"""Lines of logs, each by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tocsin.errors import ParameterError
from tocsin.monitor.batches import LONGEST_TEXT
from tocsin.monitor.scorers.base import Description, Scorer, reasons_of_first
from tocsin.types import LINE_COLUMN, Batch, BatchDecision, Decision, Scores

_EACH_LINE = "line"


class LogScorer(Scorer):
    """Scores lines as they come; one that continues the line before it is never flagged.

    Raises ParameterError for a pipeline whose sessions are not single lines.
    """

    modality = "logs"
    column = LINE_COLUMN
    settings: ClassVar[Mapping[str, Any]] = {"session": _EACH_LINE}

    def __init__(self, pipeline: Any, name: str, context: int = 0) -> None:
        super().__init__(pipeline, name, context)
        if pipeline.session != _EACH_LINE:
            raise ParameterError(
                f"A monitor scores log lines as they come, but the model {name} takes sessions by "
                f'{pipeline.session or "what it found"}; train it with "session: line".'
            )

    def judge(self, batch: Batch) -> BatchDecision:
        """Return the score and the decision of each line."""
        found = self.pipeline.detect(self.items(batch), explain=False)
        at = found.numbers - 1
        scores, p_values = np.full(len(batch), found.scores.values.min()), np.ones(len(batch))
        anomalies = np.zeros(len(batch), dtype=bool)
        scores[at], p_values[at] = found.scores.values, found.decision.p_values
        anomalies[at] = found.decision.is_anomaly
        decision = Decision(
            p_values, found.decision.threshold, anomalies, found.decision.false_alarm_rate
        )
        return self._decided(Scores(scores), decision)

    def describe(self, batch: Batch, i: int) -> Description:
        """Return what made a line anomalous, the line, and a similar normal one."""
        line = self.items(batch)[i]
        found = self.pipeline.explain([line], ["line 1"])
        reasons = reasons_of_first(found)
        evidence = {"line": line[:LONGEST_TEXT], "nearest": list(found.nearest.get(0, ()))}
        return reasons, evidence, line[:200]
