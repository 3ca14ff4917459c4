"""Stores on SQLite and on PostgreSQL, and events to put into them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import postgres
from postgres import Postgres
from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.types import Batch, BatchDecision

START = datetime(2026, 1, 1, tzinfo=UTC)

on_both = pytest.mark.parametrize("db", ["sqlite", "postgres"], indirect=True)
"""Runs a test that takes ``db`` on SQLite and on PostgreSQL."""


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    with postgres.running() as started:
        yield started


@pytest.fixture
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    on_postgres = getattr(request, "param", "sqlite") == "postgres"
    server = request.getfixturevalue("server") if on_postgres else None
    url = server.create() if server else f"sqlite:///{tmp_path}/tocsin.db"
    with Database(url) as opened:
        yield opened


def make(n: int = 5, hour: int = 0, frame: pd.DataFrame | None = None, ids: bool = True) -> Batch:
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
    store = EventStore(db)
    with db.begin() as c:
        for hour in range(hours):
            store.append(c, monitor, make(hour=hour), judge())
    return store
