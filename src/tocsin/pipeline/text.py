"""The pipeline of texts: texts scored, anomalies shown with the words that made them such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from tocsin.base import Detector, check_labels
from tocsin.decide import create as create_calibration
from tocsin.errors import InputError
from tocsin.explain.text import Background, explain_texts
from tocsin.pipeline.base import BasePipeline
from tocsin.pipeline.tables import Training
from tocsin.prepare.text import TextPreparer
from tocsin.readers.text import read_texts
from tocsin.types import (
    Decision,
    Detection,
    Drift,
    Explanation,
    FloatArray,
    IntArray,
    Scores,
    TextArray,
    TextDetection,
)

MOST_EXPLAINED = 50
"""Anomalies explained at most in one call, the most anomalous ones."""

_ORDINARY = 0.9
"""The share of unlabelled training texts, those of the lowest scores, taken as examples."""


class TextPipeline(BasePipeline):
    """From texts to anomalies with the words that made them such, under a false-alarm budget.

    ``detector``: a name (see ``tocsin.detectors.names("text")``) or an untrained detector.
    ``text``: the column of a table that holds the texts; None finds it. ``training``: what the
    training texts are: "clean" (normal only), "mixed" (unlabelled, some anomalous) or "guess".
    ``false_alarms``: the share of normal texts that may be flagged; or ``alarms_per_day`` with
    ``rows_per_day``, which counts texts. ``calibration``: see ``Pipeline``. ``reasons``: the
    words named at most for each anomaly.

    Texts are a list, an array or a Series of str, a data frame, or a path: a table, or a .txt
    file with a text in each line.

    >>> from tocsin import registry
    >>> usual = [f"see you at {hour} for {meal}" for hour in range(24) for meal in ("tea", "food")]
    >>> views = registry.create("text_views", "text", training="clean", encoder=None)
    >>> pipeline = TextPipeline(views).fit(usual)
    >>> detection = pipeline.detect(["see you at 7 for tea", "WIN £5000!!! txt 80086"])
    >>> [detection.texts[i] for i in detection.anomalies]
    ['WIN £5000!!! txt 80086']
    """

    modality = "text"
    item = "texts"

    preparer_: TextPreparer
    background_: Background

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        text: str | None = None,
        training: Training = "guess",
        false_alarms: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        calibration: str = "extreme_value",
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.text = text
        self.training = training
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.calibration = calibration
        self.reasons = reasons
        self.seed = seed

    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal from texts; y is ignored, labels (n,), 1 = anomaly, are used.

        Raises UnreadableFile, SchemaMismatch for a column that is not there, InputError for
        texts that cannot be learned from, and ParameterError for settings that cannot work.
        """
        self._learn(X, labels)
        return self

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the score of each text, higher = more anomalous; y is ignored.

        Raises NotFitted, UnreadableFile, SchemaMismatch and InputError.
        """
        return self.detector_.score(self._fitted().preparer_.transform(_given(X)))

    def detect(self, X: Any, *, explain: bool = True) -> TextDetection:
        """Return scores and decisions for new texts, and what made the anomalies such.

        Explains at most the 50 most anomalous ones. Raises as ``score`` does.
        """
        return self._found(X, None, self.reasons if explain else 0)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> TextDetection:
        """Fit, and return the answer for the training texts, each scored leaving itself out."""
        texts = self._learn(X, labels)
        scores = Scores(self.detector_.training_scores_)
        decision = self._decide_training(self._counted(labels), scores.values, labels)
        return self._detection(
            texts, scores, decision, None, self.reasons if explain else 0, self.notes_
        )

    def explain(self, X: Any, rows: Sequence[int] | IntArray | None = None) -> TextDetection:
        """Return the answer with reasons for these rows of X, or for the anomalies.

        Raises InputError for a row that is not there, and as ``score`` does.
        """
        return self._found(X, rows, self.reasons)

    @property
    def columns(self) -> list[str]:
        """The column that holds the texts; an empty list if there are no columns."""
        column = self.preparer_.column_
        return [] if column is None else [column]

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, filled, decoded and counted in preparation."""
        return [*self.preparer_.notes_, *getattr(self.detector_, "warnings_", [])]

    def _learn(self, X: Any, labels: ArrayLike | None) -> TextArray:
        detector = self._new_detector(seed=self.seed, training=self.training)
        preparer = TextPreparer(self.text)
        texts = preparer.fit_transform(_given(X))
        known = None if labels is None else check_labels(labels, len(texts))
        self.detector_ = detector.fit(texts, known)
        self.preparer_ = preparer
        self._calibrate(texts, known)
        scores = self.detector_.training_scores_
        self.background_ = Background(self.seed)
        self.background_.fit(texts[self._examples(scores, known)])
        return texts

    def _examples(self, scores: FloatArray, known: IntArray | None) -> IntArray:
        """Return which training texts may stand for normal ones."""
        if known is not None:
            return np.flatnonzero(known == 0)
        if self.training == "clean":
            return np.arange(len(scores))
        return np.flatnonzero(scores <= np.quantile(scores, _ORDINARY))

    def _found(self, X: Any, rows: Sequence[int] | IntArray | None, reasons: int) -> TextDetection:
        texts, remarks = self._fitted().preparer_.prepare(_given(X))
        beyond = [row for row in ([] if rows is None else rows) if not 0 <= row < len(texts)]
        if beyond:
            raise InputError(
                f"There are rows 0 to {len(texts) - 1:,}; there is no row {beyond[0]:,}."
            )
        scores = self.detector_.score(texts)
        decision = self.decide(scores)
        drift = self._drifting(decision)
        told = [] if drift is None else [str(drift)]
        notes = tuple(dict.fromkeys([*self.notes_, *remarks, *told]))
        return self._detection(texts, scores, decision, rows, reasons, notes, drift)

    def _detection(
        self,
        texts: TextArray,
        scores: Scores,
        decision: Decision,
        rows: Sequence[int] | IntArray | None,
        reasons: int,
        notes: tuple[str, ...],
        drift: Drift | None = None,
    ) -> TextDetection:
        every: IntArray = np.arange(len(texts))
        if rows is None:
            rows = Detection(scores, decision, every).anomalies[:MOST_EXPLAINED]
        wanted = [int(row) for row in rows] if reasons else []
        chosen: Detector | None = getattr(self.detector_, "chosen_", None)
        told = explain_texts(
            chosen or self.detector_,
            [texts[row] for row in wanted],
            self.background_,
            reasons,
        )
        explanations, marks, nearest = {}, {}, {}
        for row, (why, where) in zip(wanted, told, strict=True):
            explanations[row] = Explanation(row, why)
            marks[row] = where
            if (near := self.background_.nearest(texts[row])) is not None:
                nearest[row] = near
        return TextDetection(
            scores,
            decision,
            every,
            explanations,
            notes,
            drift,
            texts=texts,
            marks=marks,
            nearest=nearest,
        )

    def _state(self) -> dict[str, Any]:
        return {
            "detector": self.detector_.get_state(),
            "calibration": self.calibration_.get_state(),
            "preparer": self.preparer_.get_state(),
            "background": self.background_.get_state(),
        }

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.detector_ = self._new_detector().set_state(state["detector"])
        self.calibration_ = create_calibration(self.calibration).set_state(state["calibration"])
        self.preparer_ = TextPreparer(self.text).set_state(state["preparer"])
        self.background_ = Background(self.seed).set_state(state["background"])


def _given(X: Any) -> Any:
    """Return texts as they are given, those of a path read from it."""
    return read_texts(X) if isinstance(X, str | Path) else X
