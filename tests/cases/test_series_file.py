"""A point's score does not depend on what else the file holds."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.base import Stretch
from tocsin.detectors.series.auto import Auto
from tocsin.types import FloatArray


def wave(first: int, n: int, seed: int, channels: int = 1, period: int = 24) -> FloatArray:
    at = np.arange(first, first + n)[:, None]
    season = 10 * np.sin(2 * np.pi * at / period + np.arange(channels))
    return 50 + season + np.random.default_rng(seed).normal(size=(n, channels))


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("period", [24, 96])
def test_a_stretch_alone_and_within_a_longer_file(channels: int, period: int) -> None:
    """A stretch scored alone and inside a file with anomalies elsewhere has the same scores."""
    detector = Auto().fit(wave(0, 1000, 0, channels, period))
    X = wave(1000, 1500, 1, channels, period)
    X[40:60], X[1400] = 200, -9999
    whole, alone = detector.score(X).values, detector.score(X[300:1100]).values
    reach = 3 * period + 60
    inside = slice(reach, 800 - reach)
    np.testing.assert_allclose(alone[inside], whole[300:1100][inside], atol=1e-6)


@pytest.mark.parametrize("first", [1003, 1011, 5000, 9999])
@pytest.mark.parametrize("n", [1, 3, 8, 24, 60])
def test_a_short_normal_file_in_another_phase(first: int, n: int) -> None:
    """A few normal hours in any phase, fewer than a window or a period: hardly any flagged."""
    detector = Auto().fit(wave(0, 600, 0))
    limit = np.quantile(detector.training_scores_, 0.99)
    flagged = [detector.score(wave(first + 7 * s, n, s)).values > limit for s in range(1, 6)]
    assert np.mean(flagged) <= 0.02


@pytest.mark.parametrize("n", [6, 24, 60])
def test_a_fault_in_a_short_file(n: int) -> None:
    """A wrong point in a file of a few hours is flagged, and is the first."""
    detector = Auto().fit(wave(0, 600, 0))
    X = wave(1003, n, 1)
    X[n // 2] += 25
    values = detector.score(X).values
    assert values.argmax() == n // 2
    assert values.max() > np.quantile(detector.training_scores_, 0.99)


@pytest.mark.parametrize("levels", [(0, 0, 0), (0, 100, -150)])
def test_stretches_are_never_joined(levels: tuple[int, ...]) -> None:
    """Stretches scored together have the scores that each has alone, whatever their order."""
    training = [Stretch(wave(0, 400, s) + level) for s, level in enumerate(levels)]
    detector = Auto().fit(training)
    new = [wave(17 * s, 200, 5 + s) + level for s, level in enumerate(levels)]
    together = detector.score(new).values
    backwards = detector.score(new[::-1]).values
    for s, each in enumerate(new):
        values = detector.score(each).values
        np.testing.assert_allclose(together[200 * s : 200 * s + 200], values, atol=1e-9)
        place = 200 * (len(new) - 1 - s)
        np.testing.assert_allclose(backwards[place : place + 200], values, atol=1e-9)
    limit = np.quantile(detector.training_scores_, 0.99)
    assert np.mean(together > limit) < 0.05


@pytest.mark.parametrize("channels", [1, 3])
def test_what_training_scores_promise(channels: int) -> None:
    """What 1 % of the training points exceed, at most 3 % of later normal points do."""
    shares = []
    for seed in range(3):
        detector = Auto().fit(wave(0, 2000, seed, channels))
        limit = np.quantile(detector.training_scores_, 0.99)
        shares.append(np.mean(detector.score(wave(5007, 2000, 10 + seed, channels)).values > limit))
    assert np.mean(shares) < 0.03
