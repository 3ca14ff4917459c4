"""Explanations find the columns that were changed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tocsin import registry
from tocsin.base import TableDetector
from tocsin.explain.tables import Attribution, attribute, explain_rows
from tocsin.types import Card, FloatArray, IntArray, Scores


class Mahalanobis(TableDetector):
    card = Card("mahalanobis", "tables", "density", ("one-class",), "", "", "")

    def __init__(self, native: bool = False) -> None:
        self.native = native

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.mean_ = X.mean(axis=0)
        self.precision_ = np.linalg.pinv(np.cov(X.T))

    def _score(self, X: FloatArray) -> Scores:
        centred = np.clip(X - self.mean_, -1e100, 1e100)
        parts = centred * (centred @ self.precision_)
        return Scores(parts.sum(axis=1), parts if self.native else None)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        return self._score(X).values


class Nearest(TableDetector):
    card = Card("nearest", "tables", "neighbours", ("one-class",), "", "", "")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.tree = cKDTree(X)

    def _score(self, X: FloatArray) -> Scores:
        return Scores(self.tree.query(X, k=5)[0].mean(axis=1))

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        return self.tree.query(X, k=6)[0][:, 1:].mean(axis=1)


def clusters(n: int, rng: np.random.Generator) -> FloatArray:
    centres = np.random.default_rng(5).normal(scale=4, size=(3, 8))
    return centres[rng.integers(3, size=n)] + rng.normal(size=(n, 8))


def correlated(n: int, rng: np.random.Generator) -> FloatArray:
    mixing = np.random.default_rng(6).normal(size=(3, 8))
    return rng.normal(size=(n, 3)) @ mixing + 0.1 * rng.normal(size=(n, 8))


def planted(data: Any, shift: float, n: int = 200) -> tuple[FloatArray, FloatArray, IntArray]:
    rng = np.random.default_rng(0)
    normal, rows = data(1000, rng), data(n, rng)
    columns = rng.integers(8, size=n)
    rows[np.arange(n), columns] += shift * normal.std(axis=0)[columns] * rng.choice([-1, 1], n)
    return normal, rows, columns


def share_found(found: Attribution, columns: IntArray) -> float:
    np.testing.assert_allclose(found.weights.sum(axis=1), 1)
    assert (found.weights >= 0).all()
    return float((found.weights.argmax(axis=1) == columns).mean())


@pytest.mark.parametrize(
    ("detector", "data", "shift"),
    [
        (Mahalanobis(), clusters, 6.0),
        (Mahalanobis(), correlated, 2.0),
        (Mahalanobis(native=True), clusters, 6.0),
        (Mahalanobis(native=True), correlated, 6.0),
        (Nearest(), clusters, 6.0),
        (Nearest(), correlated, 2.0),
    ],
)
def test_the_changed_column_is_first(detector: TableDetector, data: Any, shift: float) -> None:
    normal, rows, columns = planted(data, shift)
    found = attribute(detector.fit(normal), normal, rows, np.arange(8))
    assert share_found(found, columns) >= 0.95
    at = np.arange(len(rows)), columns
    # Put back, the expected values make the rows ordinary.
    mended = rows.copy()
    mended[at] = found.expected[at]
    usual = np.quantile(detector.training_scores_, 0.9)
    before, after = detector.score(rows).values, detector.score(mended).values
    assert np.mean(before > usual) > 0.9
    assert np.mean(after < before) > 0.95
    assert np.median(after) < usual


def test_two_columns_changed_together_are_the_first_two() -> None:
    normal, rows, columns = planted(correlated, 5.0)
    second = (columns + 3) % 8
    rows[np.arange(len(rows)), second] += 5 * normal.std(axis=0)[second]
    weights = attribute(Nearest().fit(normal), normal, rows, np.arange(8)).weights
    first_two = np.sort(np.argsort(-weights, axis=1)[:, :2], axis=1)
    assert np.mean((first_two == np.sort(np.c_[columns, second], axis=1)).all(axis=1)) >= 0.9


def one_hot(category: IntArray) -> FloatArray:
    return np.eye(3)[category]


@pytest.mark.parametrize("detector", [Nearest(), Mahalanobis()])
def test_the_matrix_columns_of_a_category_count_as_one(detector: TableDetector) -> None:
    rng = np.random.default_rng(0)
    category = rng.integers(3, size=600)
    numbers = 2.0 * np.eye(3)[category] @ rng.normal(size=(3, 6)) + 0.2 * rng.normal(size=(600, 6))
    normal = np.c_[one_hot(category), numbers]
    groups = np.array([1, 1, 1, 0, 2, 3, 4, 5, 6])
    rows = normal[:60].copy()
    rows[:, :3] = np.roll(rows[:, :3], 1, axis=1)
    found = attribute(detector.fit(normal), normal, rows, groups, n_columns=8)
    assert found.weights.shape == (60, 8)
    assert share_found(found, np.ones(60, dtype=np.int64)) >= 0.95
    np.testing.assert_array_equal(found.expected[:, :3], normal[:60, :3])
    assert (found.weights[:, 7] == 0).all()


def test_native_parts_are_summed_and_compared_with_usual_ones() -> None:
    normal, rows, _ = planted(clusters, 6.0, n=20)
    detector = Mahalanobis(native=True).fit(normal)
    groups = np.array([0, 1, 1, 2, 3, 3, 3, 4])

    def sums(X: FloatArray) -> FloatArray:
        parts = np.asarray(detector.score(X).parts)
        return np.stack([parts[:, groups == group].sum(axis=1) for group in range(5)], axis=1)

    above = np.maximum(sums(rows) - np.median(sums(normal[:400]), axis=0), 0)
    found = attribute(detector, normal[:400], rows, groups)
    np.testing.assert_allclose(found.weights, above / above.sum(axis=1, keepdims=True))


def test_a_row_does_not_depend_on_the_rows_beside_it() -> None:
    normal, rows, _ = planted(clusters, 6.0, n=20)
    detector = Nearest().fit(normal)
    together = attribute(detector, normal, rows, np.arange(8))
    alone = attribute(detector, normal, rows[7:8], np.arange(8))
    np.testing.assert_allclose(alone.weights[0], together.weights[7])
    np.testing.assert_array_equal(alone.expected[0], together.expected[7])


def test_training_rows_are_not_expected_to_be_what_they_are() -> None:
    normal, rows, columns = planted(clusters, 8.0, n=20)
    both = np.r_[normal[:200], rows]
    found = attribute(registry.create("isolation_forest").fit(both), both, rows, np.arange(8))
    at = np.arange(len(rows)), columns
    assert (np.abs(found.expected[at] - rows[at]) > 4 * normal.std(axis=0)[columns]).mean() > 0.9


def test_odd_rows_get_finite_weights() -> None:
    normal = np.c_[np.random.default_rng(0).normal(size=(50, 2)), np.ones(50)]
    rows = np.array([[1e300, -1e300, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0], normal[0]])
    for detector in (registry.create("isolation_forest"), Mahalanobis(native=True)):
        weights = attribute(detector.fit(normal), normal, rows, np.arange(3)).weights
        np.testing.assert_allclose(weights.sum(axis=1), 1)
    weights = attribute(Nearest().fit(normal), normal, rows[1:3], np.arange(3)).weights
    assert weights[1].argmax() == 2


def test_wide_rows() -> None:
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(100, 2000))
    rows = rng.normal(size=(5, 2000))
    columns = np.array([0, 300, 999, 1500, 1999])
    rows[np.arange(5), columns] = 30
    found = attribute(Nearest().fit(normal), normal, rows, np.arange(2000))
    assert share_found(found, columns) == 1


@pytest.mark.slow
def test_a_thousand_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    normal, rows = rng.normal(size=(2000, 20)), rng.normal(size=(1000, 20))
    rows[:, 3] += 7
    detector = Nearest().fit(normal)
    start = time.process_time()
    found = attribute(detector, normal, rows, np.arange(20))
    assert time.process_time() - start < 10
    assert share_found(found, np.full(1000, 3)) > 0.95


class Millimetres:
    """A preparation that divides by 1000: metres in the matrix, millimetres in the table."""

    columns_ = ("width", "height", "depth")
    groups_ = np.arange(3)

    def seen(self, table: Any, row: int, column: int) -> float:
        return float(table[row, column])

    def to_units(self, row: FloatArray) -> list[float]:
        return [float(value * 1000) for value in row]


def test_explanations_are_in_the_tables_units_heaviest_first() -> None:
    rng = np.random.default_rng(0)
    normal = rng.normal([2.0, 3.0, 4.0], 0.1, size=(300, 3))
    matrix = np.array([[2.0, 3.0, 4.0], [2.0, 9.0, 4.6]])
    detector = Mahalanobis().fit(normal)
    rows = np.array([1])
    found = explain_rows(detector, Millimetres(), normal, matrix * 1000, matrix, rows, top=2)
    assert list(found) == [1]
    assert found[1].row == 1
    first, second = found[1].reasons
    assert (first.name, first.seen) == ("height", 9000.0)
    assert first.expected == pytest.approx(3000, abs=150)
    assert second.name == "depth"
    assert 1 >= first.weight > second.weight > 0
    assert explain_rows(detector, Millimetres(), normal, matrix, matrix, rows[:0]) == {}
