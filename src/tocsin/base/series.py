"""Detectors of time series, and of events as they come."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from tocsin.base.detector import Detector
from tocsin.base.tables import check_matrix
from tocsin.errors import InputError, SchemaMismatch
from tocsin.types import BoolArray, FloatArray, IntArray


class SeriesDetector(Detector):
    """A detector over one series (n, channels), float64, evenly sampled, without missing values.

    ``fit`` learns from a series, ``score`` gives one score a point of a series, with the whole
    of it in view: unlike a table's row, a point is judged among its neighbours in time. The
    series may begin with the one that was trained on, and detectors that compare windows with
    each other then leave the window itself out. ``parts`` (n, channels) says how much each
    channel adds, ``expected`` (n, channels) what would have been normal there. A vector (n,) is
    a series of one channel.

    Points labelled anomalous are bridged by straight lines before learning. ``first_held_out_``
    is the training point from which on ``training_scores_`` are those of a model that has not
    seen them; a threshold is calibrated on these.
    """

    n_features_in_: int
    first_held_out_: int = 0

    least_points: ClassVar[int] = 16
    """A series to learn from has at least so many points; windows shrink to fit it."""

    def _fit_normal(self, X: FloatArray, normal: BoolArray) -> None:
        if normal.sum() < 2:
            raise InputError(
                f"{self.card.name} learns from points labelled normal; only {normal.sum()} of "
                f"{len(normal)} are."
            )
        known, at = X, np.arange(len(X))
        if not normal.all():
            known = np.stack([np.interp(at, at[normal], x[normal]) for x in X.T], axis=1)
        self._fit(known, None)
        self.training_scores_ = self._score_training(known, None)
        if not normal.all():
            self.training_scores_ = np.where(normal, self.training_scores_, self._score(X).values)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        """Return the scores (n,) of the training series, each third by a model of the others."""
        values = np.empty(len(X))
        for own in np.array_split(np.arange(len(X)), 3):
            others = np.delete(X, own, axis=0)
            if len(others) < self.least_points:
                return self._score(X).values
            copy = clone(self)
            copy._fit(copy._check_training(others), None)
            values[own] = copy._score(X[own]).values
        return values

    def _check_training(self, X: Any) -> FloatArray:
        series = check_series(X)
        if len(series) < self.least_points:
            raise InputError(
                f"{self.card.name} needs a series of at least {self.least_points} points to learn "
                f"from; got {len(series)}."
            )
        self.n_features_in_ = series.shape[1]
        return series

    def _check_scoring(self, X: Any) -> FloatArray:
        series = check_series(X)
        if series.shape[1] != self.n_features_in_:
            raise SchemaMismatch(
                f"{self.card.name} was trained on {self.n_features_in_} channels; "
                f"this series has {series.shape[1]}."
            )
        return series


class StreamingDetector(SeriesDetector):
    """A series detector that scores each event before it learns from it, and never looks ahead.

    The state has a fixed size for each entity that is tracked, whatever the number of events.
    ``fit`` starts anew and runs through a series; ``training_scores_`` are the scores on the
    way. ``score`` tells what the events X would score if they came next, and leaves the state
    as it is: the first k scores of X are those of its first k events. ``process`` and
    ``process_many`` score and learn.
    """

    entities_: int = 1

    @abstractmethod
    def process(self, event: ArrayLike, entity: int = 0) -> float:
        """Return the score of one event (channels,) of an entity, then learn from it.

        NaN in place of a value is allowed, and is not learned from.
        """

    @abstractmethod
    def process_many(self, events: FloatArray) -> FloatArray:
        """Return the scores (entities,) of one event (entities, channels) each, and learn."""

    @abstractmethod
    def tracking(self, entities: int) -> Self:
        """Return a copy that tracks so many entities, each from what this one has learned."""

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the events of a series (n, channels), as ``process`` does; y is ignored."""
        if not hasattr(self, "training_scores_"):
            return self.fit(X)
        for event in self._check_scoring(X):
            self.process(event)
        return self


def check_series(X: ArrayLike) -> FloatArray:
    """Return X as a series (n, channels), a vector as one of one channel; see ``check_matrix``.

    >>> check_series([1, 2, 3]).shape
    (3, 1)
    """
    return check_matrix(X[:, None] if (X := np.asarray(X)).ndim == 1 else X)
