"""What the alarm engine remembers of each entity between events."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tocsin.types import Reason, Severity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = (
    (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) for year in (2, 9999)
)
"""The microseconds since 1970 between which all times are taken to be."""


class Episode(msgspec.Struct):
    """An alarm in the making; times in microseconds since 1970.

    ``last``: the time of the last event that held it open.
    """

    id: str
    fingerprint: str
    opened: int
    updated: int
    last: int
    threshold: float
    model: str
    score: float = -math.inf
    p_value: float = math.inf
    peak: int = 0
    closed: int | None = None
    events: int = 0
    anomalies: int = 0
    severity: Severity = "info"
    reasons: tuple[Reason, ...] = ()
    evidence: dict[str, Any] = {}
    summary: str = ""


class Track(msgspec.Struct):
    """What is remembered of an entity.

    ``window``: how many of its events ago each recent anomaly was. ``held``: elapsed time at the
    last event that was an anomaly or held the episode open. ``rests``: the elapsed time up to
    which a closed episode reopens. ``quiet``: events in a row that did not hold it open.
    """

    held: int
    window: list[int] = []
    rests: int = 0
    quiet: int = 0
    episode: Episode | None = None

    @property
    def is_open(self) -> bool:
        """Whether its episode goes on."""
        return self.episode is not None and self.episode.closed is None


def as_time(microseconds: int) -> datetime:
    """Return the UTC time this many microseconds after 1970."""
    return _EPOCH + timedelta(0, 0, microseconds)
