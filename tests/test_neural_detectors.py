"""What is special about autoencoder, denoising, deep_svdd and classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from tocsin.detectors.tables.autoencoder import Autoencoder
from tocsin.detectors.tables.classifier import Classifier, _made_up, _platt
from tocsin.detectors.tables.deep_svdd import DeepSvdd
from tocsin.detectors.tables.denoising import Denoising
from tocsin.errors import InputError, NotFitted, ParameterError
from tocsin.nn import training
from tocsin.progress import reporting_to

ONE_CLASS = [Autoencoder, Denoising, DeepSvdd]


def small(cls: Any, **parameters: Any) -> Any:
    return cls(**{**cls.test_parameters(), **parameters})


def plane(n: int, seed: int = 0) -> np.ndarray:
    """Rows of six columns on a plane, with a little noise."""
    basis = np.random.default_rng(99).normal(size=(2, 6))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ basis + rng.normal(0, 0.1, size=(n, 6))


def labelled(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose chance of being an anomaly is the sigmoid of 2·x0 − 2."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, (rng.random(n) < 1 / (1 + np.exp(2 - 2 * X[:, 0]))).astype(int)


@pytest.mark.parametrize("cls", ONE_CLASS)
def test_a_training_row_is_scored_by_the_member_that_held_it_out(cls: Any) -> None:
    X = plane(90)
    detector = small(cls, steps=30, members=3).fit(X)
    fold = detector._folds(90, None)
    for x in detector._chunks(X):
        scores, _, _ = detector._row_scores(detector.net_, x.expand(detector.members, -1, -1))
    own = scores.numpy()[fold, np.arange(90)]
    np.testing.assert_allclose(detector.training_scores_, own, rtol=1e-9)


@pytest.mark.parametrize("cls", ONE_CLASS)
def test_memory_mapped_rows_train_the_same_model(
    cls: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = plane(80)
    np.save(tmp_path / "rows.npy", X)
    expected = small(cls, steps=30).fit(X).score(X).values
    monkeypatch.setattr(training, "_CACHED", 0)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    np.testing.assert_array_equal(small(cls, steps=30).fit(mapped).score(X).values, expected)


@pytest.mark.parametrize("cls", ONE_CLASS)
@pytest.mark.parametrize("members", [1, 2, 7])
def test_three_rows_are_enough(cls: Any, members: int) -> None:
    detector = small(cls, members=members, steps=10).fit(plane(3))
    assert np.isfinite(detector.training_scores_).all()


@pytest.mark.parametrize("cls", ONE_CLASS)
def test_training_leaves_the_global_generator_alone(cls: Any) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    small(cls, steps=10).fit(plane(20))
    assert torch.rand(1) == expected


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    with reporting_to(lambda what, step, steps: told.append((step, steps))):
        small(Autoencoder, steps=50).fit(plane(60))
    assert told == [(25, 50), (50, 50)]


def test_the_reconstruction_restores_a_broken_column() -> None:
    detector = Autoencoder(latent=2, width=64, steps=300, batch_size=128).fit(plane(400))
    rows = plane(50, seed=1)
    assert np.abs(detector.score(rows).expected - rows).mean() < 0.15
    broken = rows.copy()
    broken[:, 3] += 3
    scores = detector.score(broken)
    assert (scores.parts.argmax(axis=1) == 3).mean() > 0.9
    np.testing.assert_allclose(scores.parts.sum(axis=1), scores.values)


@pytest.mark.parametrize(("cls", "size"), [(Autoencoder, 3), (DeepSvdd, 8)])
def test_embed_gives_the_latent_representation(cls: Any, size: int) -> None:
    X = plane(60)
    with pytest.raises(NotFitted, match="embed"):
        small(cls).embed(X)
    latent = small(cls).fit(X).embed(X)
    assert latent.shape == (60, size)
    assert latent.dtype == np.float64
    assert latent.std(axis=0).min() > 0


@pytest.mark.parametrize("parameters", [{}, {"steps": 200, "spread": 1.0}])
def test_deep_svdd_does_not_collapse(parameters: dict[str, Any]) -> None:
    X = plane(300)
    detector = DeepSvdd(**parameters).fit(X)
    spread = detector.embed(X).std(axis=0)
    assert np.median(spread) > 0.05
    inside, outside = detector.score(plane(100, seed=1)), detector.score(3 * plane(100, seed=2))
    values = np.concatenate([inside.values, outside.values])
    assert roc_auc_score(np.repeat([0, 1], 100), values) > 0.8


def test_probabilities_are_calibrated() -> None:
    X, y = labelled(3000)
    new, _ = labelled(3000, seed=1)
    true = 1 / (1 + np.exp(2 - 2 * new[:, 0]))
    probability = Classifier(steps=200).fit(X, y).predict_probability(new)
    assert np.abs(probability - true).mean() < 0.04
    for low, high in [(0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 1)]:
        inside = (probability >= low) & (probability < high)
        assert abs(probability[inside].mean() - true[inside].mean()) < 0.05


def test_platt_never_turns_the_order_round() -> None:
    slope, _ = _platt(np.array([3.0, 2.0, -1.0, -2.0]), np.array([0, 0, 1, 1]))
    assert slope > 0


@pytest.mark.parametrize("anomalies", [1, 2, 3])
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("labels", ["complete", "few"])
def test_a_handful_of_anomalies_is_enough(anomalies: int, members: int, labels: str) -> None:
    X = np.concatenate([plane(100), plane(anomalies) + 4])
    y = np.arange(len(X)) >= 100
    classifier = small(Classifier, members=members, labels=labels, steps=60).fit(X, y)
    values = classifier.score(np.concatenate([plane(50, seed=1), plane(50, seed=2) + 4])).values
    assert roc_auc_score(np.repeat([0, 1], 50), values) > 0.9


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_is_sent_to_a_one_class_detector(label: int) -> None:
    with pytest.raises(InputError, match=r"labelled [01].*one-class detector"):
        small(Classifier).fit(plane(20), np.full(20, label))


def test_few_labels_find_other_kinds_of_anomalies_too() -> None:
    kind = np.array([4.0, 0, 0, 0, 0, 0])
    other = np.array([0, 0, 0, -4.0, 0, 4.0])
    X, y = np.concatenate([plane(300), plane(5) + kind]), np.arange(305) >= 300
    test = np.concatenate([plane(100, seed=1), plane(100, seed=2) + other])
    found = {
        labels: roc_auc_score(
            np.repeat([0, 1], 100),
            small(Classifier, labels=labels, width=32).fit(X, y).score(test).values,
        )
        for labels in ("complete", "few")
    }
    assert found["few"] > 0.9 > found["complete"]


def test_made_up_rows_mix_columns() -> None:
    x = torch.arange(40.0).view(1, 20, 2).repeat(2, 1, 1)
    made = _made_up(x)
    assert made.shape == x.shape
    assert not torch.allclose(made[..., 1] - made[..., 0], torch.ones(2, 20))


@pytest.mark.parametrize(
    ("cls", "parameters", "match"),
    [
        (Autoencoder, {"latent": 0}, "latent"),
        (Autoencoder, {"members": 0}, "members"),
        (Denoising, {"low": 2.0, "high": 1.0}, "low=2"),
        (DeepSvdd, {"spread": -1.0}, "spread"),
        (Classifier, {"labels": "some"}, "labels"),
        (Classifier, {"weight": -1.0}, "weight"),
    ],
)
def test_settings_that_cannot_work(cls: Any, parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        small(cls, **parameters).fit(plane(20), np.arange(20) % 2)
