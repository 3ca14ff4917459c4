"""Who learns from which items, and which are tested."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from tocsin.errors import InputError, ParameterError
from tocsin.types import IntArray

Split = Literal["random", "time"]
"""random: learn from a seeded half of the normal items, measure on all others. time: learn from
the normal items of the first half, measure on the second half."""


def halves(y: IntArray, split: Split, seed: int = 0) -> tuple[IntArray, IntArray]:
    """Return which items to learn from, normal ones, and which to test, both ascending.

    ``y``: the labels (n,), 1 = anomaly. Raises ParameterError for an unknown split, InputError
    when nothing is left to learn from, or the tested half lacks a class that there is.

    >>> [part.tolist() for part in halves(np.array([0, 1, 0, 0, 0, 1]), "time")]
    [[0, 2], [3, 4, 5]]
    """
    if split not in get_args(Split):
        raise ParameterError(f"The split is one of {get_args(Split)}; got {split!r}.")
    normal = np.flatnonzero(y == 0)
    if split == "random":
        train = np.sort(np.random.default_rng(seed).permutation(normal)[: len(normal) // 2])
        tested = np.setdiff1d(np.arange(len(y)), train)
    else:
        train, tested = normal[normal < len(y) // 2], np.arange(len(y) // 2, len(y))
    if len(train) < 2 or not (y[tested] == 0).any() or y[tested].any() != y.any():
        raise InputError(
            f"Split by {split}, there are {len(train)} normal items to learn from, and "
            f"{y[tested].sum()} anomalies among {len(tested)} to test; both parts need normal "
            "items, the tested one also anomalies. Split otherwise, or give more data."
        )
    return train, tested


def check_normal(y: IntArray) -> None:
    """Raise InputError unless there is a normal item among the labels y (n,), 1 = anomaly."""
    if y.all():
        raise InputError(f"Evaluation needs normal items; all {len(y)} are labelled anomalies.")
