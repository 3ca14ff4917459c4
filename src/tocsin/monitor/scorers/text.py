"""Texts, each by itself."""

from __future__ import annotations

from tocsin.monitor.batches import LONGEST_TEXT
from tocsin.monitor.scorers.base import Description, Scorer, column_texts, reasons_of_first
from tocsin.types import Batch, BatchDecision


class TextScorer(Scorer):
    """Scores the texts of the column that the model was trained on."""

    modality = "text"

    def items(self, batch: Batch) -> list[str]:
        """Return the texts. Raises InputError for a batch without their column."""
        trained_on = self.pipeline.preparer_.column_
        column = batch.frame.columns[0] if trained_on is None else trained_on
        return column_texts(batch, str(column))

    def judge(self, batch: Batch) -> BatchDecision:
        """Return the score and the decision of each text."""
        # Not ``detect``, which also finds the nearest normal texts.
        scores = self.pipeline.score(self.items(batch))
        return self._decided(scores, self.pipeline.decide(scores))

    def describe(self, batch: Batch, i: int) -> Description:
        """Return the words that made a text anomalous, the text, and a similar normal one."""
        text = self.items(batch)[i]
        found = self.pipeline.explain([text], [0])
        reasons = reasons_of_first(found)
        evidence = {"text": text[:LONGEST_TEXT], "nearest": found.nearest.get(0, "")}
        return reasons, evidence, text[:200]
