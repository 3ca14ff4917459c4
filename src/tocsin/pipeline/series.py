"""The pipeline of time series: points scored, anomalies reported as intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from tocsin.base import Detector, SeriesDetector, Stateful, check_labels
from tocsin.decide import Calibration
from tocsin.decide import create as create_calibration
from tocsin.errors import ParameterError, SchemaMismatch
from tocsin.explain.series import Band
from tocsin.pipeline.answers import Answer, join, join_scores, split
from tocsin.pipeline.base import BasePipeline
from tocsin.prepare.series import PreparedSeries, SeriesPreparer
from tocsin.types import FloatArray, IntArray, Scores, SeriesDetection

SECONDS_A_DAY = 86_400

SHARED = ""
"""The name of the model that all entities share."""

Models = Literal["shared", "each"]


class _Model(Stateful):
    """A trained detector with its calibration and the band of expected values."""

    detector_: SeriesDetector
    calibration_: Calibration
    band_: Band

    def __init__(self, detector: SeriesDetector, method: str) -> None:
        self.detector_ = detector
        self.calibration_ = create_calibration(method)
        self.band_ = Band()

    def fit(self, X: FloatArray, labels: IntArray | None) -> Scores:
        """Learn from a series, and return its points' honest scores."""
        self.detector_.fit(X, labels)
        own, held_out = self.detector_.training_scores_, self.detector_.held_out_
        normal = np.ones(len(X), dtype=bool) if labels is None else labels == 0
        self.calibration_.fit(own[held_out & normal])
        seen = self.detector_.score_together(X)
        scores = Scores(own, seen.parts, seen.expected)
        self.band_.fit(X, scores)
        return scores

    def set_state(self, state: Mapping[str, Any]) -> Self:
        self.detector_.set_state(state["detector_"])
        self.calibration_.set_state(state["calibration_"])
        self.band_.set_state(state["band_"])
        return self

    def get_state(self) -> dict[str, Any]:
        return {name: getattr(self, name).get_state() for name in vars(self)}


class SeriesPipeline(BasePipeline):
    """From raw time series to explained intervals under a stated false-alarm budget.

    ``detector``: a name (see ``tocsin.detectors.names("series")``) or an untrained detector.
    ``time`` and ``entity``: the columns that hold the time and which series a row belongs to;
    None looks for them, "none" says that there is none. ``models``: "shared", one model for
    all entities, or "each", one for each, whose scores are then minus the logarithm (base 10)
    of the p-value, so that they compare; None takes "each" for streaming detectors.
    ``false_alarms``: the share of normal points that may be flagged; or ``alarms_per_day``,
    with ``rows_per_day`` where there is no regular time. Series are data frames with one row a
    time (and entity), or arrays (n,) or (n, channels) in the order of time.

    Missing points are filled and never flagged. The thresholds assume that training points tell
    what scores are usual; neighbouring points of a series are alike, so alarms come in runs.

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
    models_: dict[str, _Model]

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        time: str | None = None,
        entity: str | None = None,
        models: Models | None = None,
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
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.calibration = calibration
        self.reasons = reasons
        self.seed = seed

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
        return join_scores(self._answers(self._fitted().preparer_.transform(X)))

    def detect(self, X: Any, *, explain: bool = True) -> SeriesDetection:
        """Return scores, decisions, the expected band and the anomalous intervals of series.

        Raises as ``score`` does.
        """
        series, remarks = self._fitted().preparer_.prepare(X)
        return self._detection(self._answers(series), remarks, explain=explain)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> SeriesDetection:
        """Fit, and return the answer for the training series, each point by its honest score."""
        return self._detection(self._learn(X, labels), (), explain=explain)

    @property
    def columns(self) -> list[str]:
        """The names of the channels."""
        return self.preparer_.columns_

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, guessed, dropped or filled in preparation."""
        return self.preparer_.notes_

    def _rows_per_day(self) -> float | None:
        step = None if not hasattr(self, "preparer_") else self.preparer_.step_
        if self.rows_per_day is not None or step is None:
            return self.rows_per_day
        return SECONDS_A_DAY / step

    def _learn(self, X: Any, labels: ArrayLike | None) -> list[Answer]:
        if self.models not in (None, "shared", "each"):
            raise ParameterError(f'models is "shared" or "each"; got {self.models!r}.')
        self.preparer_ = SeriesPreparer(time=self.time, entity=self.entity)
        series = self.preparer_.fit_transform(X)
        known = None if labels is None else check_labels(labels, len(X))
        streaming = self._new_series_detector().card.learning == ("streaming",)
        alone = self.models == "each" or (self.models is None and streaming)
        self.models_ = {}
        answers = []
        for group in [[one] for one in series] if alone else [series]:
            model = _Model(self._new_series_detector(), self.calibration)
            its_labels = None
            if known is not None:
                its_labels = np.concatenate([_labels_of(each, known) for each in group])
            scores = model.fit(np.concatenate([each.values for each in group]), its_labels)
            self.models_[(group[0].entity or "") if alone else SHARED] = model
            decision = self._decide_training(model.calibration_, scores.values, its_labels)
            answers += split(group, scores, decision, model.band_)
        self._show_first()
        return answers

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

    def _model_of(self, entity: str | None) -> _Model:
        model = self.models_.get(SHARED) or self.models_.get(entity or "")
        if model is None:
            raise SchemaMismatch(
                f"There is no model for the entity {entity!r}: each has its own. Train on it too, "
                'or train one model for all with models="shared".'
            )
        return model

    def _answers(self, series: Sequence[PreparedSeries]) -> list[Answer]:
        models = [self._model_of(each.entity) for each in series]
        answers = []
        for each, model in zip(series, models, strict=True):
            scores = model.detector_.score(each.values)
            decision = self._decide(model.calibration_, scores.values)
            answers.append(Answer(each, scores, decision, model.band_))
        return answers

    def _detection(
        self, answers: Sequence[Answer], remarks: Sequence[str], *, explain: bool
    ) -> SeriesDetection:
        if SHARED not in self.models_:
            answers = [answer.comparable() for answer in answers]
        notes = tuple(dict.fromkeys((*self.notes_, *remarks)))
        return join(answers, self.columns, notes, self.reasons if explain else 0)

    def _state(self) -> dict[str, Any]:
        models = {name: model.get_state() for name, model in self.models_.items()}
        return {"preparer": self.preparer_.get_state(), "models": models}

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.preparer_ = SeriesPreparer(time=self.time, entity=self.entity)
        self.preparer_.set_state(state["preparer"])
        self.models_ = {
            name: _Model(self._new_series_detector(), self.calibration).set_state(model)
            for name, model in state["models"].items()
        }
        self._show_first()


def _labels_of(series: PreparedSeries, labels: IntArray) -> IntArray:
    """Return the label of each point; a point that was filled in is taken as normal."""
    return np.where(series.rows >= 0, labels[series.rows], 0)
