"""Fixtures of several test modules."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

pytest.register_assert_rewrite("support")

from support import postgres  # noqa: E402
from support.browser import browser  # noqa: E402
from support.postgres import Postgres  # noqa: E402
from tocsin import registry  # noqa: E402
from tocsin.store.database import Database  # noqa: E402

__all__ = ["browser"]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Register parts as another package does, by entry points."""

    def register(*points: EntryPoint) -> None:
        monkeypatch.setattr(
            "importlib.metadata.entry_points",
            lambda group: [point for point in points if point.group == group],
        )
        registry._entry_points.cache_clear()

    yield register
    registry._entry_points.cache_clear()


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[Postgres]:
    """A PostgreSQL server, started for one module."""
    with postgres.running() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgres"])
def any_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty store, in SQLite and in PostgreSQL."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/tocsin.db"
    else:
        url = request.getfixturevalue("postgres_server").create()
    with Database(url) as opened:
        yield opened
