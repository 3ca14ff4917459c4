"""Isolation forest: an anomaly is cut off from the other rows by few random splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from sklearn.ensemble import IsolationForest as ScikitForest
from sklearn.tree import BaseDecisionTree

from tocsin.base import TableDetector
from tocsin.base.declared import Shape, Within
from tocsin.errors import ParameterError
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray, Scores

_CHUNK = 256  # rows; their nodes in all trees stay in the processor's cache


class IsolationForest(TableDetector):
    """Random trees, each grown on ``max_samples`` rows; few splits to a leaf is anomalous.

    A tree gets at most half of the rows, so that each row is new to about half of the trees.

    Rows (n, d) in any units. Scores lie between 0 and 1 and equal scikit-learn's
    ``-score_samples`` on standardised columns. The training scores are out-of-bag: each row is
    scored by the trees that were grown without it. Raises ParameterError for fewer than one
    tree or two rows a tree. Liu, Ting and Zhou, Isolation Forest, ICDM 2008.

    >>> rng = np.random.default_rng(0)
    >>> forest = IsolationForest(n_estimators=20).fit(rng.normal(size=(300, 3)))
    >>> bool(np.diff(forest.score([[0, 0, 0], [5, 5, 5]]).values) > 0)
    True
    """

    card = Card(
        name="isolation_forest",
        modality="tables",
        family="isolation",
        learning=("one-class", "unlabelled"),
        summary="How few random splits cut a row off from the others.",
        paper="Liu, Ting, Zhou, Isolation Forest, ICDM 2008",
        cost="fit O(trees · 256 log 256) whatever n; score O(trees · 8) per row",
        also_known_as=("iForest",),
    )

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    roots_: Annotated[IntArray, Shape("n_estimators"), Within(0, "nodes-1")]
    children_: Annotated[IntArray, Shape("nodes*2"), Within(0, "nodes-1")]
    feature_: Annotated[IntArray, Shape("nodes"), Within(0, "d-1")]
    threshold_: Annotated[FloatArray, Shape("nodes")]
    path_: Annotated[FloatArray, Shape("nodes")]
    depth_: Annotated[int, Within(0, "nodes")]
    expected_path_: float

    def __init__(self, n_estimators: int = 100, max_samples: int = 256, seed: int = 0) -> None:
        self.n_estimators = n_estimators
        self.max_samples = max_samples
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters for a forest of few trees."""
        return {"n_estimators": 25, "max_samples": 64}

    def _check_parameters(self) -> None:
        if self.n_estimators < 1 or self.max_samples < 2:
            raise ParameterError(
                "isolation_forest needs n_estimators ≥ 1 and max_samples ≥ 2; "
                f"got {self.n_estimators} and {self.max_samples}."
            )

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.mean_, self.scale_ = location_and_scale(X)
        samples = min(self.max_samples, max(2, len(X) // 2))
        forest = ScikitForest(
            n_estimators=self.n_estimators, max_samples=samples, random_state=self.seed
        ).fit(standardise(X, self.mean_, self.scale_))
        self.expected_path_ = float(_average_path(np.array([samples]))[0])
        self._flatten(forest.estimators_)
        self._in_bag = forest.estimators_samples_

    def _flatten(self, trees: list[BaseDecisionTree]) -> None:
        """Write all trees into one set of arrays; a leaf is its own child, so all walks end."""
        nodes = [tree.tree_ for tree in trees]
        counts = np.array([tree.node_count for tree in nodes])
        self.roots_ = np.cumsum(counts) - counts
        offset = np.repeat(self.roots_, counts)
        own = np.arange(counts.sum())
        left, right, feature, threshold, rows = (
            np.concatenate([getattr(tree, name) for tree in nodes])
            for name in (
                "children_left",
                "children_right",
                "feature",
                "threshold",
                "n_node_samples",
            )
        )
        depth = np.concatenate([tree.compute_node_depths() - 1 for tree in nodes])
        leaf = left < 0
        self.feature_ = np.where(leaf, 0, feature).astype(np.int64)
        self.threshold_ = threshold
        self.children_ = np.where(leaf, own, np.stack([left, right]) + offset).T.ravel()
        self.path_ = depth + _average_path(rows)
        self.depth_ = int(depth.max())

    def _paths(self, X: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        """Yield slices of rows with their path length (rows, trees) in each tree."""
        for start in range(0, len(X), _CHUNK):
            rows = slice(start, start + _CHUNK)
            # The trees were grown on 32-bit values: walk them with the same.
            scaled = standardise(X[rows], self.mean_, self.scale_).clip(-3e38, 3e38)
            chunk = scaled.astype(np.float32)
            first = np.arange(len(chunk))[:, None] * chunk.shape[1]
            node = np.broadcast_to(self.roots_, (len(chunk), len(self.roots_)))
            for _ in range(self.depth_):
                value = chunk.take(first + self.feature_.take(node))
                node = self.children_.take(2 * node + (value > self.threshold_.take(node)))
            yield rows, self.path_.take(node)

    def _score(self, X: FloatArray) -> Scores:
        values = np.empty(len(X))
        for rows, paths in self._paths(X):
            values[rows] = 2.0 ** (-paths.mean(axis=1) / self.expected_path_)
        return Scores(values)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        outside = np.ones((len(X), self.n_estimators), dtype=bool)
        for tree, rows in enumerate(self._in_bag):
            outside[rows, tree] = False
        # A row that every tree has seen (few trees only) is scored by all of them.
        outside[~outside.any(axis=1)] = True
        values = np.empty(len(X))
        for rows, paths in self._paths(X):
            path = np.average(paths, axis=1, weights=outside[rows])
            values[rows] = 2.0 ** (-path / self.expected_path_)
        return values


def _average_path(n: IntArray) -> FloatArray:
    """Return the mean path length of an unsuccessful search in a binary tree of n rows."""
    large = np.maximum(n, 3)
    path = 2.0 * (np.log(large - 1.0) + np.euler_gamma) - 2.0 * (large - 1.0) / large
    return np.where(n > 2, path, np.maximum(n - 1.0, 0.0))
