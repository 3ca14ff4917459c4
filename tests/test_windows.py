"""Periods, windows and the way back from scores of windows to those of points."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.features.windows import (
    USUAL_PERIOD,
    autocorrelation,
    average_over_windows,
    dominant_period,
    smooth,
    starts,
    windows,
)


@pytest.mark.parametrize("period", [12, 24, 100, 288])
def test_the_period_of_a_noisy_sine_is_found(period):
    at = np.arange(5000)
    x = np.sin(2 * np.pi * at / period) + 0.2 * np.random.default_rng(0).normal(size=5000)
    assert abs(dominant_period(x) - period) <= max(1, 0.02 * period)


def test_the_period_does_not_depend_on_units():
    x = np.sin(np.arange(1000) / 6)
    assert dominant_period(x) == dominant_period(1e300 * x) == dominant_period(1e-300 * x + 1e-299)


@pytest.mark.parametrize(("n", "expected"), [(1000, USUAL_PERIOD), (100, 25), (2, 1), (1, 1)])
def test_without_a_period_the_usual_one_is_taken_if_it_fits(n, expected):
    assert dominant_period(np.full(n, 3.0)) == expected


def test_autocorrelation_is_that_of_its_definition():
    x = np.random.default_rng(0).normal(size=50)
    centred = x - x.mean()
    direct = [centred[: 50 - lag] @ centred[lag:] / (centred @ centred) for lag in range(6)]
    np.testing.assert_allclose(autocorrelation(x, 5), direct, atol=1e-12)


def test_starts_cover_both_ends_and_stay_few():
    assert starts(10, 4, 100).tolist() == list(range(7))
    few = starts(10_000, 64, 50)
    assert len(few) == 50
    assert (few[0], few[-1]) == (0, 9936)
    assert starts(5, 5, 10).tolist() == [0]


def test_windows_are_slices():
    X = np.arange(12.0).reshape(6, 2)
    np.testing.assert_array_equal(windows(X, 3)[2], X[2:5])


def test_a_point_scores_the_mean_of_the_windows_that_cover_it():
    rng = np.random.default_rng(0)
    n, length = 200, 17
    begin = np.sort(rng.choice(n - length, 40, replace=False))
    scores = rng.normal(size=40)
    found = average_over_windows(scores, begin, length, n)
    for point in range(n):
        cover = (begin <= point) & (point < begin + length)
        if cover.any():
            assert found[point] == pytest.approx(scores[cover].mean())
    assert np.isfinite(found).all()


@pytest.mark.parametrize("width", [1, 2, 5, 400])
def test_smoothing_keeps_constants_and_shape(width):
    np.testing.assert_allclose(smooth(np.full((100, 2), 7.0), width), 7.0)
    x = np.random.default_rng(0).normal(size=100)
    assert smooth(x, width).shape == x.shape
    assert smooth(x, width)[50] == pytest.approx(
        x[max(0, 50 - width // 2) : 50 + (width + 1) // 2].mean()
    )
