"""What every detector is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone

from tocsin.base.declared import Shape, parameter_problem
from tocsin.base.parameters import check_least
from tocsin.base.state import State, Stateful
from tocsin.errors import CorruptModel, InputError, NotFitted, ParameterError
from tocsin.types import BoolArray, Card, FloatArray, IntArray, Scores


class Detector(Stateful, BaseEstimator):  # type: ignore[misc]
    """What every detector is: ``fit``, then ``score``; decisions are made elsewhere.

    Parameters are plain keywords of the constructor, stored as given (scikit-learn's
    ``get_params`` and ``clone`` work) and expressible in JSON. Fitted attributes end with
    an underscore. After ``fit``, ``training_scores_`` (n,) holds the out-of-sample score of
    each training item: that of a model that has not learned from it.

    A subclass defines ``card``, ``_fit`` and ``_score``. By default training scores come from
    refits on five folds; where they come cheaper or better, ``_fit`` returns them, or
    ``_score_training`` is overridden.
    """

    card: ClassVar[Card]
    uses_labels: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False
    slow_to_check: ClassVar[bool] = False
    """Whether each check of the contract takes seconds, even with ``test_parameters``."""

    training_scores_: Annotated[FloatArray, Shape("n")]
    reason_: str = ""
    """Why the detector learned as it did, as a sentence; empty where there is no choice."""
    warnings_: Sequence[str] = ()
    """What whoever trains the detector should know about the training items."""
    holds_out_blocks_: bool = False
    """Whether the training scores come from models that have not seen a whole block of items."""

    @property
    def chosen(self) -> Detector:
        """The detector that scores: this one, or the one that it chose when it was trained."""
        return self

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {}

    @classmethod
    def parameter_names(cls) -> list[str]:
        """Return the names of the constructor's parameters."""
        return list(cls._get_param_names())

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn what is normal from items X, with labels y (n,), 1 = anomaly, if there are any.

        A detector that does not learn from labels learns from the items labelled normal.
        Raises InputError for data that cannot be learned from. X is not changed.
        """
        X = self._check_training(X)
        labels = None if y is None else check_labels(y, len(X))
        if self.needs_labels and labels is None:
            raise InputError(
                f"{self.card.name} learns from labels: give y, one label per row, 0 (normal) or "
                "1 (anomaly)."
            )
        if self.uses_labels or self.needs_labels:
            self.training_scores_ = self._fit_and_score(X, labels)
        else:
            self._fit_normal(X, np.ones(len(X), dtype=bool) if labels is None else labels == 0)
        return self

    def score(self, X: Any) -> Scores:
        """Return one score per item, higher = more anomalous; changes no state.

        Raises NotFitted before ``fit``, and SchemaMismatch for another shape than trained on.
        """
        if not hasattr(self, "training_scores_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before score.")
        return self._score(self._check_scoring(X))

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self.

        Raises CorruptModel for parameters that ``fit`` would refuse, and for what is not as the
        fitted attributes are declared.
        """
        try:
            self._check_all_parameters()
        except ParameterError as error:
            raise CorruptModel(
                f"{self.card.name} was saved with a parameter that cannot work: {error}"
            ) from error
        return super().set_state(state)

    def as_state(self) -> State:
        """Return the state together with what it takes to build the detector again."""
        return {
            "detector": self.card.name,
            "modality": self.card.modality,
            "parameters": self.get_params(),
            "state": self.get_state(),
        }

    def _fit_normal(self, X: Any, normal: BoolArray) -> None:
        """Learn from the normal items alone; the others are scored as new ones."""
        if normal.all():
            self.training_scores_ = self._fit_and_score(X, None)
            return
        if normal.sum() < 2:
            raise InputError(
                f"{self.card.name} learns from rows labelled normal; only {normal.sum()} of "
                f"{len(normal)} are."
            )
        own = self._fit_and_score(X[normal], None)
        self.training_scores_ = np.empty(len(X))
        self.training_scores_[normal] = own
        self.training_scores_[~normal] = self._score(X[~normal]).values

    def _fit_and_score(self, X: Any, y: IntArray | None) -> FloatArray:
        """Learn from items and return their training scores (n,)."""
        self._check_all_parameters()
        check_least(0, seed=getattr(self, "seed", None))
        own = self._fit(X, y)
        return self._score_training(X, y) if own is None else own

    def _learns(self, name: str) -> bool:
        return name != "training_scores_"  # a part of another detector does without, and score asks

    def _check_all_parameters(self) -> None:
        """Raise ParameterError for parameters of other types than annotated, or out of range."""
        problem = parameter_problem(self, self.parameter_names())
        try:
            self._check_parameters()  # first, as it can say what is possible
        except TypeError as error:
            raise ParameterError(problem or f"{self.card.name} cannot work so: {error}.") from error
        if problem:
            raise ParameterError(problem)

    def _check_parameters(self) -> None:
        """Raise ParameterError for parameters that cannot work.

        ``fit`` asks before ``_fit``, and ``set_state`` before anything is restored; types and
        ranges in the annotations of the constructor need no more.
        """

    def _fit(self, X: Any, y: IntArray | None) -> FloatArray | None:
        """Learn from items; return their training scores (n,) if they come with it."""
        raise NotImplementedError

    def _score(self, X: Any) -> Scores:
        raise NotImplementedError

    def _score_training(self, X: Any, y: IntArray | None) -> FloatArray:
        return out_of_fold_scores(self, X, y)

    def _check_training(self, X: Any) -> Any:
        raise NotImplementedError

    def _check_scoring(self, X: Any) -> Any:
        raise NotImplementedError


def check_labels(y: ArrayLike, n: int) -> IntArray:
    """Return labels (n,) as int64, 0 = normal, 1 = anomaly.

    Raises InputError for another length or other values.

    >>> check_labels([False, True], 2)
    array([0, 1])
    """
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise InputError(f"Expected {n} labels, one per row; got an array of shape {labels.shape}.")
    found = np.unique(labels)
    if not set(found.tolist()) <= {0, 1}:
        shown = ", ".join(map(str, found[:5]))
        raise InputError(f"Labels are 0 (normal) or 1 (anomaly); got {len(found)} values: {shown}.")
    return labels.astype(np.int64)


def assign_folds(n: int, folds: int, seed: int = 0, y: IntArray | None = None) -> IntArray:
    """Return the fold (n,) of each item: shuffled, of equal sizes, and stratified by y if given.

    >>> np.bincount(assign_folds(10, 5)).tolist()
    [2, 2, 2, 2, 2]
    """
    if not 2 <= folds <= n:
        raise ParameterError(f"{n} rows cannot be cut into {folds} folds.")
    order = np.random.default_rng(seed).permutation(n)
    if y is not None:
        order = order[np.argsort(y[order], kind="stable")]
    fold = np.empty(n, dtype=np.int64)
    fold[order] = np.arange(n) % folds
    return fold


def out_of_fold_scores(
    detector: Detector, X: NDArray[Any], y: IntArray | None, folds: int = 5
) -> FloatArray:
    """Return scores (n,) of items, each from a copy of the detector trained without its fold."""
    values = np.empty(len(X))
    fold = assign_folds(len(X), min(folds, len(X)), y=y)
    for held_out in np.unique(fold):
        inside = fold != held_out
        copy = clone(detector)
        train = copy._check_training(X[inside]) if inside.sum() > 1 else copy._check_training(X)
        labels = None if y is None else (y[inside] if inside.sum() > 1 else y)
        copy._fit(train, labels)
        values[~inside] = copy._score(X[~inside]).values
    return values
