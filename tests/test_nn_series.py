"""Networks over windows of a series: channels, standardising, the loop, putting together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tocsin.errors import ParameterError
from tocsin.nn.series import NeuralSeriesDetector, ResidualRule, overlapped
from tocsin.types import Card, FloatArray


class Recurrent(NeuralSeriesDetector):
    """A forecaster whose layers know of no members: one step ahead by an LSTM."""

    card = Card("recurrent", "series", "forecast", ("one-class",), "", "", "")
    rule = ResidualRule(
        period=lambda x, window: 1,
        usual=lambda residuals: np.ones(residuals.shape[1]),
        parts=lambda residuals, mean, period: residuals,
        together=lambda parts: np.asarray(parts.max(axis=1)),
    )

    def _window_length(self, x: FloatArray) -> int:
        return 20

    def _network(self, n_features: int) -> nn.Module:
        return nn.ModuleList([nn.LSTM(n_features, 8, batch_first=True), nn.Linear(8, n_features)])

    def _forecast(self, net: Any, x: Tensor) -> Tensor:
        forecast: Tensor = net[1](net[0](x)[0])
        return forecast

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        return (self._forecast(net, x[:, :-1]) - x[:, 1:]).square().mean()

    def _residuals(self, net: Any, x: Tensor, at: int) -> tuple[Tensor, Tensor]:
        expected = torch.cat([x[:1], self._forecast(net, x[None, :-1])[0]])
        return (x - expected).abs(), expected


def wave(n: int, seed: int = 0) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.asarray(np.sin(np.arange(n) / 4) + 0.05 * rng.normal(size=n))[:, None]


def test_any_layer_of_torch_is_trained() -> None:
    x = wave(600)
    brief = Recurrent(steps=1).fit(x[:400])
    trained = Recurrent(steps=80, learning_rate=1e-2).fit(x[:400])
    assert trained.score(x[400:]).values.mean() < 0.5 * brief.score(x[400:]).values.mean()


def test_flags_are_not_scored_and_stuck_channels_are() -> None:
    x = wave(200)[:, 0]
    flag, stuck = (np.arange(200) % 9 == 0) * 1.0, np.full(200, -3.0)
    series = np.stack([x, flag, np.zeros(200), np.ones(200), stuck], axis=1)
    detector = Recurrent(steps=2).fit(series)
    assert detector.scored_.tolist() == [0, 4]
    assert not detector.score(series).parts[:, 1:4].any()  # type: ignore[index]


@pytest.mark.parametrize(("constant", "scored"), [(False, [1]), (True, [0, 1])])
def test_a_series_of_flags_alone_is_scored_all_the_same(constant: bool, scored: list[int]) -> None:
    flag = np.zeros(64) if constant else (np.arange(64) % 9 == 0) * 1.0
    detector = Recurrent(steps=2).fit(np.stack([np.zeros(64), flag], axis=1))
    assert detector.scored_.tolist() == scored


def test_each_network_holds_out_a_block_of_its_own() -> None:
    x = wave(500)
    changed = x.copy()
    changed[400:] = np.random.default_rng(1).normal(size=(100, 1))
    # Of the same mean and deviation, so that only what is learned from could differ.
    rest = changed[400:] - changed[400:].mean()
    changed[400:] = rest / rest.std() * x[400:].std() + x[400:].mean()
    one, other = Recurrent(steps=20).fit(x), Recurrent(steps=20).fit(changed)
    assert (np.flatnonzero(np.diff(one.held_out_)) + 1).tolist() == [100, 200, 400]
    close = [
        all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*weights, strict=True))
        for weights in (
            [net.state_dict().values() for net in pair]
            for pair in zip(one.net_, other.net_, strict=True)
        )
    ]
    assert not close[0], "the first network learns from the last block"


def test_a_window_never_crosses_stretches() -> None:
    parts = [wave(200), 50 + wave(200), wave(100)]
    apart = Recurrent(steps=60, learning_rate=1e-2).fit(parts)
    jumps = apart.score(np.concatenate(parts[:2])).values[199:202].max()
    assert apart.training_scores_[197:201].max() < jumps / 4
    for part in parts:
        alone = apart.score([part, part]).values
        np.testing.assert_allclose(alone[: len(part)], alone[len(part) :])


def test_units_do_not_matter_up_to_the_largest() -> None:
    x = wave(200)
    plain, huge = Recurrent(steps=5).fit(x), Recurrent(steps=5).fit(x * 1e300)
    far = np.array([[1e308], [-1e308]])
    np.testing.assert_allclose(huge.score(x * 1e300).values, plain.score(x).values, rtol=1e-4)
    seen, seen_huge = plain.score(x).expected, huge.score(x * 1e300).expected
    assert seen is not None
    assert seen_huge is not None
    np.testing.assert_allclose(seen_huge / 1e300, seen, atol=1e-3)
    assert np.isfinite(plain.score(far).values).all()
    assert np.isfinite(plain.score(far).expected).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 2, 5, 6, 30])
def test_short_series_are_learned_from_and_scored(n: int) -> None:
    detector = Recurrent(steps=3).fit(wave(24))
    assert detector.window_ == 6
    scores = detector.score(wave(n))
    assert scores.values.shape == (n,)
    assert scores.parts is not None
    assert scores.parts.shape == (n, 1)


def test_state_gives_the_same_scores() -> None:
    x = wave(100)
    detector = Recurrent(steps=3).fit(x)
    again = Recurrent(steps=3).set_state(detector.get_state())
    assert (again.score(x).values == detector.score(x).values).all()


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_overlapped_averages_the_windows_over_a_point(at_once: int) -> None:
    x = torch.randn(23, 2, generator=torch.Generator().manual_seed(0))
    place = torch.arange(5.0)[None, :, None]
    mean = overlapped(x, 5, lambda windows: windows[..., :1] + place, 1, at_once)
    expected = np.zeros((23, 1))
    for point in range(23):
        over = [point - begin for begin in range(19) if 0 <= point - begin < 5]
        expected[point] = float(x[point, 0]) + sum(over) / len(over)
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"window": 1}, {"learning_rate": -1.0}])
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        Recurrent(**wrong).fit(wave(50))
