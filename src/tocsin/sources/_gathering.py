"""Samples that come in several requests, gathered into one event for each entity and time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tocsin.sources._samples import Sample, Series
from tocsin.types import Offset, Rejection

_MOST_VALUES, _MOST_SERIES, _MOST_DONE, _MOST_ENTITIES = 50_000, 2_000, 20_000, 10_000
_SHAPES = 20

Key = tuple[int, str]
"""Milliseconds since 1970, and the entity."""


class Gathered(NamedTuple):
    """An event: when, of what, and its values by the names of their columns."""

    at: int
    entity: str
    values: Mapping[str, float]


class Gathering:
    """Holds samples until all of an entity's at one time are there, or ``window`` seconds passed.

    All are there when they are the series of one of its last 20 events, and of none of these only
    a part. What is held is part of the offset, so that it may be acknowledged. A series is named
    by its metric, with the labels by which several of one entity were told apart so far.
    """

    def __init__(self, window: float, offset: Offset) -> None:
        held = offset or {}
        self._window = window
        self._held: dict[Key, dict[Series, float]] = {}
        self._since: dict[Key, float] = {}
        self._apart = {metric: set(labels) for metric, labels in held.get("apart", {}).items()}
        self._shapes: dict[str, deque[frozenset[Series]]] = {}
        self._done: dict[Key, frozenset[Series]] = {}
        for at, entity, values in held.get("held", ()):
            self._since[at, entity] = 0.0  # it has waited before
            self._held[at, entity] = {
                Series(metric, tuple((name, value) for name, value in labels)): value
                for metric, labels, value in values
            }

    def add(self, samples: Iterable[Sample], now: float) -> list[Rejection]:
        """Take samples; return what is refused: too many, or too late for their event."""
        late: dict[Key, list[str]] = {}
        beyond: dict[Key, list[str]] = {}
        for at, entity, series, value in samples:
            key = at, entity
            done = self._done.get(key, frozenset())
            if series in done:
                continue  # it was sent again
            if done:
                late.setdefault(key, []).append(series.metric)
                continue
            held = self._held.setdefault(key, {})
            self._since.setdefault(key, now)
            if len(held) < _MOST_SERIES or series in held:
                held[series] = value
            else:
                beyond.setdefault(key, []).append(series.metric)
        return [
            *_refusals(late, "late", "came after its event was gathered; raise gather"),
            *_refusals(
                beyond,
                "oversized",
                f"are beyond {_MOST_SERIES:,} series of one entity; name more labels as entity",
            ),
        ]

    def taken(self, now: float) -> list[Gathered]:
        """Return the events that are whole or have waited long enough, by time and entity."""
        ready = [
            key
            for key, values in self._held.items()
            if now - self._since[key] >= self._window or self._is_whole(key[1], values)
        ]
        room = sum(map(len, self._held.values())) - _MOST_VALUES
        for key in sorted(self._held):
            if room <= 0:
                break
            if key not in ready:
                ready.append(key)
            room -= len(self._held[key])
        return [self._take(key) for key in sorted(ready)]

    def due(self, now: float) -> float | None:
        """Return after how many seconds the next event has waited long enough, None for none."""
        if not self._since:
            return None
        return max(0.0, min(self._since.values()) + self._window - now)

    def offset(self) -> dict[str, Any]:
        """Return what is held, and how series are told apart."""
        return {
            "held": [
                [at, entity, [[*series, value] for series, value in values.items()]]
                for (at, entity), values in self._held.items()
            ],
            "apart": {metric: sorted(labels) for metric, labels in self._apart.items()},
        }

    def columns(self, metrics: Sequence[str], events: Sequence[Gathered]) -> list[str]:
        """Return the columns of events: metrics that need no labels, and all that have values."""
        plain = [metric for metric in metrics if metric not in self._apart]
        named = {name for event in events for name in event.values}
        return plain + sorted(named - set(plain))

    def _is_whole(self, entity: str, values: Mapping[Series, float]) -> bool:
        shapes, own = self._shapes.get(entity, ()), values.keys()
        return any(own == shape for shape in shapes) and not any(own < shape for shape in shapes)

    def _take(self, key: Key) -> Gathered:
        at, entity = key
        values = self._held.pop(key)
        del self._since[key]
        self._done[key] = shape = frozenset(values)
        if len(self._done) > _MOST_DONE:
            del self._done[next(iter(self._done))]
        shapes = self._shapes.pop(entity, None) or deque(maxlen=_SHAPES)
        shapes.append(shape)
        self._shapes[entity] = shapes
        if len(self._shapes) > _MOST_ENTITIES:
            del self._shapes[next(iter(self._shapes))]
        self._tell_apart(values)
        return Gathered(at, entity, {self._name(series): v for series, v in values.items()})

    def _tell_apart(self, values: Iterable[Series]) -> None:
        """Learn by which labels several series of a metric differ."""
        by_metric: dict[str, list[dict[str, str]]] = {}
        for series in values:
            by_metric.setdefault(series.metric, []).append(dict(series.labels))
        for metric, several in by_metric.items():
            if len(several) > 1:
                names = {name for labels in several for name in labels}
                differ = {n for n in names if len({each.get(n) for each in several}) > 1}
                self._apart.setdefault(metric, set()).update(differ)

    def _name(self, series: Series) -> str:
        apart = self._apart.get(series.metric, ())
        labels = ",".join(f'{name}="{value}"' for name, value in series.labels if name in apart)
        return f"{series.metric}{{{labels}}}" if labels else series.metric


def _refusals(refused: Mapping[Key, list[str]], kind: Any, why: str) -> list[Rejection]:
    return [
        Rejection(
            kind,
            f"{len(metrics):,} values {why}",
            f"{', '.join(dict.fromkeys(metrics))} of {entity} at {at}"[:2_000],
        )
        for (at, entity), metrics in refused.items()
    ]
