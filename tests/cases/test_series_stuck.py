"""Sensors that are stuck, damped, clipped or rounded look quiet, and are anomalies all the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tocsin.detectors.series.auto import Auto
from tocsin.types import FloatArray

Fault = Callable[[FloatArray], FloatArray]

FAULTS: dict[str, tuple[int, Fault]] = {
    "stuck for 12 points": (12, lambda x: np.full_like(x, x[0])),
    "stuck for 40 points": (40, lambda x: np.full_like(x, x[0])),
    "stuck for 200 points": (200, lambda x: np.full_like(x, x[0])),
    "damped to a fifth": (60, lambda x: x.mean() + (x - x.mean()) / 5),
    "rounded to one deviation": (60, lambda x: np.round(x / 3) * 3),
    "clipped to a third of a deviation": (60, lambda x: np.clip(x, 49, 51)),
}


def noise(n: int, seed: int, channels: int) -> FloatArray:
    """Sensors at 50 with deviations of 3; the last ones have a season, too."""
    X = 50 + 3 * np.random.default_rng(seed).normal(size=(n, channels))
    X[:, 1:] += 10 * np.sin(np.arange(n) / 20)[:, None]
    return X


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(2))
def test_a_quiet_stretch_in_noise(fault: str, channels: int, seed: int) -> None:
    """A stuck, damped, rounded or clipped stretch in noise is flagged, and is where scores peak."""
    length, change = FAULTS[fault]
    X = noise(2200, seed, channels)
    at = slice(1600, 1600 + length)
    X[at, 0] = change(X[at, 0])
    detector = Auto().fit(X[:1200])
    values = detector.score(X[1200:]).values
    limit = np.quantile(detector.training_scores_, 0.99)
    assert values[400 : 400 + length].max() > limit
    assert 390 <= values.argmax() < 410 + length
    assert np.mean(values[:300] > limit) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_forty_equal_values_in_one_file(seed: int) -> None:
    """40 equal values among 600 of noise, without a training series, are first in rank."""
    x = 50 + 3 * np.random.default_rng(seed).normal(size=600)
    x[300:340] = np.round(x[300], 1)
    detector = Auto().fit(x)
    for values in (detector.score_together(x).values, detector.training_scores_):
        assert 300 <= values.argmax() < 340


@pytest.mark.parametrize("seed", range(2))
def test_a_sensor_that_often_rests(seed: int) -> None:
    """A channel that rests again and again in training may rest again."""
    x = noise(2400, seed, 1)[:, 0]
    for start in range(100, 2400, 300):
        x[start : start + 40] = x[start]
    detector = Auto().fit(x[:1600])
    values = detector.score(x[1600:]).values
    assert np.mean(values > np.quantile(detector.training_scores_, 0.99)) < 0.05
