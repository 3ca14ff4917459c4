"""Reconstruction error of an autoencoder that learns online, but not from what it alarms on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit

from tocsin.base import StreamingDetector
from tocsin.detectors.series._streams import (
    CHANNEL_FIELDS,
    CHANNEL_RANGES,
    COUNT,
    FAR_OFF,
    WARM_UP,
    Records,
    RecordStream,
    doubt,
    is_used,
    learn_scale,
    look,
)
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, Scores

_WINDOW, _CODE = 32, 8
_FORGETTING = 0.9995
_FADES, _PEAK_FADES = 0.9, 0.99
_FLOOR = 1e-3
_SETTLED = 256
"""From this many events on, alarms are not learned from."""
_LIMIT = 20.0
"""Values count as at most this many scales away from the mean."""
_SLOWEST_ERROR = 1 / 2000
_ALARM_RATE, _MARGIN = 0.02, 1.5

_RECORD = np.dtype(
    [
        *CHANNEL_FIELDS,
        ("recent", "f8", (_WINDOW,)),
        ("decoder", "f8", (_WINDOW, _CODE)),
        ("covariance", "f8", (_CODE, _CODE)),
        ("usual", "f8"),
        ("peak", "f8"),
        ("limit", "f8"),
        ("alarms", "i8"),
        ("settled", "i8"),
    ]
)


class StreamingAutoencoder(RecordStream, StreamingDetector):
    """Reconstruction error of an autoencoder that learns online, but not from what it alarms on.

    The last 32 values of all channels, relative to a slow mean and scale, are encoded into 8
    numbers and decoded again by a linear autoencoder with tied weights, which recursive least
    squares fits in closed form at every event. A channel's score is log(1 + its reconstruction
    error over what is usual), with errors weighted by 0.9 to the power of their age; it fades by
    1 % an event after a peak. An event's is the mean over the channels with more than two
    values (all, if there is none such). Scores are 0 for the first 32 events.

    An event whose error exceeds 1.5 times the running 98 % quantile of errors (logarithms both)
    is an alarm, and nothing at all is learned from it: an anomaly with less than ``patience``
    alarms does not become normal. An event without alarm takes one off their number. After
    ``patience`` alarms the new regime is adopted: means, scales and the autoencoder are learned
    anew, starting from what they are, over 256 events that are all learned from, as the first
    256 of a stream are. A missing value adds nothing and is not learned from; its
    reconstruction stands in its place.

    ``parts`` (n, channels) are the channels' scores, ``expected`` (n, channels) what was
    reconstructed in place of the event. Raises ParameterError for a ``patience`` below 1.

    >>> values = np.sin(np.arange(1000) / 5)[:, None]
    >>> detector = StreamingAutoencoder().fit(values)
    >>> bool(detector.process([3.0]) > detector.training_scores_[500:].max())
    True
    """

    card = Card(
        name="streaming_autoencoder",
        modality="series",
        family="reconstruction",
        learning=("streaming",),
        summary="Autoencoder that learns online, but not from what it alarms on.",
        paper="Yang, Projection Approximation Subspace Tracking, IEEE Trans. Signal Process. 1995",
        cost="O(1) per event and channel; 3 KB of state per entity and channel",
        also_known_as=("PAST", "subspace tracking"),
    )

    record_ranges: ClassVar = {**CHANNEL_RANGES, "alarms": COUNT, "settled": COUNT}

    def __init__(self, patience: int = 1000, seed: int = 0) -> None:
        self.patience = patience
        self.seed = seed

    def _check_parameters(self) -> None:
        if self.patience < 1:
            raise ParameterError(f"patience is {self.patience}; it must be at least 1 event.")

    def _new_states(self, entities: int, channels: int) -> Records:
        states = np.zeros((entities, channels), _RECORD)
        rng = np.random.default_rng(self.seed)
        basis = np.linalg.qr(rng.normal(size=(channels * _WINDOW, _CODE)))[0]
        states["decoder"] = basis.reshape(channels, _WINDOW, _CODE)
        states["covariance"] = np.eye(_CODE)
        return states

    def _begin(self, states: Records) -> None:
        for name in ("fresh", "doubted", "peak"):
            states[name] = 0

    def _step(self, states: Records, entity: int, event: FloatArray) -> float:
        return _process(states, entity, event, self.patience)  # type: ignore[no-any-return]

    def _follow(self, states: Records, stride: int, events: FloatArray) -> Scores:
        values, parts = np.empty(len(events)), np.empty(events.shape)
        expected = np.empty(events.shape)
        _follow(states, stride, events, self.patience, values, parts, expected)
        return Scores(values, parts, expected)


@njit(cache=True, error_model="numpy")
def _process(states, entity, event, patience):  # type: ignore[no-untyped-def]
    for value in event:
        if np.isinf(value):
            return np.nan
    parts, expected = np.empty(len(event)), np.empty(len(event))
    return _event(states[entity], event, patience, parts, expected)


@njit(cache=True, error_model="numpy")
def _follow(states, stride, events, patience, values, parts, expected):  # type: ignore[no-untyped-def]
    for t in range(len(events)):
        values[t] = _event(states[t * stride], events[t], patience, parts[t], expected[t])


@njit(cache=True, error_model="numpy")
def _event(channels, event, patience, parts, expected):  # type: ignore[no-untyped-def]
    """Score an event, and learn from it unless it is an alarm."""
    residuals, sizes = np.empty((len(event), _WINDOW)), np.empty(len(event))
    code = np.zeros(_CODE)
    for c in range(len(event)):
        _encode(channels[c], event[c], residuals[c], code)
    error, seen, count = 0.0, 0, 0
    for c in range(len(event)):
        s, missing, used = channels[c], np.isnan(event[c]), is_used(channels, c)
        expected[c], sizes[c] = _decode(s, missing, residuals[c], code)
        part = 0.0
        if s.fresh > _WINDOW and not missing:
            part = np.log1p(sizes[c] / max(s.usual, _FLOOR))
        s.peak = max(_PEAK_FADES * s.peak, part)
        parts[c] = s.peak if used else 0.0
        error += part if used else 0.0
        seen += used and not missing
        count += used
    # After a pause the window has to fill again before anything is learned.
    begun = channels[0].fresh == channels[0].count or channels[0].fresh > _WINDOW
    if seen > 0 and begun and not _alarms(channels, error / seen, patience):
        _learn(channels, event, residuals, sizes, code)
    return np.sum(parts) / count


@njit(cache=True, error_model="numpy")
def _encode(s, x, window, code):  # type: ignore[no-untyped-def]
    """Take in a value; fill in the window, the newest first, and add it to the code."""
    missing = np.isnan(x)
    x, scale = look(s, x)
    recent, decoder = s.recent, s.decoder
    if not missing:
        far = s.known >= 2 * WARM_UP and abs(x - s.mean) > FAR_OFF * scale
        for k in range(doubt(s, far, s.peak, 0.0)):  # it was a glitch, and is forgotten
            recent[(s.count - 1 - k) % _WINDOW], s.peak = x, s.calm[0]
    recent[s.count % _WINDOW] = s.mean if missing else x
    s.count += 1
    s.fresh += 1
    for k in range(_WINDOW):
        value = (recent[(s.count - 1 - k) % _WINDOW] - s.mean) / scale if k < s.fresh else 0.0
        window[k] = min(max(value, -_LIMIT), _LIMIT)
        for i in range(_CODE):
            code[i] += decoder[k, i] * window[k]


@njit(cache=True, error_model="numpy")
def _decode(s, missing, window, code):  # type: ignore[no-untyped-def]
    """Turn the window into its residual; return the value expected, and the error's size."""
    decoder, scale = s.decoder, 1.25 * s.deviation
    expected, squares, weight = s.mean, 0.0, 1.0 - _FADES
    for k in range(_WINDOW):
        decoded = 0.0
        for i in range(_CODE):
            decoded += decoder[k, i] * code[i]
        if k == 0:
            expected += scale * min(max(decoded, -_LIMIT), _LIMIT)
        window[k] -= decoded
        squares += weight * window[k] ** 2
        weight *= _FADES
    if missing:
        s.recent[(s.count - 1) % _WINDOW] = expected
    return expected, np.sqrt(squares)


