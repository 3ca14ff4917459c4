"""A glitch is one point: neither what stands beside it nor what was learned may change by it."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin import SeriesPipeline
from tocsin.detectors.series.auto import Auto
from tocsin.types import FloatArray


def sine(n: int, seed: int, channels: int = 1, period: int = 50) -> FloatArray:
    at = np.arange(n)[:, None]
    waves = np.sin(2 * np.pi * at / period + np.arange(channels))
    return waves + 0.1 * np.random.default_rng(seed).normal(size=(n, channels))


@pytest.mark.parametrize("value", [-9999.0, 9999.0, 65_535.0, 1e12])
@pytest.mark.parametrize(("channels", "period"), [(1, 50), (1, 300), (3, 24)])
def test_a_sentinel_among_new_points(value: float, channels: int, period: int) -> None:
    """A single 9,999 or 65,535 in what follows on the training is one anomalous point."""
    X = sine(3000, 1, channels, period)
    detector = Auto().fit(X[:2000])
    clean = detector.score(X[2000:]).values
    X[2500, 0] = value
    values = detector.score(X[2000:]).values
    assert values.argmax() == 500
    np.testing.assert_allclose(np.delete(values, 500), np.delete(clean, 500), atol=0.05)


@pytest.mark.parametrize("value", [9999.0, -65_535.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_sentinel_in_the_training_series(value: float, channels: int) -> None:
    """A sentinel that was trained on leaves the others as they are, and does not hide a fault."""
    X = sine(3000, 2, channels)
    X[2600:2640] = 0
    usual = Auto().fit(X[:2000])
    X[700, 0] = value
    spoilt = Auto().fit(X[:2000])
    values = spoilt.score(X[2000:]).values
    assert spoilt.training_scores_.argmax() == 700
    assert np.corrcoef(values, usual.score(X[2000:]).values)[0, 1] > 0.99
    limit = np.quantile(spoilt.training_scores_, 0.99)
    assert values[600:640].min() > limit
    assert np.mean(values[:500] > limit) < 0.03


@pytest.mark.parametrize("value", [9999.0, 65_535.0])
@pytest.mark.parametrize("at", [3, 640, 1199])
def test_a_sentinel_in_one_file(value: float, at: int) -> None:
    """In one file, all in view, the sentinel is first by far, and the other fault second."""
    X = sine(1200, 3)
    X[at], X[300:340] = value, X[300]
    values = Auto().fit(X).score_together(X).values
    assert values.argmax() == at
    others = np.ones(1200, dtype=bool)
    others[max(0, at - 150) : at + 150] = False
    assert 290 <= np.flatnonzero(others)[values[others].argmax()] < 350


@pytest.mark.parametrize("height", [2.5, 3.5, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_moderate_spike_flags_little_around_it(seed: int, height: float) -> None:
    """A spike of 25 or more deviations, near the usual range, is flagged with little around it."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(3000) / 37) + 0.1 * rng.normal(size=3000)
    new = wave[2000:].copy()
    new[400 + 30 * seed] = height
    flagged = SeriesPipeline().fit(wave[:2000]).detect(new).decision.is_anomaly
    assert flagged[400 + 30 * seed]
    assert flagged.sum() <= 40
