"""The classical detectors of series and what they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tocsin import registry
from tocsin.detectors.series.matrix_profile import MatrixProfile
from tocsin.detectors.series.seasonal import Seasonal, season
from tocsin.detectors.series.subsequence_pca import SubsequencePca
from tocsin.errors import ParameterError, UnknownName

NAMES = [
    "autoregression",
    "kmeans_windows",
    "matrix_profile",
    "seasonal",
    "spectral_residual",
    "subsequence_pca",
    "windowed",
]


def waves(n: int = 1500, channels: int = 1, seed: int = 0) -> np.ndarray:
    angle = np.arange(n)[:, None] / 5 + np.arange(channels)
    return np.sin(angle) + 0.05 * np.random.default_rng(seed).normal(size=(n, channels))


def broken(n: int = 1500, channels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A series whose first channel stands still for 30 points."""
    X, labels = waves(n, channels), np.zeros(n)
    X[1000:1030, 0] = 0.5
    labels[1000:1030] = 1
    return X, labels


@pytest.mark.parametrize("name", NAMES)
def test_a_stretch_that_stands_still_is_found(name):
    X, labels = broken()
    fitted = registry.create(name, "series").fit(X[:600])
    assert roc_auc_score(labels, fitted.score(X).values) > 0.9
    assert roc_auc_score(labels[600:], fitted.score(X[600:]).values) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_the_channel_that_is_wrong_has_the_largest_part(name):
    X, _ = broken(channels=3)
    parts = registry.create(name, "series").fit(X[:600]).score(X).parts
    assert parts.shape == X.shape
    assert parts[1010:1020].mean(axis=0).argmax() == 0


@pytest.mark.parametrize("name", NAMES)
def test_units_do_not_matter(name):
    X, _ = broken(channels=2)
    units, shift = np.array([1e-9, 1e9]), np.array([3.0, -7.0])
    usual = registry.create(name, "series").fit(X[:600]).score(X)
    changed = registry.create(name, "series").fit((X * units + shift * units)[:600])
    assert np.allclose(changed.score(X * units + shift * units).values, usual.values, rtol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_flags_and_constant_channels_do_not_drown_the_rest(name):
    X, labels = broken()
    flags = np.random.default_rng(1).integers(0, 2, size=(len(X), 3)).astype(float)
    X = np.concatenate([flags, X, np.ones((len(X), 1))], axis=1)
    scores = registry.create(name, "series").fit(X[:600]).score(X)
    assert roc_auc_score(labels, scores.values) > 0.85
    assert not scores.parts[:, [0, 1, 2, 4]].any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "X",
    [
        waves(16),
        np.ones((40, 2)),
        np.repeat([[0.0], [1.0]], 20, axis=0),
        np.concatenate([waves(60), [[1e300], [-1e300]], waves(60)]),
    ],
)
def test_poor_series_give_finite_scores(name, X):
    fitted = registry.create(name, "series").fit(X)
    assert np.isfinite(fitted.training_scores_).all()
    for new in (X, X[:1], X[::-1] + 1.0, np.full((5, X.shape[1]), 1e300)):
        scores = fitted.score(new)
        assert scores.values.shape == (len(new),)
        for array in (scores.parts, scores.expected):
            assert array is None or np.isfinite(array).all()


@pytest.mark.parametrize("name", ["autoregression", "kmeans_windows", "matrix_profile", "seasonal"])
def test_expected_is_near_normal_points_and_far_from_broken_ones(name):
    X, labels = broken()
    expected = registry.create(name, "series").fit(X[:600]).score(X).expected
    error = np.abs(expected - X)[:, 0]
    assert np.median(error[100:900]) < 0.25
    assert expected.shape == X.shape
    if name == "matrix_profile":
        assert error[labels == 1].mean() > 2 * np.median(error)


@pytest.mark.parametrize("normalize", ["nothing", "mean", "scale"])
def test_the_matrix_profile_is_exact(normalize):
    x, length = waves(150)[:, 0], 20
    detector = MatrixProfile(window=length, normalize=normalize).fit(x)
    windows = np.lib.stride_tricks.sliding_window_view((x - x.mean()) / x.std(), length)
    if normalize != "nothing":
        windows = windows - windows.mean(axis=1, keepdims=True)
    if normalize == "scale":
        windows = windows / windows.std(axis=1, keepdims=True)
    distances = np.sqrt(((windows[:, None] - windows) ** 2).mean(axis=2))
    at = np.arange(len(windows))
    distances[np.abs(at[:, None] - at) < length] = np.inf
    least = distances.min(axis=1)
    covering = [least[max(0, i - length + 1) : i + 1].mean() for i in range(150)]
    assert np.allclose(detector.score_together(x).values, covering, atol=1e-6)


def test_a_season_that_drifts_is_followed():
    angle = 2 * np.pi * np.arange(2000) / 40.4
    assert np.abs(season(np.sin(angle), 40) - np.sin(angle))[100:-100].max() < 0.2
    assert (Seasonal(period=40).fit(np.sin(angle)).periods_ == 40).all()


def test_components_leave_out_what_they_do_not_explain():
    few = SubsequencePca(explained=0.5).fit(waves())
    many = SubsequencePca(explained=0.99).fit(waves())
    assert len(few.components_) < len(many.components_)
    assert many.training_scores_.mean() < few.training_scores_.mean()


def test_any_table_detector_can_be_named():
    X, labels = broken()
    fitted = registry.create("windowed:neighbours", "series", parameters={"k": 3}).fit(X[:600])
    assert fitted.rows_.k == 3
    assert roc_auc_score(labels, fitted.score(X).values) > 0.9
    restored = registry.create("windowed:neighbours", "series").set_state(fitted.get_state())
    assert np.array_equal(restored.score(X).values, fitted.score(X).values)


@pytest.mark.parametrize(
    ("name", "parameters", "error"),
    [
        ("windowed:nothing", {}, UnknownName),
        ("windowed:classifier", {}, ParameterError),
        ("windowed:pca", {"parameters": {"depth": 3}}, ParameterError),
        ("kmeans_windows", {"window": 1}, ParameterError),
        ("kmeans_windows", {"clusters": 0}, ParameterError),
        ("subsequence_pca", {"explained": 1.0}, ParameterError),
        ("matrix_profile", {"normalize": "no"}, ParameterError),
        ("autoregression", {"lags": 0}, ParameterError),
        ("autoregression", {"ridge": -1.0}, ParameterError),
        ("seasonal", {"period": 1}, ParameterError),
        ("spectral_residual", {"neighbours": 0}, ParameterError),
    ],
)
def test_settings_that_cannot_work_are_refused(name, parameters, error):
    with pytest.raises(error):
        registry.create(name, "series", **parameters).fit(waves(100))
