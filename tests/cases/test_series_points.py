"""Single wrong points of series: flagged where they are, and first in rank."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.base import SeriesDetector
from tocsin.detectors.series.auto import Auto
from tocsin.types import FloatArray

SEEDS = range(3)


def first(values: FloatArray) -> int:
    return int(values.argmax())


def alone(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The scores of one file, all in view, and those that its thresholds come from."""
    detector = Auto().fit(X)
    return detector.score_together(X).values, detector.training_scores_


def flagged(detector: SeriesDetector, X: FloatArray) -> list[int]:
    """The points above the threshold that 1 % of the training points exceed."""
    values = detector.score(X).values
    return np.flatnonzero(values > np.quantile(detector.training_scores_, 0.99)).tolist()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("n", "at"), [(600, 287), (1500, 20), (300, 297)])
def test_one_wrong_quote_in_a_price_that_wanders(seed: int, n: int, at: int) -> None:
    """One wrong point of 30 steps in a random walk is first in rank, wherever it stands."""
    x = 30_000 + 100 * np.random.default_rng(seed).normal(size=n).cumsum()
    x[at] += 3000
    for values in alone(x):
        assert first(values) == at
        assert values[at] > 2 * np.delete(values, at).max()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("period", [24, 96, 400])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_spike_on_a_wave(seed: int, period: int, channels: int) -> None:
    """A spike of 22 deviations on a season, also beside a noisy second channel."""
    rng = np.random.default_rng(seed)
    n, at = 10 * period if period > 100 else 1200, 700 + 13 * seed
    wave = 10 * np.sin(2 * np.pi * np.arange(n) / period) + rng.normal(size=n)
    wave[at] += 22
    X = np.stack([wave, 5 * rng.normal(size=n)], axis=1)[:, :channels]
    for values in alone(X):
        assert first(values) == at
    after = Auto().fit(X[:600])
    assert first(after.score(X[600:]).values) == at - 600
    assert at - 600 in flagged(after, X[600:])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["iid", "smooth"])
def test_one_of_four_correlated_sensors_moves_alone(seed: int, kind: str) -> None:
    """One of four sensors that always move together leaves the others for one point."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=600)
    if kind == "smooth":
        common = np.sin(np.arange(600) / 9) + 0.2 * common
    X = common[:, None] * [1, 2, -1, 0.5] + 0.1 * rng.normal(size=(600, 4))
    X[521, 2] += 1.5
    detector = Auto().fit(X[:400])
    scores = detector.score(X[400:])
    assert first(scores.values) == 121
    assert scores.parts is not None
    assert scores.parts[121].argmax() == 2
    assert 121 in flagged(detector, X[400:])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("months", "times"), [(36, 10), (60, 8), (24, 12)])
def test_one_tenfold_month(seed: int, months: int, times: int) -> None:
    """One month of several times the usual sales, among two to five years of them."""
    rng = np.random.default_rng(seed)
    sales = 200 + 60 * np.sin(2 * np.pi * np.arange(months) / 12) + 15 * rng.normal(size=months)
    at = months // 2 + seed
    sales[at] *= times
    for values in alone(sales):
        assert first(values) == at


@pytest.mark.parametrize("at", [40, 52, 200])
@pytest.mark.parametrize("value", [60_000, 0])
def test_one_value_outside_of_all_others(at: int, value: int) -> None:
    """60,000 among 250 days of 20,000 to 30,000, or a 0."""
    x = np.random.default_rng(at).uniform(20_000, 30_000, 250)
    x[at] = value
    for values in alone(x):
        assert first(values) == at
