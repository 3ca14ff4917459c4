"""The pipeline of tables; also a scikit-learn outlier detector."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import OutlierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from tocsin.base import Detector, check_labels, scores_by_a_copy
from tocsin.base.abilities import Embeds, Exports, Samples
from tocsin.base.declared import Shape
from tocsin.base.held_out import Relearn
from tocsin.errors import CorruptModel, InputError, MissingExtra, NotSavable, ParameterError
from tocsin.explain.tables import explain_rows
from tocsin.pipeline.base import BasePipeline, check_rows
from tocsin.pipeline.moved import moved_columns, rebased
from tocsin.pipeline.tables_onnx import ONNX_FILE, served
from tocsin.prepare.encode import Scale
from tocsin.prepare.tables import TablePreparer
from tocsin.readers.table import read_table
from tocsin.types import (
    Decision,
    Detection,
    Drift,
    Explanation,
    FloatArray,
    IntArray,
    Scores,
    Training,
)

_MOST_LEVELS = 3
"""Changes of level that are followed at most in one call."""

BACKGROUND_ROWS = 1000
"""Training rows kept, at most, to say what was expected in place of an anomaly."""


class Pipeline(OutlierMixin, BasePipeline):  # type: ignore[misc]
    """From raw tables to explained anomalies under a stated false-alarm budget.

    ``detector``: a name (see ``tocsin.detectors.names()``) or an untrained detector.
    ``training``: what the training rows are, for detectors that ask: "clean" (normal only),
    "mixed" (unlabelled, some anomalous) or "guess". ``scale``: how columns are scaled.
    ``false_alarms``: the share of normal rows that may be flagged; or ``alarms_per_day``
    with ``rows_per_day``. ``calibration``: "conformal" counts training scores,
    "extreme_value" does so too and extrapolates below what counting can tell, "quantile" takes
    the plain quantile. All of these may be set after fitting, and hold at once.

    Tables are data frames (n, d) with columns of any type, or numeric arrays (n, …),
    flattened to (n, d). Missing values are filled. Also a scikit-learn outlier detector:
    ``predict`` gives +1 normal, -1 anomalous.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(500, 3))
    >>> pipeline = Pipeline("neighbours", false_alarms=0.01).fit(rows)
    >>> detection = pipeline.detect([[0.1, -0.2, 0.3], [0.0, 9.0, 0.0]])
    >>> detection.decision.is_anomaly.tolist()
    [False, True]
    >>> detection.explanations[1].reasons[0].name
    'x1'
    """

    modality = "tables"
    adapts = True

    preparer_: TablePreparer
    background_: Annotated[FloatArray, Shape("b", "m")]

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        training: Training = "guess",
        scale: Scale = "standard",
        false_alarms: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        calibration: str = "extreme_value",
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.training = training
        self.scale = scale
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.calibration = calibration
        self.reasons = reasons
        self.seed = seed

    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal from a table; labels (n,), 1 = anomaly, are used if given.

        ``y`` is ignored, as by every scikit-learn outlier detector. Raises InputError for
        data that cannot be learned from, ParameterError for settings that cannot work.
        """
        if y is not None and labels is None:
            warnings.warn(
                "y is ignored, as by scikit-learn's outlier detectors; pass labels=y to use it.",
                stacklevel=2,
            )
        detector = self._new_detector(seed=self.seed, training=self.training)
        table = self._table(X, training=True)
        known = None if labels is None else check_labels(labels, len(table))
        self.preparer_ = TablePreparer(scale=self.scale)
        matrix = self.preparer_.fit_transform(table)
        self.detector_ = detector.fit(matrix, known)
        self._calibrate(
            matrix, known, self._relearning(table, known), novel=self.preparer_.meets_new_values
        )
        self.background_ = _background(matrix, known, self.seed)
        return self

    def read(self, path: str | Path) -> pd.DataFrame:
        """Return the table of a file, its columns as training read them. Raises UnreadableFile."""
        return read_table(path, known=self.preparer_.known if hasattr(self, "preparer_") else None)

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the anomaly score of each row, higher = more anomalous; y is ignored.

        Raises NotFitted, and SchemaMismatch for other columns than those trained on.
        """
        return self._fitted().detector_.score(self._prepare(X))

    def detect(self, X: Any, *, explain: bool = True, adapt: bool = False) -> Detection:
        """Return scores and decisions for new rows, in their order, and reasons for the anomalies.

        Where more are flagged over a stretch of rows than the budget allows, ``drift`` names it.
        With ``adapt``, the levels of the numeric columns that moved there are taken as the new
        normal ones: the stretch is shifted back to the training medians and scored again, so
        that its rows are judged around their own level. Explains at most the 200 most anomalous
        ones. Raises as ``score`` does.
        """
        table = self._fitted()._table(X)
        matrix = self.preparer_.transform(table)
        scores = self.detector_.score(matrix)
        decision = self.decide(scores)
        drift = self._drift(decision, matrix)
        if adapt and drift is not None:
            matrix, scores, decision, drift = self._adapted(matrix, scores, drift)
        return self._detection(table, matrix, scores, decision, drift, explain)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> Detection:
        """Fit, and return the answer for the training rows, each scored leaving itself out."""
        table = self.fit(X, labels=labels)._table(X)
        matrix = self.preparer_.transform(table)
        scores = Scores(self.detector_.training_scores_)
        decision = self._decide_training(self._counted(labels), scores.values, labels)
        return self._detection(table, matrix, scores, decision, None, explain)

    def explain(self, X: Any, items: Sequence[int] | IntArray | None = None) -> Detection:
        """Return the answer with the columns that made these rows of X, or the anomalies, odd.

        Raises InputError for a row that is not there, and as ``score`` does.
        """
        if items is None:
            return self.detect(X)
        table = self._fitted()._table(X)
        rows = check_rows(items, len(table))
        matrix = self.preparer_.transform(table)
        scores = self.detector_.score(matrix)
        decision = self.decide(scores)
        drift = self._drift(decision, matrix)
        return self._detection(table, matrix, scores, decision, drift, rows)

    def _examples_kept(self) -> list[str]:
        return [f"{len(self.background_):,} training rows for explanations"]

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Return n new normal rows in the user's units, where the detector can draw them.

        Raises ParameterError for a detector that does not.
        """
        detector = self._fitted().detector_
        if not isinstance(detector, Samples):
            raise ParameterError(f"{self.detector_.card.name} draws no rows; vae and gan do.")
        rows = [self.preparer_.to_units(row) for row in detector.sample(n, seed=seed)]
        return pd.DataFrame(rows, columns=self.preparer_.columns_)

    def embed(self, X: Any) -> FloatArray:
        """Return the latent representation (n, k) of the rows, where the detector has one.

        Raises ParameterError for a detector without a latent space.
        """
        detector = self._fitted().detector_
        if not isinstance(detector, Embeds):
            raise ParameterError(
                f"{self.detector_.card.name} has no latent space; autoencoder, vae and gan have."
            )
        embedded: FloatArray = detector.embed(self._prepare(X))
        return embedded

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return self.preparer_.columns_

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, assumed, dropped or filled in preparation."""
        return self.preparer_.notes_

    def score_samples(self, X: Any) -> FloatArray:
        """Return scores (n,) in scikit-learn's sense: lower = more anomalous."""
        return -self.score(X).values

    def decision_function(self, X: Any) -> FloatArray:
        """Return ``score_samples`` less ``offset_`` (n,): below 0 = anomalous."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> IntArray:
        """Return +1 for normal rows and -1 for anomalous ones (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    @property
    def offset_(self) -> float:
        """Minus the threshold under the budget as it is set now."""
        return -self.decide(Scores(np.zeros(1))).threshold

    def _relearning(self, table: Any, known: IntArray | None) -> Relearn:
        """Return what prepares and learns from scratch from some normal rows, and scores others."""
        normal = np.arange(len(table)) if known is None else np.flatnonzero(known == 0)
        if isinstance(table, pd.DataFrame):  # columns dropped over all rows carry nothing in some
            kinds = np.array(self.preparer_.kinds_)
            table = table.loc[:, kinds != "dropped"]

        def scores(inside: IntArray, outside: IntArray) -> FloatArray:
            kept, left_out = (_rows(table, normal[places]) for places in (inside, outside))
            preparer = TablePreparer(scale=self.scale)
            try:
                matrix = preparer.fit_transform(kept)
            except InputError:  # no column varies in these rows: prepared as in all of them
                preparer = self.preparer_
                matrix = preparer.transform(kept)
            return scores_by_a_copy(self.detector_, matrix, preparer.transform(left_out))

        return scores

    def _state(self) -> dict[str, Any]:
        return {
            "detector": self.detector_.get_state(),
            "calibration": self.calibration_.get_state(),
            "preparer": self.preparer_.get_state(),
            "background": self.background_,
            "named_columns": hasattr(self, "feature_names_in_"),
            "n_features_in": self.n_features_in_,
        }

    @classmethod
    def served(
        cls, path: str | Path, state: Mapping[str, Any], about: Mapping[str, Any], threads: int
    ) -> dict[str, Any]:
        """Return a saved state whose network onnxruntime runs.

        Raises ParameterError when the folder holds no ONNX model of it, CorruptModel when it holds
        an unusable one.
        """
        return served(path, state, about, threads)

    def _more_files(self) -> dict[str, bytes]:
        """Return the ONNX model of a network, unless it cannot be made here."""
        chosen = self.detector_.chosen
        try:
            return {ONNX_FILE: chosen.to_onnx()} if isinstance(chosen, Exports) else {}
        except (MissingExtra, NotSavable):
            return {}

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self._restore_model(state)
        self.preparer_ = TablePreparer(scale=self.scale).set_state(state["preparer"])
        self.background_ = state["background"]
        widths = {self.background_.shape[1], len(self.preparer_.groups_)}
        if widths != {self.detector_.n_features_in_}:
            raise CorruptModel("The columns of the model's parts differ. Train and save it again.")
        self.n_features_in_ = state["n_features_in"]
        if state["named_columns"]:
            self.feature_names_in_ = np.array(about["columns"], dtype=object)

    def _prepare(self, X: Any) -> FloatArray:
        return self.preparer_.transform(self._table(X))

    def _table(self, X: Any, *, training: bool = False) -> Any:
        """Return X checked as scikit-learn checks it: a frame as it is, or a numeric matrix."""
        if not isinstance(X, pd.DataFrame) and getattr(X, "ndim", 2) > 2:
            X = np.reshape(X, (len(X), -1))
        frame = isinstance(X, pd.DataFrame)
        if frame and not training and self._columns_fit(X):
            return X
        try:
            if frame and X.shape[1] == 0:
                raise InputError(
                    f"0 feature(s) (shape={X.shape}) while a minimum of 1 is required."
                )
            X = validate_data(
                self,
                X,
                reset=training,
                **({"skip_check_array": True} if frame else {"dtype": np.float64}),
                **({} if frame else {"ensure_all_finite": False}),
            )
        except ValueError as error:
            raise InputError(str(error)) from error
        if training and len(X) < 2:
            raise InputError(f"Training needs at least 2 rows; got n_samples = {len(X)}.")
        return X

    def _columns_fit(self, X: pd.DataFrame) -> bool:
        """Return whether the columns are those of training; scikit-learn's check is slower."""
        return hasattr(self, "feature_names_in_") and list(X.columns) == self.columns

    def _detection(
        self,
        table: Any,
        matrix: FloatArray,
        scores: Scores,
        decision: Decision,
        drift: Drift | None,
        explained: bool | IntArray,
    ) -> Detection:
        """Return the answer; ``explained``: these rows, the most anomalous ones, or none."""
        notes = self.notes_ if drift is None else (*self.notes_, str(drift))
        rows = np.arange(len(scores))
        detection = Detection(scores, decision, rows, notes=notes, drift=drift)
        if explained is False:
            return detection
        if explained is True:
            explained = detection.anomalies[: self.most_explained]
        reasons = self._explain(table, matrix, explained)
        notes = (*notes, *self.preparer_.remarks(table))
        return Detection(scores, decision, rows, reasons, notes, drift)

    def moved(self, X: Any) -> list[str]:
        """Return the columns that lie elsewhere in these rows than in training, farthest first.

        Raises as ``score`` does.
        """
        return self._moved(self._fitted().preparer_.transform(X))

    def _moved(self, matrix: FloatArray) -> list[str]:
        ready = self.preparer_
        return moved_columns(self.background_, matrix, ready.groups_, ready.columns_)

    def _drift(self, decision: Decision, matrix: FloatArray) -> Drift | None:
        """Return where more rows are flagged than the budget allows, and what moved there."""
        if (found := self._drifting(decision)) is None:
            return None
        return replace(found, columns=tuple(self._moved(matrix[found.first : found.last + 1])))

    def _adapted(
        self, matrix: FloatArray, scores: Scores, drift: Drift
    ) -> tuple[FloatArray, Scores, Decision, Drift]:
        """Return rows, scores and decision with the levels of drifting stretches shifted back."""
        matrix, followed, left = matrix.copy(), replace(drift, adapted=True), drift
        numeric = self.preparer_.numbers_.varying_.size
        for _ in range(_MOST_LEVELS):
            stretch = slice(left.first, left.last + 1)
            matrix[stretch] = rebased(self.background_, matrix[stretch], numeric)
            scores = self.detector_.score(matrix)
            decision = self.decide(scores)
            found = self._drift(decision, matrix)
            if found is None:
                return matrix, scores, decision, followed
            left = found
        return matrix, scores, decision, left

    def _explain(self, table: Any, matrix: FloatArray, rows: IntArray) -> dict[int, Explanation]:
        return explain_rows(
            self.detector_, self.preparer_, self.background_, table, matrix, rows, self.reasons
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _rows(table: Any, places: IntArray) -> Any:
    return table.iloc[places] if isinstance(table, pd.DataFrame) else table[places]


def _background(matrix: FloatArray, labels: IntArray | None, seed: int) -> FloatArray:
    normal = np.arange(len(matrix)) if labels is None else np.flatnonzero(labels == 0)
    if len(normal) > BACKGROUND_ROWS:
        rng = np.random.default_rng(seed)
        normal = np.sort(rng.choice(normal, BACKGROUND_ROWS, replace=False))
    return matrix[normal]
