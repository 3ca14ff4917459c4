"""Copula-based outlier detection: tails of the columns, the side chosen by their skewness."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tocsin.base.declared import Shape
from tocsin.detectors.tables.ecod import Ecod
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray


class Copod(Ecod):
    """Sums, over the columns, the larger of two tail scores of the empirical copula.

    One is −log of the tail on the side to which the column is skewed, the other the mean over
    both sides. Rows, parameters, ``parts``, training scores and errors are those of ``ecod``;
    the side is chosen without the row itself, too. Li et al., COPOD: Copula-Based Outlier
    Detection, ICDM 2020.

    >>> rng = np.random.default_rng(0)
    >>> copod = Copod().fit(rng.exponential(size=(300, 2)))
    >>> copod.score([[1, 9]]).parts.argmax()
    np.int64(1)
    """

    card = Card(
        name="copod",
        modality="tables",
        family="density",
        learning=("one-class", "unlabelled"),
        summary="How far out in the tails a row lies, on the side to which a column is skewed.",
        paper="Li et al., COPOD: Copula-Based Outlier Detection, ICDM 2020",
        cost="fit O(m d log m) on at most 100,000 rows m; score O(d log m) per row",
    )

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    moments_: Annotated[FloatArray, Shape(2, "d")]

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.mean_, self.scale_ = location_and_scale(self.sorted_.T)
        scaled = standardise(self.sorted_.T, self.mean_, self.scale_)
        self.moments_ = np.stack([np.sum(scaled**power, axis=0) for power in (2, 3)])

    def _join(
        self, left: FloatArray, right: FloatArray, x: FloatArray, column: int, own: IntArray
    ) -> FloatArray:
        skewed_left = self._third_moment(x, column, own) < 0
        return np.maximum(np.where(skewed_left, left, right), (left + right) / 2)

    def _third_moment(self, x: FloatArray, column: int, own: IntArray) -> FloatArray:
        """Return the third central moment (n,), times the rows, without the row itself."""
        second, third = self.moments_[:, column]
        m = self.sorted_.shape[1]
        # Without the row at e the mean of the scaled column moves from 0 to −shift.
        e = own * standardise(x, self.mean_[column], self.scale_[column])
        shift = e / (m - 1)
        moment: FloatArray = (
            third - e**3 + 3 * shift * (second - e**2) - 3 * shift**2 * e + (m - 1) * shift**3
        )
        return moment
