"""Metrics: what entities report of themselves, one reading after the other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.types.detections import FloatArray, IntArray

ReadingArray = NDArray[np.void]
"""Readings (n,) with the fields ``time``, ``entity`` and ``values``; see ``readings``."""

UNKNOWN = -1
"""The entity of a reading that training did not have."""


VIEWS = ("jump", "shift", "level", "drift", "relation", "relations", "spread", "stuck", "missing")
"""What is looked at: the newest value; the last few; an hour's part, and hours, of the level; the
same of the relation to the other channels; the spread; a value that stays, and one that lacks."""


class Judged(NamedTuple):
    """What is said of n readings: their scores (n,), and of each channel (n, C) what is unusual.

    ``parts``: minus the logarithm (base 10) of how likely the rarest view of the channel is;
    ``views``: the position of that view in ``VIEWS``; ``expected``: what it compares with.
    """

    scores: FloatArray
    parts: FloatArray
    views: NDArray[np.int8]
    expected: FloatArray


def readings(times: ArrayLike, entities: ArrayLike, values: ArrayLike) -> ReadingArray:
    """Return readings (n,) from times (n,), entities (n,) and values (n, channels).

    ``times``: datetime64, or microseconds since 1970, UTC. ``entities``: whole numbers from 0, or
    ``UNKNOWN``. ``values``: float64, NaN where missing.

    >>> readings([0, 60_000_000], [0, 0], [[0.5, 2.0], [0.4, np.nan]])["values"].shape
    (2, 2)
    """
    moments, numbers = np.asarray(times), np.asarray(values, dtype=np.float64)
    if moments.dtype.kind == "M":
        moments = moments.astype("datetime64[us]")
    made = np.empty(len(numbers), dtype=reading_type(numbers.shape[1]))
    made["time"], made["entity"], made["values"] = moments.astype(np.int64), entities, numbers
    return made


def reading_type(channels: int) -> np.dtype[Any]:
    """Return the type of a reading of so many channels."""
    return np.dtype([("time", np.int64), ("entity", np.int64), ("values", np.float64, (channels,))])


def columns_of(given: ReadingArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return times (n,), entities (n,) and values (n, channels), each contiguous."""
    return tuple(np.ascontiguousarray(given[name]) for name in ("time", "entity", "values"))  # type: ignore[return-value]


def known_entities(given: ReadingArray) -> IntArray:
    """Return the entities of readings that are known, in rising order."""
    found: IntArray = np.unique(given["entity"])
    return found[found >= 0]
