"""Error of a recursive autoregression, and distance to earlier windows, event by event."""

from __future__ import annotations

import numpy as np
from numba import njit

from tocsin.base import StreamingDetector
from tocsin.detectors.series._kernels import (
    LONGEST_DELAY,
    RECORD_RANGES,
    begin,
    new_channels,
    score_at,
    update,
)
from tocsin.detectors.series._streams import Records, RecordStream, is_used
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, Scores


class RecursiveAr(RecordStream, StreamingDetector):
    """Error of a recursive autoregression, and distance to earlier windows, event by event.

    Each channel is forecast by recursive least squares, robust to outliers, from its last 16
    values and the three around one period ago; the dominant period (18 to 300 events) is that of
    the autocorrelation of the events seen when there are 64, 128, … 8192 of them. A channel's
    score adds up, all on the scale log(1 + error over what is usual): twice the error, fading by
    1 % an event after a peak; the error and the distance from the slow mean, smoothed over about
    three events; and, for four window lengths (a quarter, one and three periods, and 100), the
    distance from the latest window to the nearest of 128 earlier ones, each of eight points,
    asked again at each eighth of the length. An event's score is the mean over the channels with
    more than two values; those with less, as commands and flags, count only where there are no
    others, and have zero ``parts``.

    ``delay``: how many later events may revise a score, 0 to 128. With a delay, errors count in
    both directions of time and windows count for all events that they cover. ``process`` and
    ``process_many`` then return the revised score of the event ``delay`` events ago, 0 while
    there is none; ``score`` and ``training_scores_`` hold those same scores at the events'
    places, the last ``delay`` of them revised by what there is. Without, no score depends on
    later events. ``seed``: of the random choice of windows to keep.

    The first 16 events score 0, windows join in when 11 of a length have been seen. A missing
    value adds nothing and is not learned from; its forecast stands in its place. ``parts``
    (n, channels) are the channels' scores, ``expected`` (n, channels) the forecasts. Raises
    ParameterError for a delay out of bounds.

    >>> wave = np.sin(np.arange(1000) / 5)[:, None]
    >>> detector = RecursiveAr().fit(wave)
    >>> bool(detector.process([1.5]) > detector.training_scores_[500:].max())
    True
    """

    card = Card(
        name="recursive_ar",
        modality="series",
        family="forecast",
        learning=("streaming",),
        summary="Error of a recursive autoregression, and distance to earlier windows.",
        paper="Ljung, System Identification: Theory for the User, Prentice Hall 1999",
        cost="O(1) per event and channel; 16 KB of state per entity and channel",
        also_known_as=("RLS", "recursive least squares"),
    )

    record_ranges = RECORD_RANGES

    def __init__(self, delay: int = 0, seed: int = 0) -> None:
        self.delay = delay
        self.seed = seed

    def _check_parameters(self) -> None:
        if not 0 <= self.delay <= LONGEST_DELAY:
            raise ParameterError(
                f"delay is {self.delay}; it is a number of events from 0 to {LONGEST_DELAY}."
            )

    def _new_states(self, entities: int, channels: int) -> Records:
        states: Records = new_channels(entities, channels, self.delay, self.seed)
        return states

    def _begin(self, states: Records) -> None:
        begin(states)

    def _step(self, states: Records, entity: int, event: FloatArray) -> float:
        return _process(states, entity, event, self.delay)  # type: ignore[no-any-return]

    def _follow(self, states: Records, stride: int, events: FloatArray) -> Scores:
        values, parts = np.empty(len(events)), np.empty(events.shape)
        expected = np.empty(events.shape)
        _follow(states, stride, events, self.delay, values, parts, expected)
        return Scores(values, parts, expected)

    def _series_scores(self, states: Records, X: FloatArray) -> Scores:
        """Return the scores of X, revised by what comes later in it."""
        late = min(self.delay, len(X))
        values, parts = np.empty(len(X) + late), np.empty((len(X) + late, X.shape[1]))
        expected = np.empty(X.shape)
        _follow(states, 0, X, self.delay, values[: len(X)], parts[: len(X)], expected)
        if late:
            _catch_up(states[0], self.delay, values[len(X) :], parts[len(X) :])
        return Scores(values[late:], parts[late:], expected)


@njit(cache=True, error_model="numpy")
def _event(channels, event, delay, parts, expected):  # type: ignore[no-untyped-def]
    """Learn an event of an entity; return the score of the one ``delay`` events ago."""
    for c in range(len(event)):
        expected[c] = update(channels[c], event[c], delay)
    return _combined(channels, channels[0].count - 1 - delay, delay, parts)


@njit(cache=True, error_model="numpy")
def _combined(channels, t, delay, parts):  # type: ignore[no-untyped-def]
    """Return the score of event t of an entity, and fill in its channels' parts."""
    total, count = 0.0, 0
    for c in range(len(parts)):
        parts[c] = 0.0
        if t >= 0 and is_used(channels, c):
            parts[c] = score_at(channels[c], t, delay)
            total += parts[c]
            count += 1
    return total / max(count, 1)


@njit(cache=True, error_model="numpy")
def _process(states, entity, event, delay):  # type: ignore[no-untyped-def]
    for value in event:
        if np.isinf(value):
            return np.nan
    parts, expected = np.empty(len(event)), np.empty(len(event))
    return _event(states[entity], event, delay, parts, expected)


@njit(cache=True, error_model="numpy")
def _follow(states, stride, events, delay, values, parts, expected):  # type: ignore[no-untyped-def]
    for t in range(len(events)):
        values[t] = _event(states[t * stride], events[t], delay, parts[t], expected[t])


@njit(cache=True, error_model="numpy")
def _catch_up(channels, delay, values, parts):  # type: ignore[no-untyped-def]
    """Fill in the scores of the last events, revised by those that there are."""
    first = channels[0].count - len(values)
    for k in range(len(values)):
        values[k] = _combined(channels, first + k, delay, parts[k])
