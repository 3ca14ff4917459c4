"""Commands, flags and constants that take a value which training never showed."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.detectors.series.auto import Auto
from tocsin.types import FloatArray

AT = 300
KINDS = ["constant", "zero", "negative", "command"]


def plant(kind: str, seed: int, n: int) -> FloatArray:
    """Return two sensors with a season beside a constant, or a command that switches."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    season = np.sin(2 * np.pi * (t[:, None] + [0, 9]) / 48)
    sensors = [20, 3] + season * [5, 1] + rng.normal(0, [0.5, 0.2], (n, 2))
    still = {"constant": 50.0, "zero": 0.0, "negative": -7.5, "command": 4.0 * (t // 37 % 3 == 0)}
    return np.column_stack([sensors, np.broadcast_to(still[kind], n)])


def flagged(training: FloatArray, X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return scores in units of what 1 % of the training points exceed, and shares of channels."""
    detector = Auto().fit(training)
    scores = detector.score(X)
    assert scores.parts is not None
    return scores.values / np.quantile(detector.training_scores_, 0.99), scores.parts


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["one point", "moves", "another level", "falls"])
def test_a_value_never_seen(kind: str, fault: str) -> None:
    """A constant or two-valued channel takes a value far from all known: flagged, by its name."""
    training, X = plant(kind, 0, 1200), plant(kind, 1, 600)
    calm, _ = flagged(training, X)
    length = 1 if fault == "one point" else 40
    moves = {
        "one point": 55.0,
        "moves": 9 + np.random.default_rng(2).normal(0, 1, length),
        "another level": 20.0,
        "falls": -30.0,
    }
    X[AT : AT + length, 2] += moves[fault]
    scores, parts = flagged(training, X)
    inside = slice(AT, AT + length)
    assert (scores[inside] > 1).all()
    assert AT <= scores.argmax() < AT + length
    assert (parts[inside].argmax(axis=1) == 2).all()
    scores[inside] = 0
    assert np.mean(scores > 1) <= np.mean(calm > 1) + 0.02


@pytest.mark.parametrize("move", [0.5, -0.5])
def test_a_constant_that_moves_a_little(move: float) -> None:
    """A sensor that showed 50 throughout and now shows 50.5 for a while is flagged."""
    X = plant("constant", 1, 600)
    X[AT : AT + 10, 2] += move
    scores, _ = flagged(plant("constant", 0, 1200), X)
    assert (scores[AT : AT + 10] > 1).all()


@pytest.mark.parametrize("seed", range(3))
def test_commands_that_switch_at_other_times(seed: int) -> None:
    """A command that switches at another time, or halfway, costs nothing."""
    training, X = plant("command", seed, 1200), plant("command", seed + 10, 600)
    calm, _ = flagged(training, X)
    X[AT : AT + 40, 2] = 4 - X[AT : AT + 40, 2]
    X[:20, 2] = 2
    switched, _ = flagged(training, X)
    assert np.mean(switched > 1) <= np.mean(calm > 1) + 0.02


@pytest.mark.parametrize("known", [0.0, 1.0])
def test_a_flag_that_training_never_saw_raised(known: float) -> None:
    """A flag that was 0, or 1, throughout may take the other value: it costs nothing."""
    training, X = plant("zero", 0, 1200), plant("zero", 1, 600)
    training[:, 2] = X[:, 2] = known
    calm, _ = flagged(training, X)
    X[AT : AT + 40, 2] = 1 - known
    scores, _ = flagged(training, X)
    assert np.mean(scores > 1) <= np.mean(calm > 1) + 0.01


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [5, 640, 1199])
def test_one_wrong_value_in_one_file(kind: str, at: int) -> None:
    """In one file, all in view, a single 55 of a constant or a command is first in rank."""
    X = plant(kind, 3, 1200)
    X[at, 2] = 55
    detector = Auto().fit(X)
    assert detector.training_scores_.argmax() == at
    assert detector.score_together(X).values.argmax() == at


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_value_for_good_is_another_regime(kind: str) -> None:
    """A new setting that stays is flagged where it begins, and not for ever."""
    X = plant(kind, 1, 3000)
    X[1000:, 2] += 30
    scores, _ = flagged(plant(kind, 0, 1200), X)
    assert (scores[1000:1080] > 1).all()
    calm, _ = flagged(plant(kind, 0, 1200), plant(kind, 1, 3000))
    assert np.mean(scores[1300:2700] > 1) <= np.mean(calm[1300:2700] > 1) + 0.02
