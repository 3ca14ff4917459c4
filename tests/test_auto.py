"""Which detector auto takes, and what it says about it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tocsin.detectors.tables.auto import Auto
from tocsin.errors import ParameterError


def rows(anomalies: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(n, 3)), rng.normal(5, 0.5, size=(anomalies, 3))])
    return X, np.r_[np.zeros(n), np.ones(anomalies)]


@pytest.mark.parametrize(
    ("training", "chosen", "said"),
    [
        ("clean", "local_geometry", "taken as normal"),
        ("mixed", "trimmed_neighbours", "taken as unlabelled"),
        ("guess", "trimmed_neighbours", "--clean"),
    ],
)
def test_training_decides_without_labels(training, chosen, said):
    X, y = rows(10)
    auto = Auto(training).fit(X if training != "clean" else X[y == 0])
    assert auto.chosen_.card.name == chosen
    assert said in auto.reason_
    assert roc_auc_score(y, auto.score(X).values) > 0.95


@pytest.mark.parametrize(("anomalies", "chosen"), [(0, "local_geometry"), (3, "local_geometry")])
def test_few_labelled_anomalies_are_left_out_of_what_is_learned(anomalies, chosen):
    X, y = rows(anomalies)
    auto = Auto().fit(X, y)
    assert auto.chosen_.card.name == chosen
    assert len(auto.training_scores_) == len(X)
    assert (auto.training_scores_[y == 1] > auto.training_scores_[y == 0].max()).all()
    assert len(auto.chosen_.reference_) == 200


@pytest.mark.slow
def test_many_labelled_anomalies_train_the_classifier():
    X, y = rows(40)
    auto = Auto().fit(X, y)
    assert auto.chosen_.card.name == "classifier"
    assert "40" in auto.reason_
    assert roc_auc_score(y, auto.score(X).values) > 0.99


def test_state_alone_restores_the_choice():
    X, _ = rows(0)
    auto = Auto("clean").fit(X)
    restored = Auto("clean").set_state(auto.get_state())
    assert restored.reason_ == auto.reason_
    assert np.array_equal(restored.score(X).values, auto.score(X).values)


def test_another_training_is_refused():
    with pytest.raises(ParameterError, match='"guess", "clean" or "mixed"'):
        Auto("dirty").fit(rows(0)[0])
