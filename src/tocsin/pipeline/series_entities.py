"""What a model detects in one entity's series, and how the entities' detections are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tocsin import base
from tocsin.decide.calibration import NEVER
from tocsin.decide.intervals import intervals
from tocsin.explain.series import Band
from tocsin.prepare.levels import Unit
from tocsin.prepare.series import PreparedSeries
from tocsin.types import (
    BoolArray,
    Decision,
    FloatArray,
    IntArray,
    Interval,
    Reason,
    Scores,
    SeriesDetection,
)

MERGED_WITHIN = 10
"""Intervals with at most this many points between them are one."""


@dataclass(frozen=True, slots=True)
class EntityDetection:
    """One entity's points with their scores and decisions.

    ``seen``: (n, channels), the values as the model saw them, in ``unit``; what ``scores`` say
    was expected and the model's ``band`` are in that unit too.
    """

    series: PreparedSeries
    seen: FloatArray
    unit: Unit
    scores: Scores
    decision: Decision
    band: Band

    def comparable(self) -> EntityDetection:
        """Return the detection with minus the logarithm of the p-values for scores.

        Models that entities have each for themselves score on scales of their own.
        """
        values = -np.log10(self.decision.p_values)
        threshold = -float(np.log10(self.decision.false_alarm_rate))
        return replace(
            self,
            scores=replace(self.scores, values=values),
            decision=replace(self.decision, threshold=threshold),
        )

    def of_what_was_seen(self) -> EntityDetection:
        """Return the detection with no anomaly where nothing was observed, but for outages.

        An outage has the budget's rate for p-values, and a score barely above the threshold.
        """
        seen, out = ~self.series.filled, self._out
        decision, values = self.decision, self.scores.values.copy()
        p_values = np.where(seen, decision.p_values, 1.0)
        p_values[out] = decision.false_alarm_rate
        values[out] = min(np.nextafter(decision.threshold, np.inf), NEVER)
        flagged = (decision.is_anomaly & seen) | out
        return replace(
            self,
            scores=replace(self.scores, values=values),
            decision=replace(decision, p_values=p_values, is_anomaly=flagged),
        )

    def band_in_units(self) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper edge (n, channels) of what was expected."""
        low, high = self.band.around(self.seen, self.scores)
        return self.unit.back(low), self.unit.back(high)

    def intervals(self, first: int, channels: Sequence[str], top: int) -> list[Interval]:
        """Return the anomalies, none across a gap, at positions that count from ``first``."""
        decision, flagged = self.decision, self.decision.is_anomaly & ~self._out
        found = []
        for low, high, _ in self.series.spans:
            values, own = self.scores.values[low:high], flagged[low:high]
            for start, end in intervals(values, own, decision.threshold, MERGED_WITHIN):
                inside = slice(low + start, low + end + 1)
                found.append(self._interval(inside, first, self._reasons(inside, channels, top)))
        for start, end in self.series.outages:
            missing = Reason("points missing", float(end - start + 1), 0.0, 1.0)
            found.append(self._interval(slice(start, end + 1), first, (missing,)[:top]))
        return found

    @property
    def _out(self) -> BoolArray:
        """Which of the points (n,) are outages."""
        out = np.zeros(len(self.series.values), dtype=np.bool_)
        for start, end in self.series.outages:
            out[start : end + 1] = True
        return out

    def _reasons(self, inside: slice, channels: Sequence[str], top: int) -> tuple[Reason, ...]:
        unit = {name: i for i, name in enumerate(channels)}
        found = self.band.reasons(self.seen, self.scores, inside, channels, top)
        return tuple(
            replace(
                each,
                seen=self.unit.value(each.seen, unit[each.name]),
                expected=self.unit.value(each.expected, unit[each.name]),
            )
            for each in found
        )

    def _interval(self, inside: slice, first: int, reasons: tuple[Reason, ...]) -> Interval:
        values, start, end = self.scores.values, inside.start, inside.stop - 1
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
            reasons=reasons,
        )


def split_decision(decision: Decision, ends: IntArray) -> list[Decision]:
    """Return a decision in parts that end before these positions."""
    parts = zip(np.split(decision.p_values, ends), np.split(decision.is_anomaly, ends), strict=True)
    return [replace(decision, p_values=p, is_anomaly=flagged) for p, flagged in parts]


def join_scores(detections: Sequence[EntityDetection]) -> Scores:
    """Return the scores of all points, one entity after the other, in the units of the user."""
    return base.join_scores(
        [
            replace(each.scores, expected=each.unit.back(each.scores.expected))
            if each.scores.expected is not None
            else each.scores
            for each in detections
        ]
    )


def join(
    detections: Sequence[EntityDetection],
    channels: Sequence[str],
    notes: Sequence[str],
    reasons: int,
) -> SeriesDetection:
    """Return the detections for all entities as one, the most anomalous intervals first.

    ``reasons``: how many channels to name for an interval.
    """
    detections = [detection.of_what_was_seen() for detection in detections]
    found: list[Interval] = []
    first = 0
    for detection in detections:
        found += detection.intervals(first, channels, reasons)
        first += len(detection.series.values)
    series = [detection.series for detection in detections]
    decisions = [detection.decision for detection in detections]
    bands = [detection.band_in_units() for detection in detections]
    times = [each.times for each in series if each.times is not None]
    entities = [np.full(len(each.values), each.entity, dtype=object) for each in series]
    return SeriesDetection(
        scores=join_scores(detections),
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
