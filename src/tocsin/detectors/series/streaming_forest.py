"""Half-space trees over the level and the recent moves of each channel, event by event."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numba import njit

from tocsin.base import StreamingDetector, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.detectors.series._streams import (
    CHANNEL_FIELDS,
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
from tocsin.types import Card, FloatArray, IntArray, Scores

_RECENT = 32
_FEATURES = 6
_TREES, _DEPTH = 24, 6
_NODES = 2 ** (_DEPTH + 1)
_FADES = 0.99

_RECORD = np.dtype(
    [
        *CHANNEL_FIELDS,
        ("recent", "f8", (_RECENT,)),
        ("centre", "f8", (_FEATURES,)),
        ("spread", "f8", (_FEATURES,)),
        ("mass", "f4", (_TREES, _NODES)),
        ("weight", "f8"),
        ("peak", "f8"),
    ]
)


class StreamingForest(RecordStream, StreamingDetector):
    """How little mass half-space trees have where an event lies, event by event.

    Each channel has its own 24 trees of depth 6, over six features: the value, its change, its
    distance from the means of the last 8 and 32 values, and how much these vary. Features are
    seen relative to their own slow mean and scale, squeezed into (0, 1), so units do not
    matter. Trees cut this box in halves, of a random feature each. The mass of a node is the
    number of events in it; when they add up to twice the ``memory``, all are halved. The score
    of a tree is the logarithm of how much more mass an event would find if all were evenly
    spread; a channel's score is the mean over the trees, and fades by 1 % an event after a
    peak; an event's is the mean over the channels with more than two values (all, if there is
    none such). The first 16 events score 0. A missing value adds nothing and is not learned
    from; the slow mean stands in its place.

    ``parts`` (n, channels) are the channels' scores. Raises ParameterError for a ``memory``
    below 16.

    >>> values = np.random.default_rng(0).normal(size=(500, 1))
    >>> detector = StreamingForest().fit(values)
    >>> bool(detector.process([8.0]) > detector.training_scores_[400:].max())
    True
    """

    card = Card(
        name="streaming_forest",
        modality="series",
        family="isolation",
        learning=("streaming",),
        summary="Half-space trees over the level and the recent moves of each channel.",
        paper="Tan, Ting, Liu, Fast Anomaly Detection for Streaming Data, IJCAI 2011",
        cost="O(1) per event and channel; 13 KB of state per entity and channel",
        also_known_as=("half-space trees", "HST"),
    )

    cuts_: Annotated[FloatArray, Shape(_TREES, _NODES // 2)]
    features_: Annotated[IntArray, Shape(_TREES, _NODES // 2), Within(0, _FEATURES - 1)]

    def __init__(self, memory: int = 2000, seed: int = 0) -> None:
        self.memory = memory
        self.seed = seed

    def _check_parameters(self) -> None:
        if self.memory < WARM_UP:
            raise ParameterError(f"memory is {self.memory}; it must be at least {WARM_UP} events.")

    def _fit(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        self.features_, self.cuts_ = _random_trees(self.seed)
        return super()._fit(stretches, y)

    def _new_states(self, entities: int, channels: int) -> Records:
        return np.zeros((entities, channels), _RECORD)

    def _begin(self, states: Records) -> None:
        for name in ("fresh", "doubted", "peak"):
            states[name] = 0

    def _step(self, states: Records, entity: int, event: FloatArray) -> float:
        return _process(  # type: ignore[no-any-return]
            states, entity, event, self.features_, self.cuts_, self.memory
        )

    def _follow(self, states: Records, stride: int, events: FloatArray) -> Scores:
        values, parts = np.empty(len(events)), np.empty(events.shape)
        _follow(states, stride, events, self.features_, self.cuts_, self.memory, values, parts)
        return Scores(values, parts)


def _random_trees(seed: int) -> tuple[IntArray, FloatArray]:
    """Return the feature and the cut (trees, nodes) of each inner node; node 1 is the root."""
    rng = np.random.default_rng(seed)
    features = rng.integers(0, _FEATURES, (_TREES, _NODES // 2))
    cuts = np.empty((_TREES, _NODES // 2))
    for tree in range(_TREES):
        middle = rng.uniform(0.25, 0.75, _FEATURES)
        half = np.maximum(middle, 1 - middle)
        boxes: dict[int, Any] = {1: (middle - half, middle + half)}
        for node in range(1, _NODES // 2):
            low, high = boxes.pop(node)
            feature = features[tree, node]
            cuts[tree, node] = cut = (low[feature] + high[feature]) / 2
            left, right = high.copy(), low.copy()
            left[feature] = right[feature] = cut
            boxes[2 * node], boxes[2 * node + 1] = (low, left), (right, high)
    return features, cuts


@njit(cache=True, error_model="numpy")
def _process(states, entity, event, features, cuts, memory):  # type: ignore[no-untyped-def]
    for value in event:
        if np.isinf(value):
            return np.nan
    return _event(states[entity], event, features, cuts, memory, np.empty(len(event)))


@njit(cache=True, error_model="numpy")
def _follow(  # type: ignore[no-untyped-def]
    states, stride, events, features, cuts, memory, values, parts
):
    for t in range(len(events)):
        values[t] = _event(states[t * stride], events[t], features, cuts, memory, parts[t])


@njit(cache=True, error_model="numpy")
def _event(channels, event, features, cuts, memory, parts):  # type: ignore[no-untyped-def]
    total, count = 0.0, 0
    for c in range(len(event)):
        parts[c] = _update(channels[c], event[c], features, cuts, memory)
    for c in range(len(event)):
        if is_used(channels, c):
            total += parts[c]
            count += 1
        else:
            parts[c] = 0.0
    return total / count


@njit(cache=True, error_model="numpy")
def _update(s, x, features, cuts, memory):  # type: ignore[no-untyped-def]
    """Score one value of a channel, and learn from it."""
    missing = np.isnan(x)
    x, scale = look(s, x)
    if not missing:
        far = s.known >= 2 * WARM_UP and abs(x - s.mean) > FAR_OFF * scale
        for k in range(doubt(s, far, s.peak, 0.0)):  # it was a glitch, and is forgotten
            s.recent[(s.count - 1 - k) % _RECENT], s.peak = x, s.calm[0]
    s.recent[s.count % _RECENT] = s.mean if missing else x
    s.count += 1
    s.fresh += 1
    s.peak *= _FADES
    # After a pause the recent values have to fill again before moves can be told.
    if missing or (s.fresh < s.count and s.fresh < _RECENT):
        return s.peak
    place = np.empty(_FEATURES)
    _describe(s, scale, place)
    _squeeze(s, place)
    score = 0.0
    for tree in range(_TREES):
        score += _visit(s.mass[tree], features[tree], cuts[tree], place, s.weight)
    if s.known >= WARM_UP:
        s.peak = max(s.peak, score / _TREES)
    _grow_old(s, memory)
    learn_scale(s, x, scale)
    return s.peak


@njit(cache=True, error_model="numpy")
def _grow_old(s, memory):  # type: ignore[no-untyped-def]
    """Count the event that was learned; at twice the memory, halve what was known before."""
    s.weight += 1
    if s.weight >= 2 * memory:
        s.weight /= 2
        mass = s.mass
        for tree in range(_TREES):
            for node in range(_NODES):
                mass[tree, node] /= 2


@njit(cache=True, error_model="numpy")
def _describe(s, scale, place):  # type: ignore[no-untyped-def]
    """Fill in the features of the latest value, in units of the channel's scale."""
    recent = s.recent
    latest = (recent[(s.count - 1) % _RECENT] - s.mean) / scale
    before = (recent[(s.count - 2) % _RECENT] - s.mean) / scale if s.fresh > 1 else latest
    place[0], place[1] = latest, latest - before
    total, moves = 0.0, 0.0
    for k in range(min(s.fresh, _RECENT)):
        value = (recent[(s.count - 1 - k) % _RECENT] - s.mean) / scale
        total += value
        moves += abs(value - latest)
        if k < 8:
            place[2], place[4] = latest - total / (k + 1), np.log(moves / (k + 1) + 1e-3)
        place[3], place[5] = latest - total / (k + 1), np.log(moves / (k + 1) + 1e-3)


