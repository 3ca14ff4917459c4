"""Sequence networks of series: what they expect, where their residuals peak, and odd shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tocsin.base import SeriesDetector
from tocsin.detectors.series._sequences import _by_stretches
from tocsin.detectors.series.cnn import Cnn
from tocsin.detectors.series.lstm import Lstm
from tocsin.detectors.series.transformer import Transformer
from tocsin.errors import ParameterError
from tocsin.types import FloatArray

SMALL: list[tuple[type[SeriesDetector], dict[str, Any]]] = [
    (Lstm, {"hidden": 16, "window": 48, "steps": 60}),
    (Lstm, {"hidden": 16, "window": 48, "steps": 60, "horizon": 4}),
    (Lstm, {"hidden": 16, "window": 32, "steps": 200, "task": "reconstruction"}),
    (Cnn, {"width": 16, "layers": 4, "window": 64, "steps": 60}),
    (Transformer, {"width": 32, "layers": 1, "patch": 4, "window": 64, "steps": 200}),
    (Transformer, {"width": 32, "layers": 1, "patch": 4, "window": 64, "task": "forecast"}),
]
EACH = pytest.mark.parametrize(
    ("kind", "parameters"),
    SMALL,
    ids=lambda value: value.__name__ if isinstance(value, type) else value.get("task", ""),
)


def waves(n: int, noise: float = 0.03, seed: int = 0) -> FloatArray:
    """Return two noisy sines of period 25, in different units."""
    at = np.arange(n) * 2 * np.pi / 25
    clean = np.column_stack([np.sin(at), np.cos(at)])
    return (clean + np.random.default_rng(seed).normal(0, noise, (n, 2))) * [1, 1000] + [5, -3000]


@EACH
def test_a_flat_stretch_of_one_channel_is_found_there(
    kind: type[SeriesDetector], parameters: dict[str, Any]
) -> None:
    x = waves(1200)
    x[900:940, 1] = -3000
    scores = kind(**parameters).fit(x[:700]).score(x)
    assert 885 <= int(scores.values.argmax()) <= 955
    assert scores.parts is not None
    assert scores.expected is not None
    assert scores.parts[920].argmax() == 1
    # what is expected has the units of the series, and goes on waving
    assert abs(scores.expected[:700] - x[:700]).mean(axis=0)[1] < 500
    assert scores.values[:50].max() < scores.values[880:960].max()


@pytest.mark.parametrize("kind", [Lstm, Cnn])
def test_forecasts_know_nothing_of_what_comes(kind: type[SeriesDetector]) -> None:
    x = waves(700)
    changed = x.copy()
    changed[650:] += 3
    detector = kind(steps=10, window=48).fit(x[:400])
    before, after = detector.score(x).expected, detector.score(changed).expected
    assert before is not None
    assert after is not None
    # the forecast of point 650 is made from the points before it
    np.testing.assert_allclose(after[:651], before[:651], rtol=1e-4, atol=1e-4)
    assert abs(after[651:] - before[651:]).max() > 1


def test_a_flag_is_an_input_and_not_scored() -> None:
    x = waves(900)
    flag = (np.arange(900) % 50 < 25).astype(float)
    series = np.column_stack([flag, x])
    detector = Lstm(steps=20, hidden=8).fit(series[:600])
    scores = detector.score(series)
    assert scores.parts is not None
    assert scores.expected is not None
    assert not scores.parts[:, 0].any()
    assert scores.parts[:, 1:].min() >= 0
    np.testing.assert_allclose(scores.expected[:, 0], flag, atol=1e-6)
    without = series.copy()
    without[:, 0] = 0
    assert not np.allclose(detector.score(without).values, scores.values)


def test_scores_are_comparable_between_the_held_out_end_and_new_points() -> None:
    detector = Cnn(steps=60, width=16).fit(waves(1000))
    honest = detector.training_scores_[detector.held_out_]
    new = detector.score(waves(500, seed=1)).values
    assert abs(np.median(new) / np.median(honest) - 1) < 0.3


@EACH
def test_any_length_scores_and_sixteen_points_train(
    kind: type[SeriesDetector], parameters: dict[str, Any]
) -> None:
    detector = kind(**{**parameters, "steps": 3}).fit(waves(16))
    for n in (1, 2, 3, 100):
        scores = detector.score(waves(n))
        assert scores.values.shape == (n,)
        assert np.isfinite(scores.values).all()


def test_stretches_put_together_what_was_cut() -> None:
    x = torch.arange(37.0)[:, None].repeat(1, 2)
    tried = (((5, 8, 3), 0), ((5, 8, 3), 6), ((50, 4, 0), 1), ((0, 100, 0), 70), ((0, 1, 2), 0))
    for margins, begun in tried:
        assert torch.equal(_by_stretches(x, margins, lambda window: window, begun), x)


@pytest.mark.parametrize(
    "detector",
    [
        Lstm(task="guess"),  # type: ignore[arg-type]
        Lstm(horizon=0),
        Cnn(layers=0),
        Transformer(width=30),
        Transformer(masked=1.0),
        Transformer(patch=0),
    ],
)
def test_wrong_parameters_are_refused(detector: SeriesDetector) -> None:
    with pytest.raises(ParameterError):
        detector.fit(waves(100))
