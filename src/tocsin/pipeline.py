"""Prepare, detect, decide, explain: what is fitted, saved, loaded and scored."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from tocsin import __version__, registry
from tocsin.base import Detector, check_labels
from tocsin.decide import Budget, Calibration, decide
from tocsin.decide import create as create_calibration
from tocsin.errors import InputError, NotFitted, ParameterError
from tocsin.explain.tables import explain_rows
from tocsin.prepare.encode import Scale
from tocsin.prepare.tables import TablePreparer
from tocsin.sources.file import read_table
from tocsin.store import folder
from tocsin.types import Card, Decision, Detection, Explanation, FloatArray, IntArray, Scores

Training = Literal["guess", "clean", "mixed"]

MOST_EXPLAINED = 200
"""Anomalies explained at most in one call, the most anomalous ones."""

BACKGROUND_ROWS = 1000
"""Training rows kept, at most, to say what was expected in place of an anomaly."""


class NotFittedPipeline(NotFitted, NotFittedError):  # type: ignore[misc]
    """A pipeline was asked for scores before it was trained; also scikit-learn's error."""


class Pipeline(OutlierMixin, BaseEstimator):  # type: ignore[misc]
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

    detector_: Detector
    preparer_: TablePreparer
    calibration_: Calibration
    background_: FloatArray

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
        detector = self._new_detector()
        table = self._table(X, training=True)
        known = None if labels is None else check_labels(labels, len(table))
        self.preparer_ = TablePreparer(scale=self.scale)
        matrix = self.preparer_.fit_transform(table)
        self.detector_ = detector.fit(matrix, known)
        self.calibration_ = create_calibration(self.calibration)
        scores = self.detector_.training_scores_
        self.calibration_.fit(scores if known is None else scores[known == 0])
        self.background_ = _background(matrix, known, self.seed)
        return self

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the anomaly score of each row, higher = more anomalous; y is ignored.

        Raises NotFitted, and SchemaMismatch for other columns than those trained on.
        """
        return self._fitted().detector_.score(self._prepare(X))

    def detect(self, X: Any, *, explain: bool = True) -> Detection:
        """Return scores and decisions for new rows, and reasons for the anomalies.

        Explains at most the 200 most anomalous ones. Raises as ``score`` does.
        """
        table = self._fitted()._table(X)
        matrix = self.preparer_.transform(table)
        scores = self.detector_.score(matrix)
        return self._detection(table, matrix, scores, self.decide(scores), explain=explain)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> Detection:
        """Fit, and return the answer for the training rows, each scored leaving itself out."""
        table = self.fit(X, labels=labels)._table(X)
        matrix = self.preparer_.transform(table)
        scores = Scores(self.detector_.training_scores_)
        decision = self._decide_training(scores, labels)
        return self._detection(table, matrix, scores, decision, explain=explain)

    def decide(self, scores: Scores) -> Decision:
        """Return which scores are anomalies under the budget as it is set now."""
        calibration = self._fitted().calibration_
        if type(calibration) is not type(wanted := create_calibration(self.calibration)):
            calibration = wanted.set_state(calibration.get_state())
        return decide(calibration, scores.values, self.budget.rate)

    def explain(self, X: Any, rows: IntArray | None = None) -> dict[int, Explanation]:
        """Return, for these rows of X or for all, the columns that made each anomalous."""
        table = self._fitted()._table(X)
        wanted = np.arange(len(table)) if rows is None else np.asarray(rows)
        return self._explain(table, self.preparer_.transform(table), wanted)

    def sample(self, n: int, seed: int = 0) -> pd.DataFrame:
        """Return n new normal rows in the user's units, where the detector draws such.

        Raises ParameterError for a detector that does not.
        """
        draw = getattr(self._fitted().detector_, "sample", None)
        if draw is None:
            raise ParameterError(f"{self.detector_.card.name} draws no rows; vae and gan do.")
        rows = [self.preparer_.to_units(row) for row in draw(n, seed=seed)]
        return pd.DataFrame(rows, columns=self.preparer_.columns_)

    def embed(self, X: Any) -> NDArray[np.float32]:
        """Return the latent representation (n, k) of the rows, where the detector has one.

        Raises ParameterError for a detector without a latent space.
        """
        embed = getattr(self._fitted().detector_, "embed", None)
        if embed is None:
            raise ParameterError(
                f"{self.detector_.card.name} has no latent space; autoencoder, vae and gan have."
            )
        embedded: NDArray[np.float32] = embed(self._prepare(X))
        return embedded

    @property
    def budget(self) -> Budget:
        """The false-alarm budget. Raises ParameterError when the settings contradict."""
        if self.alarms_per_day is None:
            return Budget(self.false_alarms)
        if self.rows_per_day is None:
            raise ParameterError("alarms_per_day needs rows_per_day: how many rows come in a day.")
        return Budget.per_day(self.alarms_per_day, self.rows_per_day)

    @property
    def detector_name(self) -> str:
        """The name of the trained detector, with the one that it chose if it chooses."""
        name, own = self._fitted().detector_.card.name, self.card.name
        return name if own == name else f"{name} → {own}"

    @property
    def card(self) -> Card:
        """What the trained detector is, or the one that it chose."""
        detector = self._fitted().detector_
        chosen: Detector | None = getattr(detector, "chosen_", None)
        return detector.card if chosen is None else chosen.card

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters of the pipeline and of its trained detector, as JSON values."""
        fitted = self._fitted()
        return {
            **self.get_params(deep=False),
            "detector": fitted.detector_.card.name,
            "detector_parameters": fitted.detector_.get_params(),
        }

    @property
    def notes_(self) -> tuple[str, ...]:
        """What was guessed, dropped or filled, in plain words."""
        notes = [*self._fitted().preparer_.notes_]
        if reason := getattr(self.detector_, "reason_", None):
            notes.append(f"{self.detector_name}: {reason}")
        if self.budget.rate < self.calibration_.resolution:
            told = (
                "extrapolated, and no promise"
                if self.calibration == "extreme_value"
                else 'out of reach; calibration "extreme_value" extrapolates'
            )
            notes.append(
                f"calibrated on {self.calibration_.n_:,} rows, which can promise a false-alarm "
                f"rate of {self.calibration_.resolution:.2%}; {self.budget.rate:.2%} is {told}"
            )
        return tuple(notes)

    def save(self, path: str | Path, *, metrics: Mapping[str, Any] | None = None) -> None:
        """Write the pipeline into a folder, whole or not at all; load it with ``tocsin.load``.

        ``metrics``: what was measured of it, JSON values for the manifest. Raises NotSavable
        for a detector without a safe format.
        """
        fitted = self._fitted()
        about = {
            "kind": "pipeline",
            "tocsin": __version__,
            "card": asdict(fitted.detector_.card),
            "settings": fitted.settings,
            "columns": list(fitted.preparer_.columns_),
            "notes": list(fitted.notes_),
            "metrics": {"calibration_rows": fitted.calibration_.n_, **(metrics or {})},
        }
        state = {
            "preparer": self.preparer_.get_state(),
            "detector": self.detector_.get_state(),
            "calibration": self.calibration_.get_state(),
            "background": self.background_,
            "named_columns": hasattr(self, "feature_names_in_"),
            "n_features_in": self.n_features_in_,
        }
        folder.save_state(path, state, about)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the pipeline saved in a folder; no code in the folder is run.

        Raises NotAModel, CorruptModel or NewerFormat.
        """
        state, about = folder.load_state(path)
        settings = dict(about["settings"])
        parameters = settings.pop("detector_parameters")
        name, modality = about["card"]["name"], about["card"]["modality"]
        detector = registry.create(name, modality, **parameters)
        pipeline = cls(**{**settings, "detector": detector})
        pipeline.detector_ = clone(detector).set_state(state["detector"])
        pipeline.preparer_ = TablePreparer(scale=pipeline.scale).set_state(state["preparer"])
        pipeline.calibration_ = create_calibration(pipeline.calibration).set_state(
            state["calibration"]
        )
        pipeline.background_ = state["background"]
        pipeline.n_features_in_ = state["n_features_in"]
        if state["named_columns"]:
            pipeline.feature_names_in_ = np.array(about["columns"], dtype=object)
        return pipeline

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

    def _new_detector(self) -> Detector:
        if isinstance(self.detector, Detector):
            copy: Detector = clone(self.detector)
            return copy
        detector = registry.create(self.detector)
        for name, value in (("seed", self.seed), ("training", self.training)):
            if name in detector.parameter_names():
                detector.set_params(**{name: value})
        return detector

    def _fitted(self) -> Self:
        if not hasattr(self, "background_"):
            raise NotFittedPipeline("This Pipeline is not trained yet: call fit first.")
        return self

    def _prepare(self, X: Any) -> FloatArray:
        return self.preparer_.transform(self._table(X))

    def _table(self, X: Any, *, training: bool = False) -> Any:
        """Return X checked as scikit-learn checks it: a frame as it is, or a numeric matrix."""
        if not isinstance(X, pd.DataFrame) and getattr(X, "ndim", 2) > 2:
            X = np.reshape(X, (len(X), -1))
        frame = isinstance(X, pd.DataFrame)
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

    def _decide_training(self, scores: Scores, labels: ArrayLike | None) -> Decision:
        """Decide on training rows; those that calibrate are counted once, not twice."""
        counted = create_calibration("quantile").set_state(self.calibration_.get_state())
        decision = decide(counted, scores.values, self.budget.rate)
        if labels is None:
            return decision
        p_values = np.where(
            np.asarray(labels) == 0, decision.p_values, self.decide(scores).p_values
        )
        return replace(decision, p_values=p_values)

    def _detection(
        self,
        table: Any,
        matrix: FloatArray,
        scores: Scores,
        decision: Decision,
        *,
        explain: bool,
    ) -> Detection:
        detection = Detection(scores, decision, np.arange(len(scores)), notes=self.notes_)
        if not explain:
            return detection
        reasons = self._explain(table, matrix, detection.anomalies[:MOST_EXPLAINED])
        notes = (*self.notes_, *self.preparer_.remarks(table))
        return Detection(scores, decision, detection.rows, reasons, notes)

    def _explain(self, table: Any, matrix: FloatArray, rows: IntArray) -> dict[int, Explanation]:
        return explain_rows(
            self.detector_, self.preparer_, self.background_, table, matrix, rows, self.reasons
        )

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def load(path: str | Path) -> Pipeline:
    """Return the pipeline saved in a folder; raises NotAModel, CorruptModel or NewerFormat."""
    return Pipeline.load(path)


def detect(
    data: Any,
    *,
    train: Any = None,
    labels: ArrayLike | None = None,
    detector: str | Detector = "auto",
    false_alarms: float = 0.01,
    **settings: Any,
) -> Detection:
    """Return the anomalies of a table, a data frame, an array or the path of a file.

    With ``train``, rows known to be normal, the model learns from those; otherwise it
    learns from the data itself, taken as unlabelled, or labelled by ``labels`` (n,),
    1 = anomaly. ``settings`` are Pipeline's.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> rows[7] = 30.0
    >>> detect(rows).anomalies[0]
    np.int64(7)
    """
    data = read_table(data) if isinstance(data, str | Path) else data
    settings.setdefault("training", "mixed" if train is None else "clean")
    pipeline = Pipeline(detector, false_alarms=false_alarms, **settings)
    if train is None:
        return pipeline.fit_detect(data, labels=labels)
    train = read_table(train) if isinstance(train, str | Path) else train
    return pipeline.fit(train, labels=labels).detect(data)


def _background(matrix: FloatArray, labels: IntArray | None, seed: int) -> FloatArray:
    normal = np.arange(len(matrix)) if labels is None else np.flatnonzero(labels == 0)
    if len(normal) > BACKGROUND_ROWS:
        rng = np.random.default_rng(seed)
        normal = np.sort(rng.choice(normal, BACKGROUND_ROWS, replace=False))
    return matrix[normal]
