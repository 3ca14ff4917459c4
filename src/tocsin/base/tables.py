"""Detectors of tables."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike

from tocsin.base.declared import Within
from tocsin.base.detector import Detector
from tocsin.errors import InputError, SchemaMismatch
from tocsin.types import FloatArray


class TableDetector(Detector):
    """A detector over a numeric matrix (n, d), float64, without missing values."""

    n_features_in_: Annotated[int, Within(1)]

    def _check_training(self, X: Any) -> FloatArray:
        matrix = check_matrix(X)
        if len(matrix) < 2:
            raise InputError(f"{self.card.name} needs at least 2 rows to learn from; got 1 sample.")
        self.n_features_in_ = matrix.shape[1]
        return matrix

    def _check_scoring(self, X: Any) -> FloatArray:
        matrix = check_matrix(X)
        if matrix.shape[1] != self.n_features_in_:
            raise SchemaMismatch(
                f"{self.card.name} was trained on {self.n_features_in_} columns; "
                f"these rows have {matrix.shape[1]}."
            )
        return matrix


def check_matrix(X: ArrayLike) -> FloatArray:
    """Return X as a C-contiguous float64 matrix (n, d), n ≥ 1, d ≥ 1, all finite.

    Raises InputError naming what is wrong and where.

    >>> check_matrix([[1, 2]]).shape
    (1, 2)
    """
    try:
        matrix = np.ascontiguousarray(X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"A detector takes a matrix of numbers: {error}.") from error
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(
            f"A detector takes a matrix (rows, columns), not empty; got {matrix.shape}."
        )
    finite = np.isfinite(matrix)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise InputError(
            f"{int((~finite).sum())} values are missing or infinite, the first at row {row}, "
            f"column {column}. Fill them first; a Pipeline does."
        )
    return matrix
