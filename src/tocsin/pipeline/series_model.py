"""A trained detector of series with all that turns its scores into detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Annotated, Any, Self

import numpy as np

from tocsin.base import SeriesDetector, Stateful, Stretch
from tocsin.base.declared import Shape, Within, check_fitted
from tocsin.base.dependence import independent_count
from tocsin.decide import Calibration, convert, decide, drifting_stretch
from tocsin.decide import create as create_calibration
from tocsin.decide.alarm_rate import alarm_heights, point_rate, threshold_for
from tocsin.decide.independent import decide_dependent, without_peaks
from tocsin.decide.intervals import runs
from tocsin.errors import CorruptModel, InputError
from tocsin.explain.series import Band
from tocsin.pipeline.moved import moved_columns
from tocsin.pipeline.series_entities import MERGED_WITHIN, EntityDetection
from tocsin.prepare.levels import Levels
from tocsin.prepare.series import PreparedSeries
from tocsin.types import BoolArray, Decision, Drift, FloatArray, IntArray, Scores

_BACKGROUND = 1000


class SeriesModel(Stateful):
    """A detector of one or several series, with its calibrations, levels and expected band.

    ``calibration_`` is of the points that training held out, ``runs_`` of the same without single
    peaks, ``alarms_`` of the intervals that these would have raised, in ``points_`` points.
    """

    detector_: SeriesDetector
    calibration_: Calibration
    runs_: Calibration
    alarms_: Calibration
    points_: Annotated[int, Within(0)]
    levels_: Levels
    background_: Annotated[FloatArray, Shape("b", "c")]
    band_: Band

    def __init__(self, detector: SeriesDetector, method: str) -> None:
        self.detector_ = detector
        self.calibration_ = create_calibration(method)
        self.runs_ = create_calibration(method)
        self.alarms_ = create_calibration(method)
        self.levels_ = Levels()
        self.band_ = Band()

    def fit(
        self, series: Sequence[PreparedSeries], labels: Sequence[IntArray] | None
    ) -> list[Scores]:
        """Learn from series, with labels of their points; return the scores of all these points.

        Without labels all of the series is in view; with them, each point is scored by a model
        that has not seen it. Raises InputError if there is too little to learn from.
        """
        self.levels_.fit(series)
        stretches = [part for each in series for part in self._stretches(each)]
        if not stretches:
            raise InputError("No part of the series holds values: there is nothing to learn from.")
        inside = np.concatenate([each.inside for each in series])
        known = None if labels is None else np.concatenate(labels)[inside]
        self.detector_.fit(stretches, known)
        own, counts = self.detector_.training_scores_, self.detector_.held_out_
        if known is not None:
            counts = counts & (known == 0)
        counted = counts & ~np.concatenate([each.filled for each in series])[inside]
        calm = without_peaks(own[counted])
        self.calibration_.fit(own[counted], independent := independent_count(calm))
        self.runs_.fit(calm, independent)
        self.alarms_.fit(alarm_heights(_pieces(own, counts, stretches), MERGED_WITHIN))
        self.points_ = int(counts.sum())
        together = self.detector_.score_together(stretches)
        seen = np.concatenate([stretch.values for stretch in stretches])
        self.band_.fit(seen, together)
        some = np.linspace(0, len(seen) - 1, min(len(seen), _BACKGROUND)).astype(np.int64)
        self.background_ = seen[some]
        if labels is not None:
            together = replace(together, values=own)
        ends = np.cumsum([each.inside.sum() for each in series])[:-1]
        pairs = zip(series, _split(together, ends), strict=True)
        return [self._at_all_points(*each) for each in pairs]

    def score(self, series: PreparedSeries) -> Scores:
        """Return the scores of all points, each span judged by itself by what training taught."""
        stretches = self._stretches(series)
        nowhere = np.empty((0, series.values.shape[1]))
        nothing = Scores(np.empty(0), nowhere, nowhere)
        found = self.detector_.score(stretches) if stretches else nothing
        return self._at_all_points(series, found)

    def detection(
        self, series: PreparedSeries, scores: Scores, decision: Decision
    ) -> EntityDetection:
        """Return what there is to say of one series."""
        unit = self.levels_.unit(series)
        return EntityDetection(series, unit.of(series.values), unit, scores, decision, self.band_)

    def _stretches(self, series: PreparedSeries) -> list[Stretch]:
        values = self.levels_.unit(series).of(series.values)
        return [Stretch(values[start:end], at) for start, end, at in series.spans]

    def _at_all_points(self, series: PreparedSeries, scores: Scores) -> Scores:
        """Return the scores of the points in spans among all; others have the lowest one."""
        inside = series.inside
        if inside.all():
            return scores
        values = np.full(len(inside), self.calibration_.scores_[0])
        values[inside] = scores.values
        parts, expected = scores.parts, scores.expected
        if parts is not None:
            parts = np.zeros(series.values.shape)
            parts[inside] = scores.parts
        if expected is not None:
            expected = self.levels_.unit(series).of(series.values)
            expected[inside] = scores.expected
        return Scores(values, parts, expected)

    def decide(
        self, values: FloatArray, method: str, false_alarms: float, alarms: float | None
    ) -> Decision:
        """Return which scores (n,) of new points are anomalies.

        ``alarms``: how many intervals are allowed per point; None where a share of points is.
        """
        points = convert(self.calibration_, method)
        if alarms is None:
            return decide_dependent(points, convert(self.runs_, method), values, false_alarms)
        return decide(points, values, self.rate_of(alarms))

    def drift(self, detection: EntityDetection, channels: Sequence[str]) -> Drift | None:
        """Return where more points of a series are flagged than the budget allows, if anywhere.

        Few independent points make that improbable only if it goes on for long; where a channel
        moved and stays there to the end of the series, it counts at once.
        """
        rate = detection.decision.false_alarm_rate
        flagged = detection.decision.is_anomaly & ~detection.series.filled
        each = copy(self.calibration_)
        each.independent_ = float(each.n_)
        sure = drifting_stretch(flagged, rate, self.calibration_)
        stretch = sure or drifting_stretch(flagged, rate, each)
        if stretch is None:
            return None
        inside = slice(stretch[0], stretch[1] + 1)
        moved = self._moved(detection.seen[inside], channels)
        if not sure and not (moved and inside.stop == len(flagged)):
            return None
        return Drift(*stretch, int(flagged[inside].sum()), tuple(moved), item="points")

    def moved(self, series: PreparedSeries, channels: Sequence[str]) -> list[str]:
        """Return the channels that lie elsewhere in a series than in training, farthest first."""
        return self._moved(self.levels_.unit(series).of(series.values), channels)

    def _moved(self, seen: FloatArray, channels: Sequence[str]) -> list[str]:
        return moved_columns(self.background_, seen, np.arange(len(channels)), list(channels))

    def rate_of(self, alarms_per_point: float) -> float:
        """Return the share of held-out points above the threshold that gives this many alarms."""
        threshold = threshold_for(self.alarms_, alarms_per_point * self.points_)
        return point_rate(self.calibration_, threshold)

    def get_state(self) -> dict[str, Any]:
        """Return all that was learned."""
        return {
            name: value.get_state() if isinstance(value, Stateful) else value
            for name, value in vars(self).items()
        }

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned; CorruptModel for that of an earlier version."""
        if not {"levels_", "runs_"} <= state.keys():
            raise CorruptModel(
                "This model of series was saved by an earlier version of Tocsin, and is scored "
                "otherwise today. Train and save it again, with tocsin fit."
            )
        for name in ("detector_", "calibration_", "runs_", "alarms_", "levels_", "band_"):
            getattr(self, name).set_state(state[name])
        self.points_, self.background_ = state["points_"], state["background_"]
        check_fitted(self, ("points_", "background_"))
        return self

    def check_channels(self, n: int) -> None:
        """Raise CorruptModel unless all that was restored is of n channels."""
        found = {self.detector_.n_features_in_, self.background_.shape[1]}
        if found | set(self.levels_.locations_.shape[1:]) != {n}:
            raise CorruptModel(
                f"The model of {n} channels holds parts of others. Train and save it again."
            )


def _pieces(scores: FloatArray, counts: BoolArray, stretches: list[Stretch]) -> list[FloatArray]:
    """Return the scores of the points that count, in pieces without a gap."""
    ends = np.cumsum([len(stretch) for stretch in stretches])[:-1]
    pairs = zip(np.split(scores, ends), np.split(counts, ends), strict=True)
    return [own[first : last + 1] for own, counted in pairs for first, last in runs(counted)]


def _split(scores: Scores, ends: IntArray) -> list[Scores]:
    """Return scores in parts that end before these positions."""
    columns = [
        [None] * (len(ends) + 1) if array is None else np.split(array, ends)
        for array in (scores.values, scores.parts, scores.expected)
    ]
    return [Scores(*each) for each in zip(*columns, strict=True)]
