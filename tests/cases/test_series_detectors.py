"""Every detector of series but the default: single wrong values, new recordings, stuck sensors."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from tocsin import registry
from tocsin.base import SeriesDetector, Stretch
from tocsin.types import FloatArray

WINDOWS = ["kmeans_windows", "subsequence_pca", "windowed", "matrix_profile"]
FORECASTS = ["autoregression", "seasonal", "spectral_residual"]
NETWORKS = ["lstm", "cnn", "transformer", "series_autoencoder", "series_vae", "series_gan"]
STREAMS = ["recursive_ar", "streaming_forest", "streaming_autoencoder"]
BATCH = [*WINDOWS, *FORECASTS, *NETWORKS]
ALL = [*BATCH, *STREAMS]

PERIOD = 24


def wave(n: int, start: int = 0, seed: int = 0) -> FloatArray:
    """Return a noisy daily wave (n,), hourly, from an hour on."""
    noise = 0.05 * np.random.default_rng([seed, start, n]).normal(size=n)
    return np.asarray(np.sin(2 * np.pi * (start + np.arange(n)) / PERIOD) + noise)


@cache
def trained(name: str, glitch: float = 0.0) -> tuple[SeriesDetector, float]:
    """Return a detector trained on 2,400 hours, and the highest usual score held out."""
    x = wave(2400)
    x[1300] += glitch
    small = registry.find(name, "series").test_parameters() if name in NETWORKS else {}
    detector = registry.create(name, "series", **small).fit(x)
    assert isinstance(detector, SeriesDetector)
    own = detector.training_scores_[detector.held_out_]
    return detector, 1.1 * float(np.quantile(own, 0.995))


def flagged(name: str, X: Any, glitch: float = 0.0) -> Any:
    detector, threshold = trained(name, glitch)
    return np.flatnonzero(detector.score(X).values > threshold)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [9_999.0, 65_535.0, -1e30])
def test_a_glitch_is_one_point(name: str, value: float) -> None:
    """A single 9,999 in a sine of amplitude 1 is first, and its surroundings stay normal."""
    x = wave(800, 7, seed=1)
    usual = flagged(name, x)
    x[400] = value
    detector, _ = trained(name)
    assert detector.score(x).values.argmax() == 400
    found = flagged(name, x)
    assert 400 in found
    assert len(np.setdiff1d(found, usual)) <= 40


@pytest.mark.parametrize("name", ALL)
def test_a_glitch_in_training_hides_nothing(name: str) -> None:
    """After a single 65,535 in training a broken day is still found, and normal ones are not."""
    x = wave(800, 7, seed=2)
    x[400:424] = 0.6
    found = flagged(name, x, glitch=65_535.0)
    assert np.isin(np.arange(400, 440), found).any()
    assert len(np.setdiff1d(found, np.arange(290, 540))) <= 40


@pytest.mark.parametrize("name", ALL)
def test_a_new_recording_is_no_anomaly(name: str) -> None:
    """A normal recording in any phase, of any length from one point, flags nothing."""
    rng = np.random.default_rng(3)
    shares = [
        len(flagged(name, wave(n, int(rng.integers(0, 1000)), seed=4 + i))) / n
        for n in (1, 2, 5, 24, 96, 400)
        for i in range(5)
    ]
    assert np.mean(shares) <= 0.05


@pytest.mark.parametrize("name", ["autoregression", "seasonal"])
@pytest.mark.parametrize("deviations", [20, 1_000])
@pytest.mark.parametrize("place", [31, 250, 399])
def test_a_spike_is_found_at_the_very_point(name: str, deviations: float, place: int) -> None:
    """A spike of 20 or 1,000 deviations of the noise is first in rank, where it is."""
    x = wave(400, 5, seed=5)
    x[place] += 0.05 * deviations
    detector, threshold = trained(name)
    values = detector.score(x).values
    assert values.argmax() == place
    assert values[place] > threshold


@pytest.mark.parametrize("name", [*BATCH, "recursive_ar"])
def test_a_stuck_sensor_is_found(name: str) -> None:
    """Forty equal values in noise are first in rank, by a run longer than any in training."""
    rng = np.random.default_rng(6)
    noise = 50 + 3 * rng.normal(size=2000).round(2)
    small = registry.find(name, "series").test_parameters() if name in NETWORKS else {}
    detector = registry.create(name, "series", **small).fit(noise[:1500])
    x = noise[1500:].copy()
    x[200:240] = x[200]
    assert 200 <= detector.score(x).values.argmax() < 245


@pytest.mark.parametrize("name", ALL)
def test_nothing_crosses_from_one_stretch_to_the_next(name: str) -> None:
    """Two stretches score as each of them does alone."""
    detector, _ = trained(name)
    first, second = Stretch(wave(300, 3)[:, None]), Stretch(5 + wave(200, 17)[:, None])
    both = detector.score([first, second]).values
    alone = [detector.score([each]).values for each in (first, second)]
    np.testing.assert_allclose(both, np.concatenate(alone), rtol=1e-9)


EXACT = [name for name in BATCH if name != "transformer"]


@pytest.mark.parametrize("name", EXACT)
def test_scores_do_not_depend_on_the_file(name: str) -> None:
    """A stretch scored alone has the scores that it has inside a longer one, but at its ends."""
    detector, threshold = trained(name)
    x = wave(900, 11, seed=7)
    x[450:460] += 3.0
    whole, part = detector.score(x).values, detector.score(x[203:803]).values
    inner = slice(150, 450)
    assert np.abs(whole[203:803][inner] - part[inner]).max() < 0.01 * threshold


def test_a_season_keeps_its_phase_in_time() -> None:
    """A day that comes six hours late is an anomaly where times are known."""
    detector, threshold = trained("seasonal")
    timed = registry.create("seasonal", "series").fit(Stretch(wave(2400)[:, None], 0))
    assert isinstance(timed, SeriesDetector)
    pause = Stretch(wave(240, 3000)[:, None], 3000)
    late = Stretch(wave(240, 3006)[:, None], 3000)
    assert (timed.score(pause).values > threshold).mean() < 0.05
    assert (timed.score(late).values > threshold).mean() > 0.9
    assert (detector.score(late).values > threshold).mean() < 0.05


def test_a_stream_goes_on_where_it_stopped() -> None:
    """A stretch that comes next is told from a new recording by its place in time."""
    detector, _ = trained("recursive_ar")
    x = wave(100, 2400 + 9)[:, None]
    late, new = detector.score(Stretch(x, 2400)).values, detector.score(Stretch(x, 2500)).values
    assert late[:20].max() > 2 * new[:20].max()
