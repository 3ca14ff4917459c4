"""Distance, density and local shape around the nearest training rows, in three scalings."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.detectors.column_scalings import MidRankScaling, MinMaxScaling, StandardScaling
from tocsin.detectors.reference import NeighbourSpace, ReferenceDetector, norm
from tocsin.types import Card, FloatArray, IntArray, Scores

_SCALINGS = (StandardScaling, MinMaxScaling, MidRankScaling)
_FEW, _MANY = 5, 15
_RIDGE = 0.1


class LocalGeometry(ReferenceDetector):
    """How far a row lies from the nearest training rows and from the surface they span.

    In each of three scalings of the columns (standard, min–max, mid-rank normal) four logs are
    added: distance to the nearest training row, mean distance to the 5 nearest, distance to
    their centroid, and what a ridge-regularised linear reconstruction from the 15 nearest
    leaves over. ``max_reference``: compare with at most so many training rows, drawn at random
    by ``seed``.

    ``parts`` (n, d) is each column's share, from 0 to 1, of the squared distance to the
    centroid, averaged over the scalings; ``expected`` (n, d) is the centroid in the units of X.
    The distances are those of Ramaswamy et al., SIGMOD 2000; the reconstruction is that of
    Roweis and Saul, Science 2000.

    >>> line = np.linspace(0, 1, 50)[:, None] * [1.0, 2.0]
    >>> values = LocalGeometry().fit(line).score([[0.51, 1.02], [0.5, 1.2]]).values
    >>> bool(values[1] > values[0])
    True
    """

    card = Card(
        name="local_geometry",
        modality="tables",
        family="neighbours",
        learning=("one-class",),
        summary="Distance to the nearest training rows and to the surface they span.",
        paper="Roweis, Saul, Nonlinear Dimensionality Reduction by Local Linear Embedding, "
        "Science 2000",
        cost="fit O(n m d), score O(m d) a row, m = reference rows",
    )

    def __init__(self, max_reference: int = 10_000, seed: int = 0) -> None:
        self.max_reference = max_reference
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"max_reference": 500}

    def _prepare(self) -> None:
        self._spaces = [NeighbourSpace(scaling, self.reference_) for scaling in _SCALINGS]
        rows = np.linspace(0, len(self.reference_) - 1, min(500, len(self.reference_))).astype(int)
        self._floors = [
            1e-3 * np.median(_mean_distance(space, self.reference_[rows], rows)) + 1e-9
            for space in self._spaces
        ]

    def _compare(self, X: FloatArray, itself: IntArray | None = None) -> Scores:
        values, shares, expected = np.zeros(len(X)), np.zeros(X.shape), np.empty(X.shape)
        for space, floor in zip(self._spaces, self._floors, strict=True):
            for block, rows, differences, lengths in space.neighbours(X, _MANY, itself):
                to_centroid = differences[:, :_FEW].mean(axis=1)
                for length in (lengths[:, 0], lengths[:, :_FEW].mean(axis=1), norm(to_centroid)):
                    values[block] += np.log(length + floor)
                values[block] += np.log(norm(_unexplained(differences)) + 1e-9)
                shares[block] += to_centroid**2 / (norm(to_centroid)[:, None] + floor) ** 2
                if space is self._spaces[0]:
                    expected[block] = self.reference_[rows[:, :_FEW]].mean(axis=1)
        return Scores(values, shares / len(self._spaces), expected)


def _unexplained(differences: FloatArray) -> FloatArray:
    """Return what the neighbours (b, k, d), as seen from each row, cannot reconstruct of it."""
    from_mean = -differences.mean(axis=1)
    centred = differences + from_mean[:, None]
    gram = centred @ centred.swapaxes(1, 2)
    diagonal = np.arange(gram.shape[1])
    spread = gram[:, diagonal, diagonal].mean(axis=1)
    gram[:, diagonal, diagonal] += (_RIDGE * spread + 1e-8)[:, None]
    weights = np.linalg.solve(gram, centred @ from_mean[..., None])
    remainder: FloatArray = from_mean - (weights.swapaxes(1, 2) @ centred)[:, 0]
    return remainder


def _mean_distance(space: NeighbourSpace, X: FloatArray, itself: IntArray) -> FloatArray:
    near = space.neighbours(X, _FEW, itself)
    return np.concatenate([lengths.mean(axis=1) for _, _, _, lengths in near])
