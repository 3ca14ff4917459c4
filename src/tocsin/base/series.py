"""Detectors of time series, and of events as they come."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from tocsin.base.declared import Shape, Within
from tocsin.base.detector import Detector, check_labels
from tocsin.base.tables import check_matrix
from tocsin.errors import CorruptModel, InputError, NotFitted, SchemaMismatch
from tocsin.types import BoolArray, FloatArray, IntArray, Scores

BLOCKS = 5
"""Training scores come from models that have not seen one of this many contiguous blocks."""

LEAST_STRETCH = 4
"""The longest stretch to learn from has at least this many points."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a series (n, channels) without a gap, float64, evenly sampled.

    ``at``: the place in time of its first point, in sampling steps since the first training
    point, or None where times are not known.

    >>> Stretch(np.zeros((5, 1)), at=10).cut(2, 4).at
    12
    """

    values: FloatArray
    at: int | None = None

    def __len__(self) -> int:
        return len(self.values)

    def cut(self, start: int, end: int) -> Stretch:
        """Return the points from ``start`` up to but not including ``end``."""
        return Stretch(self.values[start:end], None if self.at is None else self.at + start)


Stretches = Sequence[Stretch]
"""What a detector learns from or scores: nothing it does crosses from one to the next."""


class SeriesDetector(Detector):
    """A detector over series: stretches (n, channels), evenly sampled, without missing values.

    ``fit`` learns from one stretch or several, each of which is a series, or a part of one
    between gaps. ``score`` gives one score per point: each stretch is judged by itself, against
    what training has shown, so that a point's score never depends on what else the file holds.
    ``score_together`` judges a series that begins with the training series with all of it in
    view. ``parts`` (n, channels) says how much each channel adds, ``expected`` (n, channels)
    what would have been normal there. A vector (n,) is a series of one channel; stretches may be
    given as a list of arrays.

    After ``fit``, ``training_scores_`` (n,) are what ``score`` would have given each training
    point had its block, a fifth of the series, not been seen; ``held_out_`` (n,) says for which
    points that is so, and thresholds are calibrated on these. Points labelled anomalous are
    bridged by straight lines before learning.
    """

    n_features_in_: Annotated[int, Within(1)]
    held_out_: Annotated[BoolArray, Shape("n")]

    least_points: ClassVar[int] = 16
    """What is learned from has at least this many points in all; windows shrink to fit."""

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        """Learn what is normal from stretches X, with labels y (n,), 1 = anomaly, if any.

        Raises InputError for data that cannot be learned from. X is not changed.
        """
        stretches = self._check_training(X)
        n = sum(map(len, stretches))
        normal = np.ones(n, dtype=np.bool_) if y is None else check_labels(y, n) == 0
        if normal.sum() < 2:
            raise InputError(
                f"{self.card.name} learns from points labelled normal; only {normal.sum()} of "
                f"{n} are."
            )
        known = stretches if normal.all() else _bridged(stretches, normal)
        self.held_out_ = np.ones(n, dtype=np.bool_)
        self.training_scores_ = self._fit_and_score(known, None)
        if not normal.all():
            given = self._score_stretches(stretches).values
            self.training_scores_ = np.where(normal, self.training_scores_, given)
        return self

    def score_together(self, X: Any) -> Scores:
        """Return the scores of a series that begins with the training series, all in view.

        Raises NotFitted before ``fit``, and SchemaMismatch for another shape than trained on.
        """
        self._check_fitted()
        return self._score_together(self._check_scoring(X))

    def _fit(self, stretches: Stretches, y: IntArray | None) -> FloatArray | None:
        """Learn from stretches; return the training scores (n,) if they come with it."""
        raise NotImplementedError

    def _score(self, stretch: Stretch) -> Scores:
        """Return the scores of one stretch, whatever its length."""
        raise NotImplementedError

    def _score_together(self, stretches: Stretches) -> Scores:
        """Return the scores of stretches that begin with those of training, all in view."""
        return self._score_stretches(stretches)

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        return out_of_block_scores(self, stretches)

    def _refitted(self, stretches: Stretches) -> Self:
        """Return a copy that has learned from these stretches instead."""
        copy: Self = clone(self)
        copy.n_features_in_ = self.n_features_in_
        copy._fit(stretches, None)
        return copy

    def score(self, X: Any) -> Scores:
        """Return one score per point, higher = more anomalous; changes no state.

        Raises NotFitted before ``fit``, and SchemaMismatch for another shape than trained on.
        """
        self._check_fitted()
        return self._score_stretches(self._check_scoring(X))

    def _check_fitted(self) -> None:
        if not hasattr(self, "training_scores_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before score.")

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self.

        Raises CorruptModel for the state of a version before series were cut into stretches.
        """
        if state and "held_out_" not in state:
            raise CorruptModel(
                f"This {self.card.name} was saved by an earlier version of Tocsin, whose series "
                "models cannot be read any more. Train it again."
            )
        return super().set_state(state)

    def _score_stretches(self, stretches: Stretches) -> Scores:
        return join_scores([self._score(stretch) for stretch in stretches])

    def _check_training(self, X: Any) -> Stretches:
        stretches = as_stretches(X)
        if not self._are_enough(stretches):
            raise InputError(
                f"{self.card.name} needs a series of at least {self.least_points} points to learn "
                f"from, or several of at least {LEAST_STRETCH} that have as many together; got "
                f"{sum(map(len, stretches))} in {len(stretches)}, at most "
                f"{max(map(len, stretches))} of them without a gap."
            )
        self.n_features_in_ = stretches[0].values.shape[1]
        return stretches

    def _are_enough(self, stretches: Stretches) -> bool:
        """Return whether there is enough to learn from."""
        lengths = [len(stretch) for stretch in stretches]
        return sum(lengths) >= self.least_points and max(lengths, default=0) >= LEAST_STRETCH

    def _check_scoring(self, X: Any) -> Stretches:
        stretches = as_stretches(X)
        if (channels := stretches[0].values.shape[1]) != self.n_features_in_:
            raise SchemaMismatch(
                f"{self.card.name} was trained on {self.n_features_in_} channels; "
                f"this series has {channels}."
            )
        return stretches


