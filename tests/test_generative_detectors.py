"""The detectors that draw new rows besides scoring given ones: vae and gan."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tocsin.detectors.tables.gan import Gan, _SpectralLinear
from tocsin.detectors.tables.vae import Vae
from tocsin.errors import NotFitted, ParameterError

SMALL = {"steps": 150, "width": 32, "batch_size": 64, "device": "cpu"}
BOTH = pytest.mark.parametrize("detector", [Vae, Gan])
WAYS = [(detector, way) for detector in (Vae, Gan) for way in detector.ways]


def normal_rows(n: int, d: int = 6, seed: int = 0) -> np.ndarray:
    """Rows with two hidden factors, in different units, and a little noise."""
    factors = np.random.default_rng(1).normal(size=(2, d))
    rng = np.random.default_rng(seed + 2)
    rows = rng.normal(size=(n, 2)) @ factors + 0.1 * rng.normal(size=(n, d))
    return rows * np.arange(1, d + 1) + 10


def planted(n: int, d: int = 6) -> np.ndarray:
    """Rows whose every column is usual, but not together, and a little farther out."""
    rows = normal_rows(n, d, seed=7)
    rng = np.random.default_rng(3)
    mixed = np.column_stack([rng.permutation(column) for column in rows.T])
    return 10 + 2.5 * (mixed - 10)


@cache
def trained(detector: type[Gan | Vae], way: str) -> Gan | Vae:
    return detector(score_by=way, **SMALL).fit(normal_rows(600))


@pytest.mark.parametrize(("detector", "way"), WAYS)
def test_every_way_of_scoring_finds_planted_anomalies(detector, way):
    scores = trained(detector, way).score(np.vstack([normal_rows(200, seed=5), planted(200)]))
    assert roc_auc_score(np.repeat([0, 1], 200), scores.values) > 0.7
    assert scores.expected is not None
    assert scores.expected.shape == (400, 6)


@BOTH
def test_default_scores_are_the_sum_of_their_parts_and_name_the_column(detector):
    odd = normal_rows(1, seed=8)
    odd[0, 2] += 15 * normal_rows(600)[:, 2].std()
    scores = trained(detector, detector.ways[0]).score(odd)
    assert scores.parts is not None
    np.testing.assert_allclose(scores.parts.sum(axis=1), scores.values)
    assert scores.parts[0].argmax() == 2


@pytest.mark.parametrize(("detector", "tolerance"), [(Vae, 0.1), (Gan, 0.3)])
def test_samples_have_the_mean_and_covariance_of_the_training_rows(detector, tolerance):
    rows = normal_rows(2000)
    fitted = detector(steps=400, width=64, device="cpu").fit(rows)
    drawn = fitted.sample(5000, seed=1)
    deviation = rows.std(axis=0)
    assert np.abs((drawn.mean(axis=0) - rows.mean(axis=0)) / deviation).max() < tolerance
    error = (np.cov(drawn.T) - np.cov(rows.T)) / np.outer(deviation, deviation)
    assert np.abs(error).max() < tolerance


@BOTH
def test_samples_follow_their_seed_and_scoring_changes_nothing(detector):
    fitted = trained(detector, detector.ways[0])
    first = fitted.sample(9000, seed=4)
    before = fitted.score(first[:5]).values
    assert first.shape == (9000, 6)
    np.testing.assert_array_equal(first, fitted.sample(9000, seed=4))
    assert not np.array_equal(first[:10], fitted.sample(10, seed=5))
    np.testing.assert_array_equal(before, fitted.score(first[:5]).values)


@BOTH
def test_embedding_has_the_latent_size_and_survives_saving(detector):
    rows = normal_rows(200)
    fitted = detector(latent=2, **SMALL).fit(rows)
    copy = detector(latent=2, **SMALL).set_state(fitted.get_state())
    assert fitted.embed(rows).shape == (200, 2)
    np.testing.assert_array_equal(copy.embed(rows), fitted.embed(rows))
    np.testing.assert_array_equal(copy.sample(20), fitted.sample(20))


@pytest.mark.parametrize(("detector", "way"), WAYS)
def test_few_rows_constant_columns_and_extremes_give_finite_scores(detector, way):
    rows = normal_rows(33, d=3)
    rows[:, 1] = 7
    fitted = detector(score_by=way, **SMALL).fit(rows)
    extreme = np.vstack([np.full((1, 3), 1e300), np.full((1, 3), -1e300), rows[:1]])
    values = fitted.score(extreme).values
    assert np.isfinite(fitted.training_scores_).all()
    assert values[:2].min() > values[2]
    np.testing.assert_allclose(values[2], fitted.score(rows[:1]).values[0], rtol=1e-9)


@pytest.mark.parametrize(("detector", "way"), WAYS)
def test_training_scores_are_out_of_sample(detector, way):
    fitted = trained(detector, way)
    threshold = np.quantile(fitted.training_scores_, 0.9)
    rate = (fitted.score(normal_rows(2000, seed=9)).values > threshold).mean()
    assert 0.05 < rate < 0.15


def test_a_larger_beta_leaves_less_in_the_code():
    rows = normal_rows(400)
    left = [np.abs(Vae(beta=beta, **SMALL).fit(rows).embed(rows)).mean() for beta in (0.1, 20)]
    assert left[1] < 0.5 * left[0]


def test_elbo_adds_the_divergence_of_the_code():
    rows = normal_rows(300)
    likely, elbo = (
        trained(Vae, way).score(rows).values for way in ("reconstruction_probability", "elbo")
    )
    assert (elbo > likely).all()


def test_spectral_layer_has_gain_one_in_each_member():
    layer = _SpectralLinear(2, 8, 5)
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([3.0, 0.2]).view(2, 1, 1))
        layer.bias.zero_()
        for _ in range(50):
            layer(torch.zeros(2, 1, 8))
        gains = torch.linalg.matrix_norm(layer(torch.eye(8).expand(2, 8, 8)), ord=2)
    torch.testing.assert_close(gains, torch.ones(2), atol=1e-3, rtol=0)


@BOTH
def test_wide_tables_work(detector):
    rows = np.random.default_rng(0).random((30, 1555))
    fitted = detector(**{**SMALL, "steps": 5}).fit(rows)
    assert fitted.sample(3).shape == (3, 1555)
    assert np.isfinite(fitted.score(rows).values).all()


@BOTH
def test_wrong_settings_are_named(detector: type[Gan | Vae]):
    rows = normal_rows(20)
    fitted = trained(detector, detector.ways[0])
    with pytest.raises(ParameterError, match="score_by must be one of"):
        detector(score_by="luck").fit(rows)
    with pytest.raises(NotFitted, match="fit before sample"):
        detector().sample(3)
    with pytest.raises(ParameterError, match="at least 1 row"):
        fitted.sample(0)


def test_beta_below_zero_is_refused():
    with pytest.raises(ParameterError, match="beta must be at least 0"):
        Vae(beta=-1).fit(normal_rows(20))
