"""What a model says of one entity's series, and how the entities' answers are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tocsin.decide.intervals import intervals
from tocsin.explain.series import Band
from tocsin.prepare.series import PreparedSeries
from tocsin.types import Decision, FloatArray, Interval, Scores, SeriesDetection

MERGED_WITHIN = 10
"""Intervals with at most so many points between them are one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One entity's points with their scores and decisions; ``band`` is that of its model."""

    series: PreparedSeries
    scores: Scores
    decision: Decision
    band: Band

    def comparable(self) -> Answer:
        """Return the answer with minus the logarithm of the p-values for scores.

        Models that entities have each for themselves score on scales of their own.
        """
        values = -np.log10(self.decision.p_values)
        threshold = -float(np.log10(self.decision.false_alarm_rate))
        return replace(
            self,
            scores=replace(self.scores, values=values),
            decision=replace(self.decision, threshold=threshold),
        )

    def without_filled(self) -> Answer:
        """Return the answer with no anomaly where nothing was observed."""
        seen = ~self.series.filled
        p_values = np.where(seen, self.decision.p_values, 1.0)
        flagged = self.decision.is_anomaly & seen
        return replace(self, decision=replace(self.decision, p_values=p_values, is_anomaly=flagged))

    def intervals(self, first: int, channels: Sequence[str], top: int) -> list[Interval]:
        """Return the anomalies, at positions that count from ``first``."""
        decision = self.decision
        spans = intervals(
            self.scores.values, decision.is_anomaly, decision.threshold, MERGED_WITHIN
        )
        return [self._interval(start, end, first, channels, top) for start, end in spans]

    def _interval(
        self, start: int, end: int, first: int, channels: Sequence[str], top: int
    ) -> Interval:
        values, inside = self.scores.values, slice(start, end + 1)
        peak = start + int(values[inside].argmax())
        times = self.series.times
        return Interval(
            start=first + start,
            end=first + end,
            peak=first + peak,
            score=float(values[peak]),
            p_value=float(self.decision.p_values[inside].min()),
            entity=self.series.entity,
            start_time=None if times is None else times[start],
            end_time=None if times is None else times[end],
            peak_time=None if times is None else times[peak],
            reasons=self.band.reasons(self.series.values, self.scores, inside, channels, top),
        )


def split(
    group: Sequence[PreparedSeries], scores: Scores, decision: Decision, band: Band
) -> list[Answer]:
    """Return the answers for series that one model learned from as one long series."""
    answers, first = [], 0
    for series in group:
        own = slice(first, first + len(series.values))
        its_scores = Scores(
            scores.values[own],
            None if scores.parts is None else scores.parts[own],
            None if scores.expected is None else scores.expected[own],
        )
        its_decision = replace(
            decision, p_values=decision.p_values[own], is_anomaly=decision.is_anomaly[own]
        )
        answers.append(Answer(series, its_scores, its_decision, band))
        first = own.stop
    return answers


def join_scores(answers: Sequence[Answer]) -> Scores:
    """Return the scores of all points, one entity after the other."""
    scores = [answer.scores for answer in answers]

    def joined(arrays: list[Any]) -> FloatArray | None:
        present = [array for array in arrays if array is not None]
        return np.concatenate(present) if len(present) == len(scores) else None

    return Scores(
        np.concatenate([each.values for each in scores]),
        joined([each.parts for each in scores]),
        joined([each.expected for each in scores]),
    )


def join(
    answers: Sequence[Answer], channels: Sequence[str], notes: Sequence[str], reasons: int
) -> SeriesDetection:
    """Return the answers for all entities as one, the most anomalous intervals first.

    ``reasons``: how many channels to name for an interval.
    """
    answers = [answer.without_filled() for answer in answers]
    found: list[Interval] = []
    first = 0
    for answer in answers:
        found += answer.intervals(first, channels, reasons)
        first += len(answer.series.values)
    series = [answer.series for answer in answers]
    decisions = [answer.decision for answer in answers]
    bands = [answer.band.around(answer.series.values, answer.scores) for answer in answers]
    times = [each.times for each in series if each.times is not None]
    entities = [np.full(len(each.values), each.entity, dtype=object) for each in series]
    return SeriesDetection(
        scores=join_scores(answers),
        decision=replace(
            decisions[0],
            p_values=np.concatenate([each.p_values for each in decisions]),
            is_anomaly=np.concatenate([each.is_anomaly for each in decisions]),
        ),
        rows=np.concatenate([each.rows for each in series]),
        notes=tuple(notes),
        channels=tuple(channels),
        values=np.concatenate([each.values for each in series]),
        low=np.concatenate([low for low, _ in bands]),
        high=np.concatenate([high for _, high in bands]),
        times=np.concatenate(times) if times else None,
        entities=None if series[0].entity is None else np.concatenate(entities),
        intervals=tuple(sorted(found, key=lambda each: (each.p_value, -each.score))),
    )
