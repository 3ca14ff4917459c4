"""The neighbour detectors and what they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from tocsin.detectors.tables.local_geometry import LocalGeometry
from tocsin.detectors.tables.neighbours import Neighbours
from tocsin.detectors.tables.trimmed_neighbours import TrimmedNeighbours
from tocsin.errors import InputError, ParameterError
from tocsin.features.column_scalings import MidRankScaling, MinMaxScaling, StandardScaling
from tocsin.features.neighbour_search import NeighbourSearch

DETECTORS = [Neighbours, LocalGeometry, TrimmedNeighbours]


def blob(n: int = 300, d: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


@pytest.mark.parametrize(("rows", "k"), [(40, 3), (5000, 15)])
def test_the_search_is_exact(rows, k):
    reference, queries = blob(rows), blob(200, seed=1)
    found = NeighbourSearch(reference).nearest(queries, k)
    expected = NearestNeighbors(n_neighbors=k).fit(reference).kneighbors(queries)[1]
    assert np.array_equal(found, np.sort(expected, axis=1))


def test_a_row_left_out_still_has_its_duplicates():
    reference = np.array([[0.0], [0.0], [3.0]])
    found = NeighbourSearch(reference).nearest(reference, 1, np.arange(3))
    assert found[:2].tolist() == [[1], [0]]


def test_neighbours_among_ties_do_not_depend_on_the_other_queries():
    rng = np.random.default_rng(0)
    reference, queries = rng.integers(0, 3, (3000, 6)) / 3, rng.integers(0, 3, (150, 6)) / 3
    search = NeighbourSearch(reference)
    together = search.nearest(queries, 15)
    alone = np.concatenate([search.nearest(query[None], 15) for query in queries])
    assert np.array_equal(together, alone)


@pytest.mark.parametrize("scaling", [StandardScaling, MinMaxScaling])
def test_leaving_a_row_out_undoes_what_it_does_to_the_scale(scaling):
    reference = blob(20)
    reference[3, 1] = 50.0
    coordinates, stretch = scaling(reference).leave_one_out(reference)
    others = np.delete(reference, 3, axis=0)
    alone = scaling(others)
    expected = alone.transform(others) - alone.transform(reference[[3]])
    found = (np.delete(coordinates, 3, axis=0) - coordinates[3]) * stretch[3]
    assert np.allclose(found, expected)


def test_mid_rank_scaling_keeps_far_values_far_even_among_the_reference():
    reference = np.array([[0.0], [1.0], [2.0], [3.0], [1000.0]])
    scaling = MidRankScaling(reference)
    far, farther = scaling.transform(np.array([[2000.0], [4000.0]]))[:, 0]
    assert farther > far + 2
    alone = MidRankScaling(reference[:4])
    edge, far = alone.transform(np.array([[3.0], [1000.0]]))[:, 0]
    left_out = scaling.leave_one_out(reference)[0]
    assert left_out[4, 0] - left_out[3, 0] == pytest.approx(far - edge, rel=0.5)


@pytest.mark.parametrize("detector", DETECTORS)
def test_training_scores_are_those_of_new_rows(detector):
    X = blob(60)
    fitted = detector(max_reference=1000).fit(X)
    refitted = [
        detector(max_reference=1000).fit(np.delete(X, row, axis=0)).score(X[[row]]).values[0]
        for row in range(0, 60, 20)
    ]
    spread = np.std(fitted.training_scores_)
    assert np.abs(fitted.training_scores_[::20] - refitted).mean() < 0.2 * spread


@pytest.mark.parametrize("detector", DETECTORS)
def test_labelled_anomalies_are_not_learned_but_scored(detector):
    X = np.concatenate([blob(200), np.full((5, 4), 8.0)])
    y = np.r_[np.zeros(200), np.ones(5)]
    scores = detector().fit(X, y).training_scores_
    assert len(scores) == 205
    assert scores[200:].min() > scores[:200].max()
    with pytest.raises(InputError, match="labelled normal"):
        detector().fit(X, np.ones(205))


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize(
    "X",
    [
        np.array([[0.0, 1.0], [2.0, 1.0]]),
        np.ones((30, 3)),
        np.repeat(blob(5), 6, axis=0),
        np.array([[1e300], [-1e300], [5.0], [6.0]]),
    ],
)
def test_poor_data_gives_finite_scores(detector, X):
    fitted = detector().fit(X)
    new = np.concatenate([X, np.full((1, X.shape[1]), 1e300)])
    scores = fitted.score(new)
    assert np.isfinite(fitted.training_scores_).all()
    assert np.isfinite(scores.parts).all()
    assert np.isfinite(scores.expected).all()


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_bounded_reference_still_finds_what_is_far(detector):
    X = np.concatenate([blob(500), np.full((3, 4), 9.0)])
    fitted = detector(max_reference=100).fit(X)
    assert len(fitted.reference_) == 100
    assert fitted.training_scores_[500:].mean() > np.quantile(fitted.training_scores_[:500], 0.99)


@pytest.mark.parametrize("detector", DETECTORS)
def test_state_alone_restores_the_scores(detector):
    X = blob()
    fitted = detector().fit(X)
    restored = detector().set_state(fitted.get_state())
    assert np.array_equal(restored.score(X).values, fitted.score(X).values)


def test_the_column_that_is_wrong_has_the_largest_part_and_a_normal_expectation():
    X = blob() + np.array([0, 100, 0, 0])
    row = np.array([[0.0, 130.0, 0.0, 0.0]])
    for detector in DETECTORS:
        scores = detector().fit(X).score(row)
        assert scores.parts[0].argmax() == 1
        assert abs(scores.expected[0, 1] - 100) < 4


def test_local_geometry_sees_a_broken_correlation_that_distance_does_not():
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, size=(400, 1))
    X = np.concatenate([t, t, t], axis=1) + rng.normal(scale=0.02, size=(400, 3))
    normal, broken = X[:200], X[:200] + rng.normal(scale=0.15, size=(200, 3))
    fitted = LocalGeometry().fit(X[200:])
    scores = np.r_[fitted.score(normal).values, fitted.score(broken).values]
    assert roc_auc_score(np.r_[np.zeros(200), np.ones(200)], scores) > 0.9


def test_trimming_uncovers_a_clump_of_anomalies():
    X = np.concatenate([blob(400), 5 + 0.05 * blob(40)])
    y = np.r_[np.zeros(400), np.ones(40)]
    trimmed = TrimmedNeighbours().fit(X).training_scores_
    plain = Neighbours().fit(X).training_scores_
    assert roc_auc_score(y, trimmed) > 0.99 > roc_auc_score(y, plain)


@pytest.mark.parametrize(
    "detector",
    [
        Neighbours(k=0),
        Neighbours(aggregate="sum"),
        LocalGeometry(max_reference=1),
        TrimmedNeighbours(trim=1.0),
    ],
)
def test_settings_that_cannot_work_are_refused(detector):
    with pytest.raises(ParameterError, match="must be"):
        detector.fit(blob(20))
