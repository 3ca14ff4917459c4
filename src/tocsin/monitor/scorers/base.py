"""What the scorers of all modalities share, and what a modality gets without a line of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tocsin.alarms.policy import QUIET
from tocsin.alarms.summary import format_reason
from tocsin.errors import InputError
from tocsin.monitor.batches import LONGEST_TEXT, plain
from tocsin.types import Batch, BatchDecision, Decision, Detection, Reason, Scores

Description = tuple[tuple[Reason, ...], Mapping[str, Any], str]
"""Why an event is anomalous, the event itself as JSON values, and both in one sentence."""

_LONGEST_SUMMARY = 200


class Scorer:
    """A trained pipeline as a monitor uses it: a batch of events in, a decision per event out.

    A modality states its ``modality``, and overrides what differs from items that are scored one
    by one. ``column``: the column that an event is read from, None where the pipeline takes all.
    ``settings``: what a monitor adds to the settings of the pipeline. ``ordered``: whether an
    entity's events are samples in order, of which one alone means little. ``keeps_context``:
    whether scores rest on earlier events, which ``remember`` takes. ``counts_alarms``: whether a
    decision is about alarms rather than events, so that one anomaly opens one, and many in a row
    are one that lasts; ``quiet``: seconds without an anomaly after which it closes by default.
    ``opens_files``: whether the pipeline opens files that events name.
    ``learn`` and ``refit``: these settings of training, in seconds, where the file states none.

    Of one scorer: ``name`` and hash of its model; ``numeric``, the columns that it takes as
    numbers; ``budget``, the share of normal events that it may flag; ``context``, how many events
    it may look back on.
    """

    modality: ClassVar[str]
    column: ClassVar[str | None] = None
    settings: ClassVar[Mapping[str, Any]] = {}
    ordered: ClassVar[bool] = False
    keeps_context: ClassVar[bool] = False
    opens_files: ClassVar[bool] = False
    learn: ClassVar[float | None] = None
    refit: ClassVar[float | None] = None
    counts_alarms: ClassVar[bool] = False
    quiet: ClassVar[float] = QUIET

    def __init__(self, pipeline: Any, name: str, context: int = 0) -> None:
        self.pipeline = pipeline
        self.name = name
        self.context = context
        self.numeric: frozenset[str] = frozenset()
        self.budget: float = pipeline.budget.rate

    @classmethod
    def training_data(cls, batches: Iterable[Batch]) -> Any:
        """Return what a pipeline learns from: the events of batches, one after the other.

        Raises InputError for batches without the column.
        """
        if cls.column is not None:
            return [text for batch in batches for text in column_texts(batch, cls.column)]
        return pd.concat([batch.frame for batch in batches], ignore_index=True)

    def items(self, batch: Batch) -> Any:
        """Return the events of a batch as the pipeline takes them, in their order.

        Raises InputError for a batch without the columns that it needs.
        """
        return batch.frame if self.column is None else column_texts(batch, self.column)

    def judge(self, batch: Batch) -> BatchDecision:
        """Return the scores and the decision of each event.

        Raises InputError for events that the pipeline cannot take.
        """
        found = self.pipeline.detect(self.items(batch), explain=False)
        if len(found.scores.values) != len(batch):
            raise InputError(
                f"The model {self.name} gave {len(found.scores.values):,} scores for "
                f"{len(batch):,} events."
            )
        return self._decided(found.scores, found.decision)

    def describe(self, batch: Batch, i: int) -> Description:
        """Return why event ``i`` of a batch just judged is anomalous."""
        found = self.pipeline.explain(self.items(batch)[i : i + 1], [0])
        reasons = reasons_of_first(found)
        if self.column is None:
            return reasons, {"event": plain(batch.frame.iloc[i].to_dict())}, sentence(reasons)
        text = column_texts(batch, self.column)[i]
        return reasons, {self.column: text[:LONGEST_TEXT]}, text[:_LONGEST_SUMMARY]

    def moved(self, batch: Batch) -> list[str]:
        """Return the columns that lie elsewhere in a batch than in training, if any can."""
        found: list[str] = self.pipeline.moved(self.items(batch))
        return found

    def forget(self) -> None:
        """Drop all that was remembered."""

    def remember(self, batch: Batch) -> None:
        """Take events into the state that scores rest on."""

    def silent(self, at: int) -> Mapping[str, tuple[int, int]]:
        """Return the entities that are silent: when each last reported, and should have again.

        All in microseconds since 1970; none where a modality does not know.
        """
        return {}

    def state(self) -> dict[str, Any]:
        """Return what changed since the last call of what scores rest on, JSON values by name.

        It is written with the events, for ``restore``; nothing by default.
        """
        return {}

    def restore(self, states: Mapping[str, Any]) -> bool:
        """Take over all that ``state`` returned so far; return whether there was any of it."""
        return False

    def _decided(self, scores: Scores, decision: Decision) -> BatchDecision:
        return BatchDecision(
            scores.values,
            decision.p_values,
            decision.is_anomaly,
            min(decision.threshold, float(np.finfo(np.float64).max)),
            self.name,
        )


def column_texts(batch: Batch, column: str) -> list[str]:
    """Return the texts of a column, "" for missing ones. Raises InputError without the column."""
    if column not in batch.frame:
        raise InputError(
            f'Events have the columns {some_of(batch.frame.columns)}, but no column "{column}".'
        )
    return ["" if pd.isna(text) else str(text) for text in batch.frame[column]]


def reasons_of_first(detection: Detection) -> tuple[Reason, ...]:
    """Return the reasons of a detection's first item, none if it has no explanation."""
    explanation = detection.explanations.get(0)
    return () if explanation is None else explanation.reasons


def sentence(reasons: tuple[Reason, ...]) -> str:
    """Return the first reasons in a sentence.

    >>> sentence((Reason("cpu", 98.25, 12.1, 1.0),))
    'cpu 98.25 (expected 12.1)'
    """
    return "; ".join(map(format_reason, reasons[:2]))


def some_of(names: Iterable[Any]) -> str:
    """Return the first names of many, as a list in a sentence."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:6]) + (" …" if len(listed) > 6 else "")
