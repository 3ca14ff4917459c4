"""Autoencoder, variational autoencoder and adversarial network over windows of a series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tocsin import registry
from tocsin.base import Detector
from tocsin.errors import ParameterError
from tocsin.types import FloatArray

NAMES = ["series_autoencoder", "series_vae", "series_gan"]


def make(name: str, **parameters: Any) -> Detector:
    small = registry.find(name, "series").test_parameters()
    return registry.create(name, "series", **(small | parameters))


def waves(n: int = 1000, seed: int = 0) -> FloatArray:
    """Return two channels in their own units, and a flag that means nothing."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    channels = [np.sin(t / 4), 50 + 10 * np.cos(t / 4)]
    noisy = [x + 0.05 * np.std(x) * rng.normal(size=n) for x in channels]
    return np.stack([*noisy, rng.integers(0, 2, n)], axis=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_cycle_is_found_and_its_channel_named(name: str) -> None:
    x = waves()
    x[800:830, 1] = 50
    scores = make(name).fit(x[:600]).score(x)
    truth = np.zeros(len(x))
    truth[800:830] = 1
    assert average_precision_score(truth, scores.values) > 0.5
    assert scores.parts is not None
    assert scores.parts[815].argmax() == 1
    assert not scores.parts[:, 2].any()


@pytest.mark.parametrize("name", NAMES)
def test_the_expected_values_are_those_of_the_cycle(name: str) -> None:
    x = waves()
    seen = x.copy()
    seen[800:803, 1] += 15
    expected = make(name).fit(x[:600]).score(seen).expected
    assert expected is not None
    assert np.abs(expected[600:, 0] - x[600:, 0]).mean() < 0.2
    assert np.abs(expected[800:803, 1] - x[800:803, 1]).mean() < 7


@pytest.mark.parametrize("name", NAMES)
def test_a_level_alone_is_no_anomaly(name: str) -> None:
    x = waves()[:, :1]
    detector = make(name).fit(x[:600])
    np.testing.assert_allclose(
        detector.score(x[600:] + 3).values, detector.score(x[600:]).values, rtol=0.01
    )


@pytest.mark.parametrize("name", NAMES)
def test_held_out_scores_are_those_of_new_points(name: str) -> None:
    x = waves(1600)
    detector = make(name).fit(x[:1000])
    held_out = detector.training_scores_[detector.held_out_]
    new = detector.score(x[1000:]).values
    assert 0.7 < np.median(new) / np.median(held_out) < 1.4


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("series_autoencoder", {"latent": 0}),
        ("series_autoencoder", {"width": -1}),
        ("series_vae", {"beta": -0.1}),
        ("series_gan", {"adversarial": float("nan")}),
    ],
)
def test_wrong_parameters_are_refused(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        make(name, **wrong).fit(waves(100))
