"""The pipeline of metrics: readings of many entities, scored one after the other as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.base import Detector, check_labels
from tocsin.base.abilities import ReadingTracker, Tracks
from tocsin.decide import Budget
from tocsin.decide import create as create_calibration
from tocsin.decide.intervals import runs
from tocsin.errors import ParameterError
from tocsin.explain.metrics import reasons_of
from tocsin.pipeline.base import BasePipeline, check_rows
from tocsin.prepare.metrics import MetricPreparer, PreparedReadings
from tocsin.readers.table import read_table
from tocsin.types import (
    Decision,
    FloatArray,
    IntArray,
    Interval,
    Scores,
    SeriesDetection,
)
from tocsin.types.metrics import Judged

_DAY = 86_400_000_000
_MERGED_WITHIN = 10
_ALARMS_PER_DAY = 1.0


class MetricsPipeline(BasePipeline):
    """From readings of entities to explained anomalies, as many per day as are allowed.

    ``time`` and ``entity``: the columns that hold the time and what was measured; None finds them,
    ``entity`` "none" states that there is one. ``alarms_per_day``: how many alarms of all
    entities together, one by default; or ``false_alarms``: the share of normal readings that may be
    flagged. Readings are data frames with one row per time and entity. A reading's score rests
    on those of its entity before it, never on later ones: scoring a file is what a monitor does.

    >>> rng = np.random.default_rng(0)
    >>> times = pd.date_range("2026-01-01", periods=2000, freq="min")
    >>> frame = pd.DataFrame({"time": times, "cpu": 50 + rng.normal(size=2000)})
    >>> frame.loc[1500, "cpu"] = 90
    >>> pipeline = MetricsPipeline().fit(frame[:1000])
    >>> [(i.start, i.reasons[0].name) for i in pipeline.detect(frame[1000:]).intervals]
    [(500, 'cpu (jump)')]
    """

    modality = "metrics"
    item = "readings"
    calibration = "extreme_value"

    preparer_: MetricPreparer
    readings_per_day_: float

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        time: str | None = None,
        entity: str | None = None,
        false_alarms: float | None = None,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.time = time
        self.entity = entity
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.reasons = reasons
        self.seed = seed

    def read(self, path: str | Path) -> pd.DataFrame:
        """Return the table of a file, its columns as training read them. Raises UnreadableFile."""
        return read_table(path, known=self.preparer_.known if hasattr(self, "preparer_") else None)

    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal from readings; y is ignored, labels (n,), 1 = anomaly, are used.

        Raises InputError for data that cannot be learned from, ParameterError for settings that
        cannot work.
        """
        self._learn(X, labels)
        return self

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the score of each reading, sorted by entity and time; y is ignored.

        Raises NotFitted, and SchemaMismatch for a table without the columns of training.
        """
        return self._fitted().detector_.score(self.preparer_.prepare(X).items)

    def detect(self, X: Any, *, explain: bool = True) -> SeriesDetection:
        """Return scores, decisions and the anomalies: one per entity and stretch of time.

        Raises as ``score`` does.
        """
        prepared = self._fitted().preparer_.prepare(X)
        return self._detection(prepared, self.tracker.take(prepared.items), explain=explain)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> SeriesDetection:
        """Fit, and return the answer for the training readings, each scored by other days."""
        prepared = self._learn(X, labels)
        taken = self.tracker.take(prepared.items)._replace(scores=self.detector_.training_scores_)
        return self._detection(prepared, taken, explain=explain)

    def explain(self, X: Any, items: Sequence[int] | IntArray | None = None) -> SeriesDetection:
        """Return the answer with those anomalies alone that hold one of these rows of X.

        None stands for all. Raises InputError for a row that is not there, and as ``score`` does.
        """
        found = self.detect(X)
        if items is None:
            return found
        wanted = check_rows(items, len(X))
        holding = [
            each
            for each in found.intervals
            if np.isin(found.rows[each.start : each.end + 1], wanted).any()
        ]
        return replace(found, intervals=tuple(holding))

    def decide(self, scores: Scores) -> Decision:
        """Return which scores are anomalies under the budget as it is set now."""
        rate = self._fitted().budget.rate
        p_values = np.maximum(10.0**-scores.values, np.finfo(np.float64).tiny)
        threshold = -float(np.log10(rate))
        return Decision(p_values, threshold, scores.values > threshold, rate)

    @property
    def tracker(self) -> ReadingTracker:
        """A new tracker, which scores readings as they come. Raises NotFitted before ``fit``."""
        return _tracking(self._fitted().detector_).tracker

    @property
    def columns(self) -> list[str]:
        """The names of the channels."""
        return self.preparer_.columns_

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, assumed and dropped in preparation."""
        return [*self.preparer_.notes_, *self.detector_.warnings_]

    @property
    def budget(self) -> Budget:
        """The false-alarm budget: a share of readings, or as many alarms per day as are allowed."""
        if self.alarms_per_day is None and self.false_alarms is None:
            return Budget.per_day(_ALARMS_PER_DAY, self._rows_per_day() or _ALARMS_PER_DAY)
        return super().budget

    def _rows_per_day(self) -> float | None:
        learned = getattr(self, "readings_per_day_", None)
        return self.rows_per_day if self.rows_per_day is not None else learned

    def _promise(self) -> list[str]:
        allowed = self.budget.rate * self.readings_per_day_
        return [
            f"up to {allowed:.2g} of {self.readings_per_day_:,.0f} normal readings per day flagged"
        ]

    def _learn(self, X: Any, labels: ArrayLike | None) -> PreparedReadings:
        detector = self._new_detector(seed=self.seed)
        _tracking(detector)
        preparer = MetricPreparer(time=self.time, entity=self.entity)
        prepared = preparer.fit_transform(X)
        known = None if labels is None else check_labels(labels, len(X))[prepared.rows]
        self.detector_ = detector.fit(prepared.items, known)
        self.preparer_ = preparer
        self.calibration_ = create_calibration(self.calibration).fit(detector.training_scores_)
        self.readings_per_day_ = float((_DAY / self.tracker.steps).sum())
        return prepared

    def _detection(
        self, prepared: PreparedReadings, taken: Judged, *, explain: bool
    ) -> SeriesDetection:
        decision = self.decide(Scores(taken.scores))
        values = prepared.items["values"]
        found: list[Interval] = []
        for start, end in self._stretches(prepared, decision):
            found.append(self._interval(prepared, taken, decision, start, end, explain))
        return SeriesDetection(
            scores=Scores(taken.scores, parts=taken.parts, expected=taken.expected),
            decision=decision,
            rows=prepared.rows,
            notes=(*self.notes_, *prepared.notes),
            channels=tuple(self.columns),
            values=values,
            low=taken.expected,
            high=taken.expected,
            times=prepared.items["time"].astype("datetime64[us]").astype("datetime64[ns]"),
            entities=None if self.preparer_.entity_ is None else prepared.names,
            intervals=tuple(sorted(found, key=lambda each: (each.p_value, -each.score))),
        )

    def _stretches(self, prepared: PreparedReadings, decision: Decision) -> list[tuple[int, int]]:
        """Return the first and last reading of each anomaly, those of an entity near each other."""
        entities = prepared.items["entity"]
        merged: list[tuple[int, int]] = []
        for start, end in runs(decision.is_anomaly):
            cuts = np.flatnonzero(np.diff(entities[start : end + 1])) + start
            firsts, lasts = [start, *(cuts + 1)], [*cuts, end]
            for first, last in zip(firsts, lasts, strict=True):
                before = merged[-1] if merged else None
                near = before is not None and first - before[1] - 1 <= _MERGED_WITHIN
                if before is not None and near and entities[before[1]] == entities[first]:
                    merged[-1] = (before[0], last)
                else:
                    merged.append((int(first), int(last)))
        return merged

    def _interval(
        self,
        prepared: PreparedReadings,
        taken: Judged,
        decision: Decision,
        start: int,
        end: int,
        explain: bool,
    ) -> Interval:
        peak = start + int(taken.scores[start : end + 1].argmax())
        times = prepared.items["time"].astype("datetime64[us]").astype("datetime64[ns]")
        values: FloatArray = prepared.items["values"][peak]
        return Interval(
            start=start,
            end=end,
            peak=peak,
            score=float(taken.scores[peak]),
            p_value=float(decision.p_values[peak]),
            entity=None if self.preparer_.entity_ is None else str(prepared.names[peak]),
            start_time=times[start],
            end_time=times[end],
            peak_time=times[peak],
            reasons=reasons_of(taken, peak, values, self.columns, self.reasons) if explain else (),
        )

    def _state(self) -> dict[str, Any]:
        return {
            "detector": self.detector_.get_state(),
            "calibration": self.calibration_.get_state(),
            "preparer": self.preparer_.get_state(),
            "readings_per_day": self.readings_per_day_,
        }

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self._restore_model(state)
        self.preparer_ = MetricPreparer(self.time, self.entity).set_state(state["preparer"])
        self.readings_per_day_ = float(state["readings_per_day"])


def _tracking(detector: Detector) -> Tracks:
    """Return a detector if it tracks readings. Raises ParameterError."""
    if not isinstance(detector, Tracks):
        raise ParameterError(
            f"{detector.card.name} detects {detector.card.modality}, and does not track metrics."
        )
    return detector
