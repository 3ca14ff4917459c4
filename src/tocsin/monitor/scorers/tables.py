"""Rows of tables, each by itself."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tocsin.errors import InputError
from tocsin.monitor.batches import plain
from tocsin.monitor.scorers.base import Description, Scorer, sentence, some_of
from tocsin.types import Batch, BatchDecision

_NUMBERS = ["numeric", "plain"]


class TableScorer(Scorer):
    """Scores rows; a column that events lack holds unknown values."""

    modality = "tables"

    def __init__(self, pipeline: Any, name: str, context: int = 0) -> None:
        super().__init__(pipeline, name, context)
        ready = pipeline.preparer_
        kinds = zip(ready.columns_, ready.kinds_, ready.styles_, strict=True)
        self.numeric = frozenset(name for name, *kind in kinds if kind == _NUMBERS)

    def items(self, batch: Batch) -> pd.DataFrame:
        """Return the columns that the model was trained on.

        Raises InputError if all are missing.
        """
        columns = self.pipeline.columns
        if list(batch.frame.columns) == columns:
            return batch.frame
        if not set(columns) & set(batch.frame.columns):
            raise InputError(
                f"Events have the columns {some_of(batch.frame.columns)}, but the model "
                f"{self.name} was trained on {some_of(columns)}."
            )
        return batch.frame.reindex(columns=columns)

    def judge(self, batch: Batch) -> BatchDecision:
        """Return the scores and the decision of each row."""
        # Not ``detect``, which also looks for drift: that is the monitor's own work.
        scores = self.pipeline.score(self.items(batch))
        return self._decided(scores, self.pipeline.decide(scores))

    def describe(self, batch: Batch, i: int) -> Description:
        """Return the columns that made a row anomalous, and the row."""
        row = self.items(batch).iloc[[i]]
        reasons = self.pipeline.explain(row, [0]).explanations[0].reasons
        return reasons, {"event": plain(row.iloc[0].to_dict())}, sentence(reasons)
