"""Local outlier factor: how much sparser a row's surroundings are than its neighbours'."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

import numpy as np

from tocsin.base import TableDetector
from tocsin.base.declared import Shape
from tocsin.errors import ParameterError
from tocsin.features.neighbour_search import NeighbourSearch
from tocsin.features.sampling import subsample
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import BoolArray, Card, FloatArray, IntArray, Scores

_CELLS = 2**20  # of differences worked on at once
_ROWS = 64  # left out at once


class Lof(TableDetector):
    """Mean reachability distance to the k nearest reference rows, over what is usual for them.

    Rows (n, d) in any units; the reference is at most ``max_rows`` training rows. To all
    distances ``smoothing`` times the median distance is added, which steadies the ratio where
    rows are dense or repeat; 0 gives the original factor. Training scores leave a row out of
    its neighbours, of their neighbours and of theirs. Raises ParameterError for k < 1, fewer
    than two ``max_rows`` or a negative ``smoothing``. Breunig et al., LOF: Identifying
    Density-Based Local Outliers, SIGMOD 2000.

    >>> rng = np.random.default_rng(0)
    >>> lof = Lof().fit(rng.normal(size=(300, 2)))
    >>> bool(np.diff(lof.score([[0, 0], [5, 5]]).values) > 0)
    True
    """

    card = Card(
        name="lof",
        modality="tables",
        family="neighbours",
        learning=("one-class", "unlabelled"),
        summary="How much sparser the surroundings of a row are than those of its neighbours.",
        paper="Breunig et al., LOF: Identifying Density-Based Local Outliers, SIGMOD 2000",
        cost="fit O(m² d) on at most 20,000 rows m; score O(m d) per row",
        also_known_as=("local outlier factor",),
    )

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    reference_: Annotated[FloatArray, Shape("m", "d")]
    reach_: Annotated[FloatArray, Shape("m")]
    density_: Annotated[FloatArray, Shape("m")]
    smooth_: float

    def __init__(
        self, k: int = 20, smoothing: float = 1.0, max_rows: int = 20_000, seed: int = 0
    ) -> None:
        self.k = k
        self.smoothing = smoothing
        self.max_rows = max_rows
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters under which the reference is a part of the training rows."""
        return {"max_rows": 500}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self._search = NeighbourSearch(self.reference_)
        return self

    def _check_parameters(self) -> None:
        if self.k < 1 or self.max_rows < 2 or self.smoothing < 0:
            raise ParameterError(
                "lof needs k ≥ 1, max_rows ≥ 2 and smoothing ≥ 0; "
                f"got {self.k}, {self.max_rows} and {self.smoothing}."
            )

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self._rows = subsample(len(X), self.max_rows, self.seed)
        self.mean_, self.scale_ = location_and_scale(X[self._rows])
        self.reference_ = standardise(X[self._rows], self.mean_, self.scale_)
        self._search = NeighbourSearch(self.reference_)
        m = len(self.reference_)
        self._k = min(self.k, m - 1)
        # One neighbour more than k, for when one of them is left out.
        self._near = np.empty((m, min(self._k + 1, m - 1)), dtype=np.int64)
        self._lengths = np.empty(self._near.shape)
        for rows, near, lengths in self._neighbours(self.reference_, self._near.shape[1], True):
            self._near[rows], self._lengths[rows] = near, lengths
        own = self._lengths[:, : self._k]
        self.reach_ = own[:, -1]
        self.smooth_ = float(self.smoothing * np.median(own.mean(axis=1))) + 1e-9
        self.density_ = 1.0 / self._reachability(own, self.reach_[self._near[:, : self._k]])

    def _neighbours(
        self, Z: FloatArray, k: int, itself: bool = False
    ) -> Iterator[tuple[slice, IntArray, FloatArray]]:
        """Yield slices of rows with their k nearest reference rows and the distances, sorted."""
        size = max(1, _CELLS // (k * Z.shape[1]))
        for start in range(0, len(Z), size):
            rows = slice(start, min(start + size, len(Z)))
            left_out = np.arange(rows.start, rows.stop) if itself else None
            near = self._search.nearest(Z[rows], k, left_out)
            # From the differences, so that duplicates are at a distance of exactly 0.
            lengths = np.linalg.norm(self.reference_[near] - Z[rows, None], axis=2)
            order = np.argsort(lengths, axis=1, kind="stable")
            yield (
                rows,
                np.take_along_axis(near, order, axis=1),
                np.take_along_axis(lengths, order, axis=1),
            )

    def _reachability(self, lengths: FloatArray, reach: FloatArray) -> FloatArray:
        mean: FloatArray = np.maximum(lengths, reach).mean(axis=-1)
        return mean + self.smooth_

    def _score(self, X: FloatArray) -> Scores:
        values = np.empty(len(X))
        k = min(self.k, len(self.reference_))
        size = max(1, _CELLS // X.shape[1])
        for start in range(0, len(X), size):
            Z = standardise(X[start : start + size], self.mean_, self.scale_)
            for rows, near, lengths in self._neighbours(Z, k):
                usual = self.density_[near].mean(axis=1)
                values[start : start + size][rows] = usual * self._reachability(
                    lengths, self.reach_[near]
                )
        return Scores(values)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        values = np.empty(len(X))
        others = np.ones(len(X), dtype=bool)
        others[self._rows] = False
        if others.any():
            values[others] = self._score(X[others]).values
        near = self._near[:, : self._k].ravel()
        order = np.argsort(near, kind="stable")
        # Sorted by neighbour: whose neighbours' rows 0 … m are the pieces between the bounds.
        neighbour, owner = near[order], order // self._k
        bounds = np.searchsorted(neighbour, np.arange(len(self._rows) + 1))
        for start in range(0, len(self._rows), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(self._rows)))
            piece = slice(bounds[start], bounds[rows[-1] + 1])
            serves = np.zeros((len(rows), len(self._rows)), dtype=bool)
            serves[neighbour[piece] - start, owner[piece]] = True
            values[self._rows[rows]] = self._left_out(rows, serves)
        return values

    def _left_out(self, rows: IntArray, serves: BoolArray) -> FloatArray:
        """Return the factors (b,) of reference rows as if each were not in the reference.

        ``serves`` (b, m) tells whose k nearest rows each of them is one of.
        """
        near = self._near[rows, : self._k]
        own = np.arange(len(rows))
        # To the k-th row, and if that served, to the one after it; if there is none, before it.
        known = self._near.shape[1]
        further = self._k if known > self._k else max(self._k - 2, 0)
        ends = np.stack([self.reach_, self._lengths[:, further]])
        # The neighbours of the neighbours, (b, k, k), without the row itself.
        order = np.argsort(self._near[near] == rows[:, None, None], axis=2, kind="stable")
        order = order[..., : max(known - 1, 1)]
        second = np.take_along_axis(self._near[near], order, axis=2)
        lengths = np.take_along_axis(self._lengths[near], order, axis=2)
        reach = ends[serves[own[:, None, None], second].astype(np.int64), second]
        usual = (1.0 / self._reachability(lengths, reach)).mean(axis=1)
        reach = ends[serves[own[:, None], near].astype(np.int64), near]
        factor: FloatArray = usual * self._reachability(self._lengths[rows, : self._k], reach)
        return factor
