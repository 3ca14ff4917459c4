"""The streaming detectors: one event at a time, never looking ahead, resumed exactly."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tocsin import registry
from tocsin.base import Stretch
from tocsin.detectors.series.recursive_ar import RecursiveAr
from tocsin.detectors.series.streaming_autoencoder import StreamingAutoencoder
from tocsin.detectors.series.streaming_forest import StreamingForest
from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch
from tocsin.store import folder

DETECTORS = [RecursiveAr, StreamingForest, StreamingAutoencoder]
every = pytest.mark.parametrize("detector", DETECTORS)


def wave(n: int = 1200, channels: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    phases = np.arange(n)[:, None] * 2 * np.pi / 40 + np.arange(channels)
    return np.sin(phases) + 0.05 * rng.normal(size=(n, channels))


def processed(detector, X):
    return np.array([detector.process(event) for event in X])


@every
def test_no_score_depends_on_later_events(detector):
    X = wave(900, 2)
    fitted = detector().fit(X[:400])
    whole = fitted.score(X[400:])
    for k in (1, 7, 300):
        part = fitted.score(X[400 : 400 + k])
        assert np.array_equal(whole.values[:k], part.values)
        assert np.array_equal(whole.parts[:k], part.parts)


@every
def test_event_by_event_is_as_the_series_in_one(detector):
    X = wave(900, 2)
    fitted = detector().fit(X[:400])
    expected = fitted.score(Stretch(X[400:], 400)).values
    assert np.array_equal(fitted.score(Stretch(X[400:], 400)).values, expected)
    many = fitted.tracking(3)
    together = np.array([many.process_many(np.tile(event, (3, 1))) for event in X[400:500]])
    assert np.array_equal(together, np.repeat(expected[:100, None], 3, axis=1))
    assert np.array_equal(processed(fitted, X[400:]), expected)
    whole = detector().fit(X)
    assert np.array_equal(whole.training_scores_[400:], expected)


@every
def test_partial_fit_learns_as_process_does(detector):
    X = wave(700)
    one, other = detector().partial_fit(X[:300]), detector().fit(X[:300])
    one.partial_fit(X[300:600])
    processed(other, X[300:600])
    assert np.array_equal(one.score(X[600:]).values, other.score(X[600:]).values)


@every
def test_entities_do_not_share_what_they_learn(detector):
    fitted = detector().fit(wave(300)).tracking(2)
    for event in wave(200, seed=1):
        fitted.process(event, 1)
    alone = detector().fit(wave(300))
    assert fitted.process([0.3], 0) == alone.process([0.3])


@pytest.mark.parametrize(
    "running", [*(detector() for detector in DETECTORS), RecursiveAr(delay=20)], ids=str
)
def test_a_saved_state_resumes_exactly(running, tmp_path):
    X = wave(800, 2)
    running = running.fit(X[:300]).tracking(2)
    for event in X[300:437]:
        running.process_many(np.stack([event, -event]))
    folder.save_state(tmp_path / "model", running.get_state(), {})
    state, _ = folder.load_state(tmp_path / "model")
    resumed = registry.create(running.card.name, "series", **running.get_params()).set_state(state)
    for event in X[437:]:
        events = np.stack([event, -event])
        assert np.array_equal(resumed.process_many(events), running.process_many(events))
    assert resumed.process(X[0], 1) == running.process(X[0], 1)


@every
def test_the_state_has_a_fixed_size(detector):
    fitted = detector().fit(wave(200))
    size = fitted.states_.nbytes
    fitted.partial_fit(wave(2000))
    assert fitted.states_.nbytes == size < 30_000
    assert fitted.tracking(10).states_.nbytes == 10 * size
    for array in fitted.tracking(10).get_state()["states_"].values():
        assert len(array) == 10


@every
@pytest.mark.parametrize("unit", [1e-200, 1e6, 1e290])
def test_anomalies_score_higher_in_any_unit(detector, unit):
    X, y = wave(1500, seed=3), np.zeros(1500, dtype=int)
    X[1000:1020] += 1.5
    y[1000:1020] = 1
    fitted = detector().fit(X[:600] * unit)
    assert roc_auc_score(y[600:], fitted.score(X[600:] * unit).values) > 0.8


@every
def test_extreme_series_give_finite_scores(detector):
    rng = np.random.default_rng(0)
    extreme = np.stack(
        [
            np.zeros(400),
            (rng.random(400) < 0.1) * 1.0,
            np.where(rng.random(400) < 0.05, 1e300, rng.normal(size=400)),
            np.where(np.arange(400) < 200, 7.0, -1.7e308),
            rng.normal(size=400) * 1e-300,
        ],
        axis=1,
    )
    fitted = detector().fit(extreme[:100])
    scores = fitted.score(extreme)
    assert np.isfinite(scores.values).all()
    assert np.isfinite(scores.parts).all()
    assert scores.expected is None or np.isfinite(scores.expected).all()
    for channel in extreme.T:
        assert np.isfinite(detector().fit(channel[:50]).score(channel).values).all()


@every
def test_constant_channels_are_quiet_and_binary_ones_kept_out(detector):
    X = np.concatenate([wave(600), np.zeros((600, 1)), np.ones((600, 1))], axis=1)
    X[500:, 1] = 1.0
    scores = detector().fit(X).score(X[:100])
    assert (scores.parts[:, 1:] == 0).all()
    assert scores.parts[:, 0].max() > 0
    assert detector().fit(np.full((100, 1), 3.0)).training_scores_.max() < 1


@every
def test_missing_values_are_not_learned_from(detector):
    X = wave(600, 2)
    fitted = detector().fit(X)
    scores = processed(fitted, np.full((50, 2), np.nan))
    assert np.isfinite(scores).all()
    assert (np.diff(scores[8:]) <= 1e-6).all(), "a missing value adds nothing to the score"
    gaps = detector().fit(X)
    known = gaps.states_["mean"].copy(), gaps.states_["known"].copy()
    gaps.process([np.nan, np.nan])
    assert np.array_equal(gaps.states_["mean"], known[0])
    assert np.array_equal(gaps.states_["known"], known[1])
    assert np.isfinite(gaps.process([np.nan, 0.2]))


@every
def test_bad_events_raise(detector):
    with pytest.raises(NotFitted):
        detector().process([0.0])
    fitted = detector().fit(wave(100, 2))
    for event in ([0.0], [0.0, 1.0, 2.0], 3.0):
        with pytest.raises(SchemaMismatch):
            fitted.process(event)
    for event in ([0.0, np.inf], [-np.inf, np.nan]):
        with pytest.raises(InputError, match="infinite"):
            fitted.process(event)
    with pytest.raises(InputError, match="entity 1"):
        fitted.process([0.0, 0.0], 1)
    with pytest.raises(InputError, match="one event for each"):
        fitted.process_many(np.zeros((2, 2)))
    with pytest.raises(InputError, match="entity 0"):
        fitted.process_many(np.array([[0.0, np.inf]]))
    with pytest.raises(ParameterError):
        fitted.tracking(0)
    with pytest.raises(NotFitted):
        detector().tracking(2)


@pytest.mark.parametrize(
    "detector",
    [
        RecursiveAr(delay=-1),
        RecursiveAr(delay=1000),
        StreamingForest(memory=2),
        StreamingAutoencoder(patience=0),
    ],
)
def test_parameters_that_cannot_work_raise(detector):
    with pytest.raises(ParameterError):
        detector.fit(wave(100))


@pytest.mark.parametrize("delay", [1, 30])
def test_a_delayed_score_uses_so_many_later_events_and_no_more(delay):
    X = wave(900)
    fitted = RecursiveAr(delay=delay).fit(X[:400])
    scores = fitted.score(Stretch(X[400:], 400)).values
    assert np.array_equal(
        fitted.score(Stretch(X[400:700], 400)).values[: 300 - delay], scores[: 300 - delay]
    )
    late = processed(fitted, X[400:])
    assert np.array_equal(late[delay:], scores[: len(scores) - delay])
    fresh = RecursiveAr(delay=delay).fit(X[:16])
    assert len(fresh.training_scores_) == 16
    assert np.array_equal(fresh.score(X[16:18]).values.shape, (2,))


def test_delay_moves_scores_onto_the_anomaly():
    X, y = wave(2000), np.zeros(2000, dtype=int)
    X[1500:1540, 0] = X[1500:1540, 0] ** 3
    y[1500:1540] = 1
    causal, delayed = (
        roc_auc_score(y[400:], RecursiveAr(delay=d).fit(X[:400]).score(X[400:]).values)
        for d in (0, 60)
    )
    assert delayed > causal > 0.8


def test_the_period_is_that_of_the_events_seen():
    for n in (600, 5000):
        assert abs(RecursiveAr().fit(wave(n)).states_["period"][0, 0] - 40) <= 1


@pytest.mark.parametrize(("length", "adopted"), [(400, False), (1600, True)])
def test_the_autoencoder_adopts_a_regime_that_lasts(length, adopted):
    patience = 500
    usual, strange = wave(1000), wave(length)
    strange[:, 0] = 4 * np.sign(np.sin(np.arange(length) / 2)) + strange[:, 0]
    fitted = StreamingAutoencoder(patience).fit(usual)
    scores = processed(fitted, strange)
    highest = fitted.training_scores_[300:].max()
    assert scores[100:400].min() > 2 * highest, "an anomaly became normal"
    assert (np.median(scores[-100:]) < scores[200] / 2) == adopted


def test_the_autoencoder_learns_nothing_from_alarms():
    fitted = StreamingAutoencoder().fit(wave(1000))
    before = fitted.states_["decoder"].copy()
    processed(fitted, np.full((200, 1), 50.0))
    assert np.array_equal(fitted.states_["decoder"], before)
    assert fitted.states_["alarms"][0, 0] >= 199
