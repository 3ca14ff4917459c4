"""The pipeline of time series: points scored, anomalies reported as intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.base import Detector, SeriesDetector, check_labels
from tocsin.decide import Budget, decide
from tocsin.decide import create as create_calibration
from tocsin.decide.alarm_rate import LEAST_ALARMS, alarm_heights, point_rate
from tocsin.errors import ParameterError, SchemaMismatch
from tocsin.pipeline.base import BasePipeline, check_rows
from tocsin.pipeline.series_entities import (
    MERGED_WITHIN,
    EntityDetection,
    join,
    join_scores,
    split_decision,
)
from tocsin.pipeline.series_model import SeriesModel
from tocsin.prepare.gaps import Missing
from tocsin.prepare.series import PreparedSeries, SeriesPreparer
from tocsin.readers.table import read_table
from tocsin.types import Decision, Drift, FloatArray, IntArray, Scores, SeriesDetection

SECONDS_PER_DAY = 86_400

SHARED = ""
"""The name of the model that all entities share."""

Models = Literal["shared", "each"]


class _Learned(NamedTuple):
    """A model and what it learned from: series, their scores all in view, their labels."""

    model: SeriesModel
    series: Sequence[PreparedSeries]
    scores: list[Scores]
    labels: list[IntArray] | None


class SeriesPipeline(BasePipeline):
    """From raw time series to explained intervals under a stated false-alarm budget.

    ``detector``: a name (see ``tocsin.detectors.names("series")``) or an untrained detector.
    ``time`` and ``entity``: the columns that hold the time and which series a row belongs to;
    None finds them, "none" states that there is none. ``models``: "shared", one model for
    all entities, or "each", one for each, whose scores are then minus the logarithm (base 10)
    of the p-value, so that they compare; None takes "each" for streaming detectors.
    ``false_alarms``: the share of normal points that may be flagged; or ``alarms_per_day``, how
    many intervals of all entities together, with ``rows_per_day`` where there is no regular
    time. Series are data frames with one row per time (and entity), or arrays (n,) or
    (n, channels) in the order of time.

    A shared model scores each entity by itself, in units of its own where training shows that
    entities differ in level or spread. ``missing``: what missing points are, "ignore", "zero" or
    "anomaly", see ``tocsin.prepare.series.SeriesPreparer``; those that are filled are not flagged.
    ``score`` and ``detect`` judge by what training taught, whatever else the table holds;
    ``fit_detect`` has the whole series in view, and judges its points among themselves.

    >>> import numpy as np
    >>> t = np.arange(1200)
    >>> wave = np.sin(t / 8) + 0.05 * np.random.default_rng(0).normal(size=1200)
    >>> wave[1000:1020] = 0.0
    >>> pipeline = SeriesPipeline("autoregression").fit(wave[:800])
    >>> detection = pipeline.detect(wave[800:])
    >>> any(i.start < 220 and 200 <= i.end for i in detection.intervals)
    True
    """

    modality = "series"
    item = "points"

    preparer_: SeriesPreparer
    models_: dict[str, SeriesModel]

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        time: str | None = None,
        entity: str | None = None,
        models: Models | None = None,
        missing: Missing = "ignore",
        false_alarms: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        calibration: str = "extreme_value",
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.time = time
        self.entity = entity
        self.models = models
        self.missing = missing
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.calibration = calibration
        self.reasons = reasons
        self.seed = seed

    def read(self, path: str | Path) -> pd.DataFrame:
        """Return the table of a file, its columns as training read them. Raises UnreadableFile."""
        return read_table(path, known=self.preparer_.known if hasattr(self, "preparer_") else None)

    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal from series; y is ignored, labels (n,), 1 = anomaly, are used.

        Raises InputError for data that cannot be learned from, ParameterError for settings that
        cannot work.
        """
        self._learn(X, labels)
        return self

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the score of each prepared point, one entity after the other; y is ignored.

        Raises NotFitted, and SchemaMismatch for channels or entities not trained on.
        """
        return join_scores(self._detect_entities(self._fitted().preparer_.transform(X)))

    def detect(self, X: Any, *, explain: bool = True) -> SeriesDetection:
        """Return scores, decisions, the expected band and the anomalous intervals of series.

        Raises as ``score`` does.
        """
        series, remarks = self._fitted().preparer_.prepare(X)
        detections = self._detect_entities(series)
        drift, warnings = self._drift(detections)
        remarks = [*warnings, *remarks, *self._strangers(series)]
        return replace(self._detection(detections, remarks, explain=explain), drift=drift)

    def explain(self, X: Any, items: Sequence[int] | IntArray | None = None) -> SeriesDetection:
        """Return the answer with those intervals alone that hold one of these rows of X.

        None stands for all intervals. Raises InputError for a row that is not there, and as
        ``score`` does.
        """
        detection = self.detect(X)
        if items is None:
            return detection
        wanted = set(check_rows(items, len(X)).tolist())
        holding = [
            interval
            for interval in detection.intervals
            if wanted & set(detection.rows[interval.start : interval.end + 1].tolist())
        ]
        return replace(detection, intervals=tuple(holding))

    def decide(self, scores: Scores) -> Decision:
        """Return which scores are anomalies, by the first model where each entity has its own."""
        model = next(iter(self._fitted().models_.values()))
        return self._decide_new(model, scores.values)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> SeriesDetection:
        """Fit, and return the detection for the training series, with all of it in view."""
        detections = []
        for model, series, scores, known in self._learn(X, labels):
            decision = self._decide_together(model, scores, known)
            ends = np.cumsum([len(each) for each in scores])[:-1]
            parts = zip(series, scores, split_decision(decision, ends), strict=True)
            detections += [model.detection(*each) for each in parts]
        return self._detection(detections, (), explain=explain)

    @property
    def columns(self) -> list[str]:
        """The names of the channels."""
        return self.preparer_.columns_

    @property
    def budget(self) -> Budget:
        """The share of points that may be flagged, of the first model where each has its own."""
        if self.alarms_per_day is None or not hasattr(self, "models_"):
            return super().budget
        allowed = self._alarms_per_point()
        return Budget(next(iter(self.models_.values())).rate_of(allowed or 0.0))

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, assumed, dropped or filled in preparation."""
        notes = [*self.preparer_.notes_]
        if SHARED in self.models_ and self.models_[SHARED].levels_.differ:
            notes.append("entities differ in level or spread: each is judged in units of its own")
        return notes

    def _rows_per_day(self) -> float | None:
        step = None if not hasattr(self, "preparer_") else self.preparer_.step_
        if self.rows_per_day is not None or step is None:
            return self.rows_per_day
        return self.preparer_.entities_ * SECONDS_PER_DAY / step

    def _alarms_per_point(self) -> float | None:
        """Return how many alarms are allowed per point; None where a share of points is."""
        if self.alarms_per_day is None:
            return None
        if (rows := self._rows_per_day()) is None:
            raise ParameterError(
                "alarms_per_day needs times with a common step, or rows_per_day: how many points "
                "come per day."
            )
        return Budget.per_day(self.alarms_per_day, rows).rate

    def _promise(self) -> list[str]:
        if (allowed := self._alarms_per_point()) is None:
            return super()._promise()
        points = sum(model.points_ for model in self.models_.values())
        days = points / (self._rows_per_day() or 1.0)
        least = LEAST_ALARMS / days
        caution = "; fewer are extrapolated and not guaranteed"
        return [
            f"at most {self.alarms_per_day:g} alarms per day: intervals of all series together, "
            f"counted on {days:,.3g} days of training, which support no less than {least:.2g} per "
            f"day{caution if points * allowed < LEAST_ALARMS else ''}"
        ]

    def _strangers(self, series: Sequence[PreparedSeries]) -> list[str]:
        """Return a note about the entities that the shared model was not trained on."""
        model = self.models_.get(SHARED)
        if model is None:
            return []
        new = [each.entity for each in series if not model.levels_.knows(each.entity)]
        if not new:
            return []
        how = "judged as those of training are"
        if model.levels_.differ:
            how = "scaled by their own values, as training shows that entities differ"
        shown = ", ".join(f'"{name}"' for name in new[:5]) + (" …" if len(new) > 5 else "")
        return [f"{len(new):,} of {len(series):,} entities not in training ({shown}): {how}"]

    def _decide_new(self, model: SeriesModel, values: FloatArray) -> Decision:
        allowed = self._alarms_per_point()
        rate = self.budget.rate if allowed is None else 0.0
        return model.decide(values, self.calibration, rate, allowed)

    def moved(self, X: Any) -> list[str]:
        """Return the channels that lie elsewhere in these series than in training.

        Raises as ``score`` does.
        """
        found: dict[str, None] = {}
        for series in self._fitted().preparer_.transform(X):
            found |= dict.fromkeys(self._model_of(series.entity).moved(series, self.columns))
        return list(found)

    def _drift(self, detections: Sequence[EntityDetection]) -> tuple[Drift | None, list[str]]:
        """Return the drift with the most flagged points, if any, and what to say of it."""
        worst, note, first = None, "", 0
        for detection in detections:
            own = self._model_of(detection.series.entity).drift(detection, self.columns)
            if own is not None and (worst is None or own.flagged > worst.flagged):
                times, entity = detection.series.times, detection.series.entity
                since = "" if times is None else f" (from {_time(times[own.first])} on)"
                note = f"{own}{since}" if entity is None else f"{entity}: {own}{since}"
                worst = replace(own, first=first + own.first, last=first + own.last)
            first += len(detection.series.values)
        return worst, [note] if worst else []

    def _learn(self, X: Any, labels: ArrayLike | None) -> list[_Learned]:
        if self.models not in (None, "shared", "each"):
            raise ParameterError(f'models is "shared" or "each"; got {self.models!r}.')
        self.preparer_ = SeriesPreparer(time=self.time, entity=self.entity, missing=self.missing)
        series = self.preparer_.fit_transform(X)
        known = None if labels is None else check_labels(labels, len(X))
        streaming = self._new_series_detector().card.learning == ("streaming",)
        alone = self.models == "each" or (self.models is None and streaming)
        self.models_ = {}
        learned = []
        for group in [[one] for one in series] if alone else [series]:
            model = SeriesModel(self._new_series_detector(), self.calibration)
            own = None if known is None else [_labels_of(each, known) for each in group]
            learned.append(_Learned(model, group, model.fit(group, own), own))
            self.models_[(group[0].entity or "") if alone else SHARED] = model
        self._show_first()
        return learned

    def _show_first(self) -> None:
        """Let the first model stand for all where one is asked for, as for its card."""
        first = next(iter(self.models_.values()))
        self.detector_, self.calibration_ = first.detector_, first.calibration_

    def _new_series_detector(self) -> SeriesDetector:
        detector = self._new_detector(seed=self.seed)
        if not isinstance(detector, SeriesDetector):
            raise ParameterError(
                f"{detector.card.name} detects {detector.card.modality}, not series; for a table "
                f'detector over windows give the name "windowed:{detector.card.name}".'
            )
        return detector

    def _model_of(self, entity: str | None) -> SeriesModel:
        model = self.models_.get(SHARED) or self.models_.get(entity or "")
        if model is None:
            raise SchemaMismatch(
                f"There is no model for the entity {entity!r}: each has its own. Train on it too, "
                'or train one model for all with models="shared".'
            )
        return model

    def _detect_entities(self, series: Sequence[PreparedSeries]) -> list[EntityDetection]:
        models = [self._model_of(each.entity) for each in series]
        detections = []
        for each, model in zip(series, models, strict=True):
            scores = model.score(each)
            detections.append(model.detection(each, scores, self._decide_new(model, scores.values)))
        return detections

    def _decide_together(
        self, model: SeriesModel, scores: Sequence[Scores], labels: Sequence[IntArray] | None
    ) -> Decision:
        """Decide on the points of training series among themselves."""
        values = np.concatenate([each.values for each in scores])
        known = None if labels is None else np.concatenate(labels)
        normal = np.ones(len(values), dtype=np.bool_) if known is None else known == 0
        calibration = create_calibration(self.calibration).fit(values[normal])
        allowed = self._alarms_per_point()
        if allowed is None or allowed * len(values) < 1:
            return self._decide_training(calibration, values, known)
        heights = alarm_heights([each.values for each in scores], MERGED_WITHIN)
        threshold = heights[min(int(allowed * len(values)), len(heights) - 1)]
        return decide(calibration, values, point_rate(calibration, threshold))

    def _detection(
        self, detections: Sequence[EntityDetection], remarks: Sequence[str], *, explain: bool
    ) -> SeriesDetection:
        if SHARED not in self.models_:
            detections = [detection.comparable() for detection in detections]
        notes = tuple(dict.fromkeys((*self.notes_, *remarks)))
        return join(detections, self.columns, notes, self.reasons if explain else 0)

    def _state(self) -> dict[str, Any]:
        models = {name: model.get_state() for name, model in self.models_.items()}
        return {"preparer": self.preparer_.get_state(), "models": models}

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.preparer_ = SeriesPreparer(time=self.time, entity=self.entity, missing=self.missing)
        self.preparer_.set_state(state["preparer"])
        self.models_ = {
            name: SeriesModel(self._new_series_detector(), self.calibration).set_state(model)
            for name, model in state["models"].items()
        }
        for model in self.models_.values():
            model.check_channels(len(self.preparer_.columns_))
        self._show_first()


def _labels_of(series: PreparedSeries, labels: IntArray) -> IntArray:
    """Return the label of each point; a point that was filled in is taken as normal."""
    return np.where(series.rows >= 0, labels[series.rows], 0)


def _time(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="s")).replace("T", " ")
