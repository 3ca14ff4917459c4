"""The contracts: input checks, folds, held-out scores, and state that can be written down."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tocsin import registry
from tocsin.base import (
    Detector,
    Stateful,
    TableDetector,
    assign_folds,
    check_labels,
    check_matrix,
    out_of_fold_scores,
)
from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch
from tocsin.types import Card, FloatArray, IntArray, Scores


class Seen(TableDetector):
    """Scores 0 for rows that it was trained on and 1 for others."""

    card = Card("seen", "tables", "neighbours", ("one-class",), "Seen or not", "None", "O(n)")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.rows_ = X
        self.labels_ = np.zeros(len(X), dtype=np.int64) if y is None else y

    def _score(self, X: FloatArray) -> Scores:
        return Scores(np.array([float(not (self.rows_ == row).all(axis=1).any()) for row in X]))


class Outer(TableDetector):
    """Wraps a detector, as composites do."""

    card = Card("outer", "tables", "composite", ("one-class",), "Wraps", "None", "As wrapped")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.inner_ = registry.create("hbos").fit(X)
        self.count_ = np.int64(len(X))

    def _score(self, X: FloatArray) -> Scores:
        return self.inner_.score(X)


class Bounds(Stateful):
    def __init__(self) -> None:
        self._private_ = 1
        self.plain = 2


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([1.0, 2.0], r"\(2,\)"),
        (np.zeros((0, 3)), r"\(0, 3\)"),
        (np.zeros((3, 0)), r"\(3, 0\)"),
        ([["a", "b"]], "numbers"),
        ([[1.0, 2.0], [3.0]], "numbers"),
        ([[1.0, 2.0], [np.nan, 4.0]], "row 1, column 0"),
        ([[1.0, -np.inf]], "row 0, column 1"),
    ],
)
def test_check_matrix_says_what_is_wrong(X: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_matrix(X)


def test_check_matrix_gives_contiguous_float64() -> None:
    matrix = check_matrix(np.asfortranarray([[1, 2], [3, 4]]))
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous


@pytest.mark.parametrize("y", [[0, 1], [0, 1, 2], ["no", "yes", "no"], [0.0, 0.5, 1.0]])
def test_check_labels_refuses(y: Any) -> None:
    with pytest.raises(InputError):
        check_labels(y, 3)


def test_folds_are_shuffled_even_and_stratified() -> None:
    y = np.repeat([0, 1], [90, 10])
    fold = assign_folds(100, 5, y=y)
    assert np.bincount(fold).tolist() == [20] * 5
    assert np.bincount(fold[y == 1]).tolist() == [2] * 5
    assert (fold != assign_folds(100, 5, seed=1, y=y)).any()
    for folds in (1, 101):
        with pytest.raises(ParameterError, match=f"100 rows cannot be cut into {folds}"):
            assign_folds(100, folds)


def test_held_out_scores_come_from_models_that_have_not_seen_the_row() -> None:
    rows = np.arange(22.0).reshape(11, 2)
    detector = Seen().fit(rows)
    assert detector.score(rows).values.tolist() == [0.0] * 11
    assert detector.training_scores_.tolist() == [1.0] * 11
    labels = np.repeat([0, 1], [6, 5])
    assert out_of_fold_scores(Seen(), rows, labels, folds=3).tolist() == [1.0] * 11


def test_two_rows_are_scored_without_a_held_out_fold() -> None:
    assert Seen().fit([[1.0], [2.0]]).training_scores_.shape == (2,)
    with pytest.raises(InputError, match="at least 2 rows"):
        Seen().fit([[1.0]])


def test_the_order_of_calls_and_the_width_are_checked() -> None:
    with pytest.raises(NotFitted, match="seen is not trained"):
        Seen().score([[1.0]])
    with pytest.raises(SchemaMismatch, match="2 columns; these rows have 3"):
        Seen().fit(np.eye(2)).score(np.ones((1, 3)))


def test_labels_are_required_only_by_those_that_learn_from_them() -> None:
    class Taught(Seen):
        needs_labels = True

    with pytest.raises(InputError, match="learns from labels"):
        Taught().fit(np.eye(3))
    assert Taught().fit(np.eye(3), [False, True, False]).labels_.tolist() == [0, 1, 0]


def test_the_contract_itself_implements_nothing() -> None:
    with pytest.raises(NotImplementedError):
        Detector().fit(np.eye(2))


def test_the_state_is_the_fitted_attributes() -> None:
    bounds = Bounds()
    bounds.low_, bounds.high_ = np.float64(1.5), np.arange(3)  # type: ignore[attr-defined]
    state = bounds.get_state()
    assert set(state) == {"low_", "high_"}
    assert type(state["low_"]) is float
    restored = Bounds().set_state(state)
    assert restored.high_.tolist() == [0, 1, 2]  # type: ignore[attr-defined]


def test_a_detector_inside_a_detector_is_written_down_with_it() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    outer = Outer().fit(rows)
    state = outer.get_state()
    assert state["inner_"]["detector"] == "hbos"
    json.dumps(state["inner_"]["parameters"])
    restored = Outer().set_state(state)
    np.testing.assert_array_equal(restored.score(rows).values, outer.score(rows).values)
    np.testing.assert_array_equal(restored.training_scores_, outer.training_scores_)


def test_scores_refuse_what_is_no_score() -> None:
    for values in ([1.0, np.nan], [np.inf], [[1.0]]):
        with pytest.raises(InputError):
            Scores(np.array(values))
    for name in ("parts", "expected"):
        with pytest.raises(InputError, match=rf"{name} has 3 rows for 2"):
            Scores(np.zeros(2), **{name: np.zeros((3, 1))})