@njit(cache=True, error_model="numpy")
def _alarms(channels, error, patience):  # type: ignore[no-untyped-def]
    """Return whether the event is an alarm; adopt the new regime after too many of them."""
    s = channels[0]
    if s.settled < _SETTLED:
        s.settled += 1
    elif error > _MARGIN * s.limit + _FLOOR:
        s.alarms += 1
        if s.alarms < patience:
            return True
        s.alarms = s.settled = 0
        for c in range(len(channels)):
            channels[c].known = min(channels[c].known, WARM_UP)
        for i in range(_CODE):
            for j in range(_CODE):
                s.covariance[i, j] = 1.0 if i == j else 0.0
    else:
        s.alarms = max(s.alarms - 1, 0)
    s.limit += max(1 / (s.settled + 1), 0.01) * ((error > s.limit) - _ALARM_RATE)
    return False


@njit(cache=True, error_model="numpy")
def _learn(channels, event, residuals, sizes, code):  # type: ignore[no-untyped-def]
    """Take a step of projection approximation subspace tracking, and update the scales."""
    covariance, gain, along, trace = channels[0].covariance, np.zeros(_CODE), 0.0, 0.0
    for i in range(_CODE):
        for j in range(_CODE):
            gain[i] += covariance[i, j] * code[j]
        along += gain[i] * code[i]
        trace += covariance[i, i]
    share = 1 / (_FORGETTING + max(along, 0.0))
    forget = _FORGETTING if trace < _CODE else 1.0  # what is not excited must not grow
    for i in range(_CODE):
        for j in range(_CODE):
            covariance[i, j] = (covariance[i, j] - gain[i] * gain[j] * share) / forget
    for c in range(len(event)):
        if np.isnan(event[c]):
            continue
        s = channels[c]
        decoder = s.decoder
        for k in range(_WINDOW):
            for i in range(_CODE):
                decoder[k, i] += residuals[c, k] * gain[i] * share
        size = sizes[c]
        if s.known >= 2 * WARM_UP:
            size = min(size, 4 * max(s.usual, _FLOOR))
        s.usual += (size - s.usual) * max(1 / (s.known + 1), _SLOWEST_ERROR)
        x, scale = look(s, event[c])
        learn_scale(s, x, scale)
