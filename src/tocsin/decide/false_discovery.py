"""The false-discovery rate over a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tocsin.decide.budget import check_rate
from tocsin.errors import InputError
from tocsin.types import BoolArray


def false_discoveries(p_values: ArrayLike, rate: float) -> BoolArray:
    """Return (n,) bool: the anomalies of a batch, of which a share ``rate`` is expected false.

    The procedure of Benjamini and Hochberg (JRSS B, 1995). With conformal p-values of one
    calibration set it keeps its promise although they depend on each other (Bates, Candès,
    Lei, Romano & Sesia, Annals of Statistics 2023). The answer for an item depends on the
    whole batch: for a stream, use a threshold.

    Raises InputError for p-values outside [0, 1], ParameterError for a rate outside (0, 1).

    >>> false_discoveries([0.9, 0.01, 0.03, 0.2], rate=0.1).tolist()
    [False, True, True, False]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise InputError(f"Expected p-values (n,) from 0 to 1; got an array of shape {p.shape}.")
    ordered = np.sort(p)
    allowed = check_rate(rate) * np.arange(1, len(p) + 1) / max(len(p), 1)
    passing = ordered[ordered <= allowed]
    return p <= (passing[-1] if len(passing) else -1.0)
