"""Batches of events for stores."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.types import Batch, BatchDecision

START = datetime(2026, 1, 1, tzinfo=UTC)


def make(n: int = 5, hour: int = 0, frame: pd.DataFrame | None = None, ids: bool = True) -> Batch:
    """Return n events of one hour."""
    times = np.datetime64("2026-01-01", "us") + np.timedelta64(hour, "h")
    return Batch(
        pd.DataFrame({"load": np.arange(n) * 1.5}) if frame is None else frame,
        times + np.arange(n).astype("timedelta64[s]"),
        tuple(f"{hour}-{i}" for i in range(n)) if ids else None,
        tuple(f"pump {i % 2}" for i in range(n)),
    )


def judge(n: int = 5) -> BatchDecision:
    """Only the last event is an anomaly."""
    return BatchDecision(np.arange(n) * 1.0, np.full(n, 0.5), np.arange(n) == n - 1, n - 1.5, "m@1")


def fill(db: Database, hours: int, monitor: str = "machine") -> EventStore:
    """Append a batch for each hour, and return the store."""
    store = EventStore(db)
    with db.begin() as c:
        for hour in range(hours):
            store.append(c, monitor, make(hour=hour), judge())
    return store
