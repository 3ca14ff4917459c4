"""What is special to each classical detector; the contract they share is checked elsewhere."""

import numpy as np
import pytest
from sklearn import ensemble, neighbors, svm

from tocsin import registry
from tocsin.detectors.tables import lof as lof_module
from tocsin.detectors.tables.copod import Copod
from tocsin.detectors.tables.ecod import Ecod
from tocsin.detectors.tables.gaussian_mixture import GaussianMixture
from tocsin.detectors.tables.hbos import Hbos
from tocsin.detectors.tables.isolation_forest import IsolationForest
from tocsin.detectors.tables.lof import Lof
from tocsin.detectors.tables.mcd import Mcd
from tocsin.detectors.tables.ocsvm import Ocsvm
from tocsin.detectors.tables.pca import Pca
from tocsin.detectors.tables.pyod import Pyod
from tocsin.errors import MissingExtra, NotSavable, ParameterError, UnknownName
from tocsin.features.scaling import standardise

NAMES = [
    "isolation_forest", "gaussian_mixture", "pca", "ecod", "copod", "hbos", "lof", "ocsvm", "mcd",
]  # fmt: skip


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def left_out_by_refits(detector, X):
    """Scores of all rows, each from a detector fitted on the others."""
    return [
        type(detector)(**detector.get_params()).fit(np.delete(X, i, axis=0)).score(X[[i]]).values[0]
        for i in range(len(X))
    ]


def test_isolation_forest_scores_as_scikit_learn_does(rng):
    X = rng.normal(size=(700, 5)) * [1, 10, 1e-6, 1, 1e6]
    new = rng.normal(size=(300, 5)) * [2, 20, 2e-6, 2, 2e6]
    ours = IsolationForest(seed=3).fit(X)
    theirs = ensemble.IsolationForest(max_samples=256, random_state=3)
    theirs.fit(standardise(X, ours.mean_, ours.scale_))
    expected = -theirs.score_samples(standardise(new, ours.mean_, ours.scale_))
    np.testing.assert_allclose(ours.score(new).values, expected, atol=1e-9)


@pytest.mark.parametrize("n", [2, 100, 2000])
def test_isolation_forest_training_scores_are_those_of_unseen_rows(rng, n):
    forest = IsolationForest(n_estimators=50, max_samples=64).fit(rng.normal(size=(n, 3)))
    assert forest.training_scores_.shape == (n,)
    if n == 2000:
        unseen = forest.score(rng.normal(size=(4000, 3))).values
        assert abs(np.quantile(forest.training_scores_, 0.95) - np.quantile(unseen, 0.95)) < 0.02


@pytest.mark.parametrize("detector", [Hbos(n_bins=5), Ecod(), Copod()], ids=lambda d: d.card.name)
def test_training_scores_leave_rows_out_exactly(rng, detector):
    # Rounded, so that values repeat and some, but not all, extremes are alone.
    X = np.r_[rng.exponential(size=(25, 3)) * [1, -1, 1], rng.normal(size=(6, 3))].round(1)
    detector.fit(X)
    np.testing.assert_allclose(detector.training_scores_, left_out_by_refits(detector, X))


@pytest.mark.parametrize("k", [1, 5, 20])
def test_lof_leaves_rows_out_exactly_where_the_scale_does_not_change(rng, k, monkeypatch):
    def unscaled(X):
        return np.zeros(X.shape[1]), np.ones(X.shape[1])

    monkeypatch.setattr(lof_module, "location_and_scale", unscaled)
    X = rng.normal(size=(40, 3))
    lof = Lof(k=k, smoothing=0.0).fit(X)
    np.testing.assert_allclose(lof.training_scores_, left_out_by_refits(lof, X), rtol=1e-6)


def test_lof_without_smoothing_is_the_original(rng):
    X, new = rng.normal(size=(200, 3)), rng.normal(size=(50, 3)) * 2
    ours = Lof(k=10, smoothing=0.0).fit(X)
    theirs = neighbors.LocalOutlierFactor(n_neighbors=10, novelty=True)
    theirs.fit(standardise(X, ours.mean_, ours.scale_))
    expected = -theirs.score_samples(standardise(new, ours.mean_, ours.scale_))
    np.testing.assert_allclose(ours.score(new).values, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["ecod", "copod"])
def test_tails_come_from_the_training_rows_alone(rng, name):
    detector = registry.create(name).fit(rng.normal(size=(100, 3)))
    row, far = rng.normal(size=(1, 3)), np.full((50, 3), 40.0)
    alone = detector.score(row).values[0]
    assert detector.score(np.r_[row, far]).values[0] == alone
    assert detector.score(far).values[0] > alone


@pytest.mark.parametrize("name", ["ecod", "copod", "hbos", "pca", "mcd"])
def test_parts_add_up_to_the_score_and_name_the_column(rng, name):
    detector = registry.create(name).fit(rng.normal(size=(200, 4)))
    scores = detector.score([[0.1, 0.2, 12.0, -0.1]])
    np.testing.assert_allclose(scores.parts.sum(axis=1), scores.values)
    assert scores.parts[0].argmax() == 2


