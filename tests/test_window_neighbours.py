"""Window views: what they find, whom they blame, and whether training scores are honest."""

from __future__ import annotations

import numpy as np
import pytest

from tocsin.detectors.series._views import SeriesContext, nearest_outside
from tocsin.detectors.series.window_neighbours import WindowNeighbours
from tocsin.types import FloatArray


def periodic(n: int, seed: int = 0, channels: int = 1) -> FloatArray:
    at = np.arange(n)[:, None]
    waves = np.sin(2 * np.pi * at / 50 * (1 + 0.5 * np.arange(channels)))
    return waves + 0.1 * np.random.default_rng(seed).normal(size=(n, channels))


def test_the_nearest_neighbour_is_the_one_of_brute_force():
    rng = np.random.default_rng(0)
    Q, R = (rng.normal(size=(n, 5)).astype(np.float32) for n in (40, 30))
    begin, among = np.arange(40), np.arange(5, 35)
    found = nearest_outside(Q, R, begin, among, zone=4)
    for q, nearest in enumerate(found):
        distance = ((Q[q] - R) ** 2).sum(axis=1)
        distance[np.abs(among - begin[q]) < 4] = np.inf
        assert nearest == distance.argmin()


@pytest.mark.parametrize(
    "spoil",
    [lambda x: x * 0.2, lambda x: x[::-1] + np.linspace(0, 1.5, len(x))[:, None], np.zeros_like],
    ids=["flattened", "drifting", "dead"],
)
def test_a_changed_shape_stands_out(spoil):
    X = periodic(3000)
    X[2000:2060] = spoil(X[2000:2060])
    values = WindowNeighbours().fit(X[:1000]).score(X).values
    assert 1950 <= values.argmax() <= 2110
    assert values[2000:2060].mean() > 2 * np.quantile(values[:1800], 0.99)


def test_the_channel_that_changed_is_blamed():
    X = periodic(2000, channels=3)
    X[1400:1450, 1] += 2
    scores = WindowNeighbours().fit(X[:1000]).score(X)
    assert scores.parts is not None
    np.testing.assert_allclose(scores.parts.sum(axis=1), scores.values, atol=1e-9)
    assert (scores.parts[1400:1450].argmax(axis=1) == 1).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_what_was_expected_is_near_the_unspoilt_series(channels):
    clean = 1e6 + 1e3 * periodic(3000, channels=channels)
    X = clean.copy()
    X[2000:2010, 0] += 3000
    expected = WindowNeighbours().fit(X[:1000]).score(X).expected
    assert expected is not None
    error = np.abs(expected - clean)[1900:2100, 0]
    assert error.max() < 1000
    assert np.median(error) < 200


@pytest.mark.parametrize("made", ["sine", "autoregressive", "three channels"])
def test_the_99_percent_quantile_of_training_scores_rings_for_about_1_percent(made):
    shares = []
    for seed in range(3):
        X = periodic(4000, seed, channels=3 if made == "three channels" else 1)
        if made == "autoregressive":
            X = np.random.default_rng(seed).normal(size=(4000, 1))
            for at in range(1, 4000):
                X[at] += 0.9 * X[at - 1]
        detector = WindowNeighbours().fit(X[:2000])
        threshold = np.quantile(detector.training_scores_, 0.99)
        assert threshold == pytest.approx(1)
        shares.append(np.mean(detector.score(X[2000:]).values > threshold))
    assert np.mean(shares) < 0.04


def test_a_series_of_its_own_does_not_ring_where_it_is_joined():
    X = periodic(2000)
    Y = periodic(1000, seed=1)[13:]
    values = WindowNeighbours().fit(X).score(Y).values
    assert values[:50].max() < 2


def test_training_scores_are_those_of_models_that_have_not_seen_the_block():
    X = periodic(1500)
    detector = WindowNeighbours().fit(X[:1000])
    held_out, seen = detector.training_scores_, detector.score(X[:1000]).values
    new = detector.score(X[1000:]).values
    assert seen.mean() < held_out.mean()
    assert abs(np.median(new) - np.median(held_out)) < 0.15
    one = detector.score(X[1000:1001])
    assert one.values.shape == (1,)
    assert one.expected is not None
    assert one.expected.shape == (1, 1)


@pytest.mark.parametrize("scale", [1e-310, 1e-9, 1e300, 1.7e307])
def test_units_do_not_matter(scale):
    X = periodic(400, channels=2)
    usual = WindowNeighbours().fit(X[:200]).score(X).values
    values = WindowNeighbours().fit(scale * X[:200]).score(scale * X).values
    np.testing.assert_allclose(values, usual, rtol=0.02, atol=0.02)


def test_extreme_and_constant_series_get_finite_scores():
    for training in (periodic(16), np.full((16, 1), 7.0), np.zeros((100, 1))):
        detector = WindowNeighbours().fit(training)
        for value in (0.0, 7.0, 1e300, -1.7e308):
            assert np.isfinite(detector.score(np.full((3, 1), value)).values).all()
    values = (
        WindowNeighbours()
        .fit(np.full((200, 1), 7.0))
        .score(np.r_[np.full((100, 1), 7.0), np.full((20, 1), 8.0), np.full((100, 1), 7.0)])
    )
    assert 80 <= values.values.argmax() <= 140


def test_one_glitch_does_not_hide_what_else_there_is():
    X = periodic(3000)
    X[1500] = 1e250
    X[2200:2260] = 0
    values = WindowNeighbours().fit(X[:1000]).score(X).values
    assert values[2200:2260].min() > np.quantile(values[:1000], 0.999)


def test_channels_of_two_values_are_not_judged_unless_alone():
    flag = np.tile([0.0, 5.0], 50)
    wave = np.sin(np.arange(100.0))
    constant = np.full(100, 3.0)

    def judged(*channels: FloatArray) -> list[bool]:
        return SeriesContext.of(np.stack(channels, axis=1), 50).judged.tolist()

    assert judged(flag, wave, constant) == [False, True, False]
    assert judged(flag, constant) == [True, False]
    assert judged(constant, constant) == [True, True]


def test_the_state_is_enough():
    X = periodic(500, channels=2)
    detector = WindowNeighbours().fit(X[:300])
    copy = WindowNeighbours().set_state(detector.get_state())
    np.testing.assert_array_equal(copy.score(X).values, detector.score(X).values)