class StreamingDetector(SeriesDetector):
    """A series detector that scores each event before it learns from it, and never looks ahead.

    The state has a fixed size for each entity that is tracked, whatever the number of events.
    ``fit`` starts again and runs through a series; ``training_scores_`` are the scores on the
    way. ``score`` returns what the events X would score if they came now, and leaves the state
    as it is: the first k scores of X are those of its first k events. A stretch whose place in
    time is that of the next event goes on; any other is a new recording, whose first events are
    not compared with what came last. ``score_together`` runs through series from the start.
    ``process`` and ``process_many`` score and learn.
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
        """Return a copy that tracks several entities, each from what this one has learned."""

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the events of a series (n, channels), as ``process`` does; y is ignored."""
        if not hasattr(self, "training_scores_"):
            return self.fit(X)
        self._learn_more(self._check_scoring(X))
        return self

    def _learn_more(self, stretches: Stretches) -> None:
        for stretch in stretches:
            for event in stretch.values:
                self.process(event)


def check_series(X: ArrayLike) -> FloatArray:
    """Return X as a series (n, channels), a vector as one of one channel; see ``check_matrix``.

    >>> check_series([1, 2, 3]).shape
    (3, 1)
    """
    return check_matrix(X[:, None] if (X := np.asarray(X)).ndim == 1 else X)


def as_stretches(X: Any) -> list[Stretch]:
    """Return what a detector is given as stretches: an array, a stretch, or a list of either.

    Raises InputError for nothing, another shape, missing values, or different channels.

    >>> [len(stretch) for stretch in as_stretches([np.zeros(3), np.zeros((4, 1))])]
    [3, 4]
    """
    several = isinstance(X, Sequence) and len(X) > 0 and all(map(_is_stretch, X))
    given = list(X) if several else [X]
    stretches = [
        Stretch(check_series(each.values), each.at)
        if isinstance(each, Stretch)
        else Stretch(check_series(each))
        for each in given
    ]
    if len(widths := sorted({each.values.shape[1] for each in stretches})) > 1:
        raise InputError(f"All stretches have the same channels; these have {widths}.")
    return stretches


def join_scores(scores: Sequence[Scores]) -> Scores:
    """Return the scores of several stretches as one; parts only where all have them."""

    def joined(arrays: list[Any]) -> FloatArray | None:
        present = [array for array in arrays if array is not None]
        return np.concatenate(present) if len(present) == len(scores) else None

    return Scores(
        np.concatenate([each.values for each in scores]),
        joined([each.parts for each in scores]),
        joined([each.expected for each in scores]),
    )


def out_of_block_scores(detector: SeriesDetector, stretches: Stretches) -> FloatArray:
    """Return the scores (n,) of training points, each block by a model of the others.

    Where the others are too few to learn from, the detector itself scores.
    """
    owners = _block_of_points(stretches, detector.least_points)
    values = [np.empty(len(stretch)) for stretch in stretches]
    for block in np.unique(np.concatenate(owners)):
        others = [
            stretch.cut(*run)
            for stretch, owner in zip(stretches, owners, strict=True)
            for run in _runs(owner != block)
        ]
        model = detector._refitted(others) if detector._are_enough(others) else detector
        for stretch, owner, own in zip(stretches, owners, values, strict=True):
            for start, end in _runs(owner == block):
                own[start:end] = model._score(stretch.cut(start, end)).values
    return np.concatenate(values)


def _is_stretch(each: Any) -> bool:
    return isinstance(each, Stretch) or (isinstance(each, np.ndarray) and each.ndim > 0)


def _bridged(stretches: Stretches, normal: BoolArray) -> list[Stretch]:
    """Return stretches whose points not normal (n,) lie on straight lines between the others."""
    bridged, first = [], 0
    for stretch in stretches:
        own, at = normal[first : first + len(stretch)], np.arange(len(stretch))
        first += len(stretch)
        if own.any():
            lines = [np.interp(at, at[own], x[own]) for x in stretch.values.T]
            bridged.append(Stretch(np.stack(lines, axis=1), stretch.at))
    return bridged


def blocks_of(n: int, blocks: int = BLOCKS) -> list[tuple[int, int]]:
    """Return the first point of each contiguous block, and that after its last; none is empty.

    >>> blocks_of(10, 3)
    [(0, 3), (3, 7), (7, 10)]
    """
    edges = np.unique(np.linspace(0, n, blocks + 1).round().astype(int)).tolist()
    return list(pairwise(edges))


def _block_of_points(stretches: Stretches, least: int) -> list[IntArray]:
    """Return the block of each point of each stretch, one that is long being cut into all blocks.

    A short one among several belongs to a block as a whole, its neighbours to the same.
    """
    total, before, blocks = sum(map(len, stretches)), 0, []
    for stretch in stretches:
        n = len(stretch)
        if len(stretches) == 1 or n >= BLOCKS * least:
            blocks.append(np.arange(n) * BLOCKS // n)
        else:
            blocks.append(np.full(n, (2 * before + n) * BLOCKS // (2 * total)))
        before += n
    return blocks


def _runs(is_in: BoolArray) -> list[tuple[int, int]]:
    """Return the first position of each run of True, and that after its last."""
    edges = np.flatnonzero(np.diff(np.r_[False, is_in, False]))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
