"""What sources hand on: events in batches, and what became of those that could not be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from tocsin.errors import InputError
from tocsin.types.detections import BoolArray, FloatArray

if TYPE_CHECKING:
    import pandas as pd

TimeArray = NDArray[np.datetime64]
"""UTC times (n,), datetime64[us]."""

Offset = Mapping[str, Any] | None
"""Where a source goes on: a JSON object that only the source understands; None for the start."""

LINE_COLUMN, PATH_COLUMN = "line", "path"
"""The columns of events that are lines of text, and of those that are files."""

RejectionKind = Literal[
    "malformed", "oversized", "empty", "late", "future", "duplicate", "unknown entity", "dropped"
]


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that was not taken, kept in quarantine: as it came, cut if large, and why.

    ``known``: what its source knows of it besides, such as an MQTT topic or a Kafka key, as JSON:
    its ``time`` in microseconds since 1970, its ``entity``, and ``columns`` with their values.
    """

    kind: RejectionKind
    reason: str
    raw: str
    known: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Events of one source in the order they came.

    ``frame``: n rows, the columns that the monitor's pipeline takes; lines of text stand
    in the one column ``line``, the paths of files in the one column ``path``. ``times``: (n,)
    datetime64[us], UTC. ``ids``: n texts by which the store recognises an event that comes again,
    or None where the offset alone does. ``entities``: n texts, what each event is about, or None.
    ``offset``: where the source goes on once this batch is committed, None where it can't.
    ``rejected``: events that could not be read. ``acknowledge`` is awaited once the batch is
    committed, and never before.

    Raises InputError when lengths differ.
    """

    frame: pd.DataFrame
    times: TimeArray
    ids: tuple[str, ...] | None = None
    entities: tuple[str, ...] | None = None
    offset: Offset = None
    rejected: tuple[Rejection, ...] = ()
    acknowledge: Callable[[], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        for name in ("times", "ids", "entities"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.frame):
                raise InputError(
                    f"Batch.{name} has {len(value)} values for {len(self.frame)} events."
                )

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True, slots=True)
class BatchDecision:
    """What a model decided on the n events of a batch.

    ``scores`` and ``p_values``: (n,) float64; ``is_anomaly``: (n,) bool. ``threshold``: the score
    above which an event is an anomaly. ``model``: the name and the hash of the model.
    """

    scores: FloatArray
    p_values: FloatArray
    is_anomaly: BoolArray
    threshold: float
    model: str