@pytest.mark.parametrize("name", ["ecod", "copod", "hbos", "lof", "ocsvm", "pca", "mcd"])
def test_farther_is_more_anomalous_however_far(rng, name):
    detector = registry.create(name).fit(rng.normal(size=(200, 2)))
    values = detector.score(np.outer([5.0, 50.0, 1e4, 1e8, 1e30], [1, 1])).values
    assert (np.diff(values) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_finite_for_huge_and_for_degenerate_numbers(rng, name):
    for X in (
        np.ones((3, 2)),
        np.array([[1e300, 1.0], [-1.7e308, 1.0], [3.0, 1.7e308]]),
        rng.normal(size=(2, 5)),
        rng.normal(size=(10, 40)),
        rng.normal(size=(50, 4)) * [1e-300, 1e-20, 1.0, 1e200],
    ):
        parameters = registry.find(name).test_parameters()
        detector = registry.create(name, **parameters).fit(X)
        assert np.isfinite(detector.training_scores_).all()
        huge = np.array([[1e300], [-1e300], [1.79e308]]) * np.ones(X.shape[1])
        scores = detector.score(huge)
        for array in (scores.parts, scores.expected):
            assert array is None or np.isfinite(array).all()


def test_ocsvm_orders_rows_as_scikit_learn_does(rng):
    X, new = rng.normal(size=(300, 3)), rng.normal(size=(100, 3)) * 1.5
    ours = Ocsvm(nu=0.2, gamma=1.0).fit(X)
    scaled = standardise(X, ours.mean_, ours.scale_)
    theirs = svm.OneClassSVM(nu=0.2, gamma="scale").fit(scaled)
    decision = theirs.decision_function(standardise(new, ours.mean_, ours.scale_))
    boundary = np.exp(ours.log_boundary_)
    np.testing.assert_allclose(
        boundary * np.exp(-ours.score(new).values) - boundary, decision, atol=1e-8
    )


def test_gaussian_mixture_counts_the_clouds(rng):
    X = np.r_[rng.normal(size=(300, 2)), 12 + rng.normal(size=(300, 2))]
    mixture = GaussianMixture(regularisation=1e-3).fit(X)
    assert len(mixture.centres_) == 2
    between, within = mixture.score([[6.0, 6.0], [12.0, 12.0]]).values
    assert between > within + 5


def test_mcd_is_not_pulled_by_outliers(rng):
    X = rng.normal(size=(400, 3))
    X[:80] += 10
    robust, plain = Mcd().fit(X), Mcd(support=1.0).fit(X)
    far, near = np.full((1, 3), 10.0), np.zeros((1, 3))
    assert robust.score(far).values > 100 > robust.score(near).values
    assert plain.score(far).values < 10


def test_mcd_expects_what_the_other_columns_say(rng):
    x = rng.normal(size=(500, 1))
    mcd = Mcd(ridge=1e-3).fit(np.c_[x, 100 * x + 7])
    expected = mcd.score([[1.0, 7.0]]).expected
    np.testing.assert_allclose(expected, [[0.0, 107.0]], atol=4)


def test_pca_expects_the_projection(rng):
    x = rng.normal(size=(500, 1))
    pca = Pca().fit(np.c_[x, x])
    np.testing.assert_allclose(pca.score([[1.0, -1.0]]).expected, [[0.0, 0.0]], atol=0.1)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("isolation_forest", {"n_estimators": 0}),
        ("gaussian_mixture", {"regularisation": 0.0}),
        ("pca", {"explained": 1.5}),
        ("ecod", {"max_rows": 1}),
        ("hbos", {"n_bins": 0}),
        ("lof", {"k": 0}),
        ("ocsvm", {"nu": 0.0}),
        ("mcd", {"support": 0.0}),
    ],
)
def test_settings_that_cannot_work_are_named(rng, name, parameters):
    with pytest.raises(ParameterError, match=f"{name} needs .*{next(iter(parameters))}"):
        registry.create(name, **parameters).fit(rng.normal(size=(20, 2)))


def test_pyod_by_name(rng):
    pytest.importorskip("pyod")
    X = rng.normal(size=(100, 3))
    detector = registry.create("pyod:iforest", parameters={"n_estimators": 10}).fit(X)
    again = registry.create("pyod:IForest", parameters={"n_estimators": 10}).fit(X)
    np.testing.assert_array_equal(detector.score(X).values, again.score(X).values)
    assert np.diff(detector.score([[0, 0, 0], [9, 9, 9]]).values) > 0
    with pytest.raises(NotSavable, match="pickle"):
        detector.get_state()


def test_pyod_says_what_is_wrong(rng):
    pytest.importorskip("pyod")
    X = rng.normal(size=(20, 3))
    with pytest.raises(UnknownName, match=r"Did you mean .*KNN"):
        Pyod("KNNN").fit(X)
    with pytest.raises(ParameterError, match="neighbors"):
        Pyod("KNN", {"neighbors": 3}).fit(X)


def test_pyod_absent(rng, monkeypatch):
    from tocsin.detectors.tables import pyod

    pyod._modules.cache_clear()
    monkeypatch.setattr(pyod.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"tocsin\[bench\]"):
        Pyod("KNN").fit(rng.normal(size=(20, 3)))
    monkeypatch.undo()
    pyod._modules.cache_clear()
