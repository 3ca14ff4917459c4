"""The data for detectors of metrics, and the checks that only they pass."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tocsin.base import Detector
from tocsin.base.abilities import Tracks
from tocsin.checks import common, hostile
from tocsin.checks.asserting import equal, require, scored
from tocsin.checks.subject import Items, Subject
from tocsin.types import FloatArray, IntArray
from tocsin.types.metrics import UNKNOWN, readings

_MINUTE = 60_000_000
_ENTITIES, _CHANNELS = 3, 2


class MetricSubject(Subject):
    """Three entities with a daily rhythm, a reading in ten minutes; spikes, shifts, standstill."""

    modality = "metrics"
    shared = (common, hostile)
    least_area = 0.75
    shares = (0.01, 0.3)
    least = 16

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        self.normal, self.unseen = _days(0, 6, seed=3), _days(6, 4, seed=4)

    @property
    def testing(self) -> tuple[Items, IntArray]:
        """What follows on training, with anomalies of the first entity."""
        X, labels = self.unseen.copy(), np.zeros(len(self.unseen), dtype=np.int64)
        own = np.flatnonzero(X["entity"] == 0)
        spike, shift, stuck = own[100:102], own[200:230], own[300:320]
        X["values"][spike, 0] += 20.0
        X["values"][shift, 0] += 6.0
        X["values"][stuck] = X["values"][stuck[0]]
        labels[np.concatenate([spike, shift, stuck[3:]])] = 1
        return X, labels

    @property
    def calibration(self) -> tuple[FloatArray, FloatArray]:
        """The training scores, and those of what follows."""
        return self.fitted.training_scores_, self.fitted.score(self.unseen).values

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes, by what is wrong with them."""
        infinite, strange = self.normal[:60].copy(), self.normal[:60].copy()
        infinite["values"][3, 1], strange["entity"] = np.inf, 7
        return {
            "nothing": None,
            "no readings": self.normal[:0],
            "numbers": np.ones((40, 2)),
            "infinite values": infinite,
            "an entity of which there is no other": strange,
        }

    def unlike(self, X: Items) -> Items:
        """Return the first reading, moved by 1 in every channel."""
        moved = X[:1].copy()
        moved["values"] += 1.0
        return moved


def check_cuts_change_nothing(subject: Subject) -> None:
    """Check that readings score the same in one batch, one by one and in parts: to the bit."""
    X, _ = subject.testing
    wanted = _tracks(subject).tracker.take(X)
    for cuts in (np.arange(1, len(X)), np.array([1, 2, 50, 51, 300])):
        tracker = _tracks(subject).tracker
        parts = [tracker.take(part) for part in np.split(X, cuts)]
        for name, whole in wanted._asdict().items():
            given = np.concatenate([getattr(part, name) for part in parts])
            require(bool(np.array_equal(given, whole)), f"{name} differ when readings are cut")


def check_entities_are_apart(subject: Subject) -> None:
    """Check that an entity scores the same with and without the others between its readings."""
    X, _ = subject.testing
    together = subject.fitted.score(X).values
    for e in range(_ENTITIES):
        own = X["entity"] == e
        alone = subject.fitted.score(X[own]).values
        require(bool(np.array_equal(alone, together[own])), f"entity {e} scores otherwise alone")


def check_peeking_changes_nothing(subject: Subject) -> None:
    """Check that ``peek`` scores as ``take`` does, and that its memory goes on from there."""
    X, _ = subject.testing
    first, second = X[:200], X[200:400]
    tracker, other = _tracks(subject).tracker, _tracks(subject).tracker
    before = copy.deepcopy(tracker.memory)
    seen, after = tracker.peek(first)
    require(equal(list(before), list(tracker.memory)), "peek changes what is remembered")
    tracker.remember(np.unique(first["entity"]), after)
    require(bool(np.array_equal(seen.scores, other.take(first).scores)), "peek scores otherwise")
    given, wanted = tracker.take(second).scores, other.take(second).scores
    require(bool(np.array_equal(given, wanted)), "the memory that peek returns goes on otherwise")


def check_missing_values_and_strangers(subject: Subject) -> None:
    """Check that missing values and unknown entities are scored, the latter 0."""
    X = subject.unseen[:300].copy()
    X["values"][10:40, 0] = X["values"][60:70] = np.nan
    X["entity"][::7] = UNKNOWN
    values = scored(subject.fitted, X).values
    require(not values[::7].any(), "readings of unknown entities have a score")
    subject.fits(np.where(np.arange(len(X)) < 0, X, subject.normal[:300]))


def check_gaps_and_clocks(subject: Subject) -> None:
    """Check that a long gap, a clock that is set back and equal times give finite scores."""
    X = subject.unseen[:300].copy()
    X["time"][100:] += 400 * 86_400_000_000
    X["time"][200:] -= 800 * 86_400_000_000
    X["time"][250:] = X["time"][250]
    scored(subject.fitted, X)


def _tracks(subject: Subject) -> Tracks:
    detector = subject.fitted
    if not isinstance(detector, Tracks):
        raise AssertionError(f"{detector.card.name} does not track readings")
    return detector


def _days(first: int, days: int, seed: int) -> Items:
    """Return the readings of some days, the entities in turn."""
    rng = np.random.default_rng(seed)
    n = days * 144
    minute = 10 * (first * 144 + np.arange(n))
    wave = 5 * np.sin(2 * np.pi * minute / 1440)
    values = np.empty((n, _ENTITIES, _CHANNELS))
    for e in range(_ENTITIES):
        values[:, e, 0] = 20 * (e + 1) + wave + rng.normal(size=n)
        values[:, e, 1] = 2 * values[:, e, 0] + rng.normal(size=n)
    times = np.repeat(minute * _MINUTE, _ENTITIES)
    entities = np.tile(np.arange(_ENTITIES), n)
    return readings(times, entities, values.reshape(-1, _CHANNELS))