@njit(cache=True, error_model="numpy")
def _squeeze(s, place):  # type: ignore[no-untyped-def]
    """Bring the features into (0, 1), half of them between 1/3 and 2/3; learn their scales."""
    rate = max(1 / (s.known + 1), 1 / 20_000)
    for i in range(_FEATURES):
        away = min(max(place[i] - s.centre[i], -1e3), 1e3)
        spread = max(s.spread[i], 1e-3)
        place[i] = 0.5 + 0.5 * away / (2 * spread + abs(away))
        if s.known >= 2 * WARM_UP:
            away = min(max(away, -10 * spread), 10 * spread)
        s.centre[i] += away * rate
        s.spread[i] += (abs(away) - s.spread[i]) * rate


@njit(cache=True, error_model="numpy")
def _visit(mass, features, cuts, place, events):  # type: ignore[no-untyped-def]
    """Return the score of a place in one tree, and add an event there."""
    node, density = 1, 0.0
    enough = True
    for depth in range(_DEPTH + 1):
        if enough:
            density = (mass[node] + 0.5) * 2.0**depth
            enough = mass[node] > 0.01 * events
        mass[node] += 1
        if depth < _DEPTH:
            node = 2 * node + (place[features[node]] >= cuts[node])
    return np.log1p((events + 1) / density)
