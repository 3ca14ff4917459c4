"""What the streaming detectors share: one record of fixed size per entity, and compiled steps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from math import isnan
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from tocsin.base import State, Stateful, Stretch, Stretches, join_scores
from tocsin.base.declared import Shape, Within, check_records
from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch
from tocsin.types import BoolArray, Card, FloatArray, IntArray, Scores

Records = NDArray[np.void]
"""The state (entities, …): a structured array, whose fields are numbers and small arrays."""

CHANNEL_FIELDS = [
    ("count", "i8"),
    ("known", "i8"),
    ("mean", "f8"),
    ("deviation", "f8"),
    ("distinct", "i8"),
    ("values", "f8", (2,)),
    ("fresh", "i8"),
    ("doubted", "i8"),
    ("calm", "f8", (2,)),
]
"""Of each channel: events, those not missing, slow mean and scale, the first two values, events
since the recording began, the last values in a row not believed, and the peaks before them."""

GLITCH = 2
"""This many values in a row, far off and then back again, are a glitch and no change."""
MOST_EVENTS = 2**53
"""Counts up to this have no rounding as floats."""

COUNT = Within(0, MOST_EVENTS)
CHANNEL_RANGES = {
    "count": COUNT,
    "known": COUNT,
    "distinct": Within(0, 3),
    "fresh": COUNT,
    "doubted": Within(0, GLITCH + 1),
}
"""What the fields of records may hold that compiled code counts by or takes as an index."""

WARM_UP = 16
LIMIT = 1e3
"""Values count as at most this many scales away from the mean."""
FAR_OFF = 10.0
"""Scales from the mean: what is further off may be a glitch."""
SLOWEST = 1 / 20_000
"""The least weight of an event in the mean and scale."""


class RecordStream(Stateful, ABC):
    """A streaming detector whose whole state is ``states_``, one record for each entity.

    ``score`` takes a stretch whose place in time is that of the next event as what comes next;
    any other begins again: scales and all that was learned stay, but its first events are not
    compared with what came last.

    It stands before ``StreamingDetector`` among the bases of a detector, which says what a record
    holds (``_new_states``), and has compiled functions that score
    an event and learn from it: ``_step`` for one event, ``_follow`` for many.
    """

    card: ClassVar[Card]

    n_features_in_: Annotated[int, Within(1)]
    held_out_: Annotated[BoolArray, Shape("n")]
    entities_: Annotated[int, Within(1)]
    states_: Records
    record_ranges: ClassVar[Mapping[str, Within]] = CHANNEL_RANGES
    begun_: Annotated[int, Within(-MOST_EVENTS, MOST_EVENTS)]

    @abstractmethod
    def _new_states(self, entities: int, channels: int) -> Records:
        """Return the records of entities of which nothing is known yet."""

    @abstractmethod
    def _begin(self, states: Records) -> None:
        """Begin a new recording: what was seen last says nothing of what comes next."""

    @abstractmethod
    def _step(self, states: Records, entity: int, event: FloatArray) -> float:
        """Return the score of an event (channels,) of one entity, and learn from it."""

    @abstractmethod
    def _follow(self, states: Records, stride: int, events: FloatArray) -> Scores:
        """Return the scores of events (n, channels), and learn from each before the next.

        With a stride of 0 all are events of the first entity, one after the other; with 1 there
        is one of each entity.
        """

    def process(self, event: ArrayLike, entity: int = 0) -> float:
        """Return the score of one event (channels,) of an entity, then learn from it.

        A value that is NaN is taken as missing: it adds nothing to the score, is not learned
        from, and the forecast stands in its place. Raises NotFitted before ``fit``,
        SchemaMismatch for another number of channels, and InputError for infinite values and
        an entity that is not tracked.
        """
        try:
            states = self.states_
        except AttributeError:
            raise self._not_fitted() from None
        values = np.asarray(event, dtype=np.float64)
        if values.shape != (self.n_features_in_,):
            values = self._check_width(values[None] if values.ndim else values[None, None])[0]
        if not 0 <= entity < len(states):
            raise InputError(
                f"There is no entity {entity}: {len(states)} are tracked, counted from 0. "
                "tracking(entities) gives a detector of more."
            )
        score = self._step(states, entity, values)
        if isnan(score):  # NaN is how compiled code says that a value was infinite
            raise InputError(f"The event {values} has infinite values; use NaN for missing ones.")
        return score

    def process_many(self, events: FloatArray) -> FloatArray:
        """Return the scores (entities,) of one event (entities, channels) each, and learn.

        NaN values are treated, and errors raised, as in ``process``.
        """
        if not hasattr(self, "states_"):
            raise self._not_fitted()
        events = self._check_width(np.ascontiguousarray(events, dtype=np.float64))
        if len(events) != len(self.states_):
            raise InputError(
                f"Expected one event for each of {len(self.states_)} entities; got {len(events)}."
            )
        if np.isinf(events).any():
            raise InputError(
                f"The event of entity {int(np.isinf(events).any(axis=1).argmax())} has infinite "
                "values; use NaN for missing ones."
            )
        return self._follow(self.states_, 1, events).values

    def tracking(self, entities: int) -> Self:
        """Return a copy that tracks several entities, each from what this one has learned.

        Where several are tracked already, all start from what is known of the first. Raises
        NotFitted before ``fit``, and ParameterError for less than one entity.
        """
        if not hasattr(self, "states_"):
            raise self._not_fitted()
        if entities < 1:
            raise ParameterError(f"entities is {entities}; at least 1 can be tracked.")
        other = copy(self)
        other.entities_ = entities
        other.states_ = np.repeat(self.states_[:1], entities, axis=0)
        return other

    def _score_together(self, stretches: Stretches) -> Scores:
        return self._scores_from_start(self._new_states(1, self.n_features_in_), stretches)

    def _learn_more(self, stretches: Stretches) -> None:
        for i, stretch in enumerate(stretches):
            if i:
                self._begin(self.states_[:1])
            self._follow(self.states_[:1], 0, stretch.values)

    def get_state(self) -> State:
        """Return the fitted attributes; the records as one array for each of their fields."""
        state = super().get_state()
        records = state.pop("states_")
        return {**state, "states_": {name: records[name].copy() for name in records.dtype.names}}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state({name: value for name, value in state.items() if name != "states_"})
        fields = state["states_"]
        form = self._new_states(1, 1).dtype
        check_records(fields, form, (self.entities_, self.n_features_in_), self.record_ranges)
        self.states_ = np.empty((self.entities_, self.n_features_in_), form)
        for name, values in fields.items():
            self.states_[name] = values
        return self

    def _fit(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        self.entities_ = 1
        self.states_ = self._new_states(1, self.n_features_in_)
        scores = self._scores_from_start(self.states_, stretches).values
        last, count = stretches[-1], sum(map(len, stretches))
        self.begun_ = 0 if last.at is None else last.at + len(last) - count
        # While scales and samples settle, scores creep up; thresholds rest on the second half.
        self.held_out_[: count // 2] = False
        for begin in np.cumsum([len(stretch) for stretch in stretches])[:-1]:
            self.held_out_[begin : begin + WARM_UP] = False
        return scores

    def _scores_from_start(self, states: Records, stretches: Stretches) -> Scores:
        """Return the scores on the way through stretches, and learn from them."""
        scores = []
        for i, stretch in enumerate(stretches):
            if i:
                self._begin(states)
            scores.append(self._series_scores(states, stretch.values))
        return join_scores(scores)

    def _score(self, stretch: Stretch) -> Scores:
        """Return the scores of what comes next, or of a new recording."""
        states = self.states_[:1].copy()
        if stretch.at is None or stretch.at != self.begun_ + states["count"].flat[0]:
            self._begin(states)
        return self._series_scores(states, stretch.values)

    def _series_scores(self, states: Records, X: FloatArray) -> Scores:
        """Return the scores of the next events X of the first entity, and learn from them."""
        return self._follow(states, 0, X)

    def _check_width(self, events: FloatArray) -> FloatArray:
        if events.ndim != 2 or events.shape[1] != self.n_features_in_:
            raise SchemaMismatch(
                f"{self.card.name} was trained on {self.n_features_in_} channels; "
                f"got events of shape {events.shape[1:]}."
            )
        return events

    def _not_fitted(self) -> NotFitted:
        return NotFitted(f"{self.card.name} is not trained yet: call fit before process.")


@njit(cache=True, error_model="numpy")
def look(s, x):  # type: ignore[no-untyped-def]
    """Return a value, kept from overflowing, and the scale to see it in; NaN stays NaN."""
    if np.isnan(x):
        return x, 1.25 * s.deviation if s.deviation > 0 else 1.0
    x = min(max(x, -1e300), 1e300)
    if s.known == 0:
        s.mean = x
    if s.deviation > 0:
        return x, 1.25 * s.deviation
    return x, abs(x - s.mean) if x != s.mean else 1.0


@njit(cache=True, error_model="numpy")
def learn_scale(s, x, scale):  # type: ignore[no-untyped-def]
    """Update the slow mean and mean absolute deviation, and the values seen so far, up to two."""
    away = x - s.mean
    if s.known >= 2 * WARM_UP:
        away = min(max(away, -10 * scale), 10 * scale)
    rate = max(1 / (s.known + 1), SLOWEST)
    s.mean += away * rate
    s.deviation += (abs(away) - s.deviation) * rate
    known = False
    for i in range(min(s.distinct, 2)):
        known |= x == s.values[i]
    if not known and s.distinct < 3:
        if s.distinct < 2:
            s.values[s.distinct] = x
        s.distinct += 1
    s.known += 1


@njit(cache=True, error_model="numpy")
def doubt(s, strange, first, second):  # type: ignore[no-untyped-def]
    """Return how many strange values have just turned out to be a glitch: 0 but right after one.

    ``first`` and ``second``: the peaks before this value, to be called back after a glitch.
    """
    if strange:
        if s.doubted == 0:
            s.calm[0], s.calm[1] = first, second
        s.doubted = min(s.doubted + 1, GLITCH + 1)
        return 0
    glitch = s.doubted if s.doubted <= GLITCH else 0
    s.doubted = 0
    return glitch


@njit(cache=True, error_model="numpy")
def is_used(channels, c):  # type: ignore[no-untyped-def]
    """Return whether channel c counts: one of at most two values does only if all are such."""
    others = False
    for other in range(len(channels)):
        others |= channels[other].distinct > 2
    return channels[c].distinct > 2 or not others
