"""How auto looks at a series, what it says about it, and its streaming mode."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tocsin import registry
from tocsin.base import Stretch
from tocsin.detectors.series.auto import Auto
from tocsin.errors import NotFitted, ParameterError
from tocsin.types import FloatArray


def series(n: int = 3000) -> FloatArray:
    """A wave, a second one that a command moves at once, and that command."""
    rng = np.random.default_rng(0)
    command = np.repeat(rng.integers(0, 2, size=-(-n // 40)), 40)[:n].astype(float)
    waves = np.stack([np.sin(np.arange(n) / 8), np.cos(np.arange(n) / 11)], axis=1)
    waves[:, 1] += command
    return np.column_stack([waves + 0.05 * rng.normal(size=(n, 2)), command])


def test_reasons_say_what_was_looked_at():
    X = series()
    assert "one channel of period 50" in Auto().fit(X[:, :1]).reason_
    assert "2 channels (1 of at most two values only help to forecast)" in Auto().fit(X).reason_


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_spikes_and_changes_of_shape_are_found(channels):
    X = series()[:, :channels]
    X[2000:2005, 0] += 1
    X[2500:2560, 0] *= 0.3
    y = np.zeros(3000)
    y[2000:2005] = y[2500:2560] = 1
    values = Auto().fit(X[:1500]).score(X).values
    assert values[1995:2010].max() > values[:1900].max()
    assert average_precision_score(y, values) > 0.5


def test_parts_add_up_and_flags_have_none():
    X = series()
    X[2000:2050, 1] = 0
    scores = Auto().fit(X[:1500]).score(X)
    assert scores.parts is not None
    np.testing.assert_allclose(scores.parts.sum(axis=1), scores.values, atol=1e-9)
    assert not scores.parts[:, 2].any()
    assert (scores.parts[2000:2050].argmax(axis=1) == 1).all()


def test_series_of_flags_alone_and_short_ones_are_scored():
    flags = (series()[:300] > 0.5).astype(float)
    for X in (flags, flags[:, :1], series()[:16], series()[:16, :1]):
        detector = Auto().fit(X)
        assert np.isfinite(detector.score(X[:1]).values).all()
        assert len(detector.training_scores_) == len(X)


def test_another_mode_is_refused():
    with pytest.raises(ParameterError, match='"batch" or "streaming"'):
        Auto(mode="live").fit(series())  # type: ignore[arg-type]


def test_batch_mode_does_not_learn_event_by_event():
    auto = Auto().fit(series())
    with pytest.raises(ParameterError, match='mode="streaming"'):
        auto.process(np.zeros(3))


def test_streaming_mode_is_recursive_ar():
    X = series(1500)[:, :2]
    with pytest.raises(NotFitted):
        Auto(mode="streaming").process(X[0])
    auto = Auto(mode="streaming").fit(X[:1000])
    own = registry.create("recursive_ar", "series").fit(X[:1000])
    assert auto.chosen_.card.name == "recursive_ar"
    assert "as they come" in auto.reason_
    np.testing.assert_array_equal(auto.training_scores_, own.training_scores_)
    following = Stretch(X[1000:], at=1000)  # goes on where training ended
    scores = auto.score(following).values
    np.testing.assert_array_equal(scores, own.score(following).values)
    restored = Auto(mode="streaming").set_state(auto.get_state())
    assert restored.process(X[1000]) == pytest.approx(scores[0])
    auto.partial_fit(following.cut(0, 100))
    np.testing.assert_allclose(auto.score(following.cut(100, 500)).values, scores[100:])
    assert auto.tracking(3).process_many(X[1100:1103]).shape == (3,)
