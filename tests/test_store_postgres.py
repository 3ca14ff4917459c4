"""The store on a real PostgreSQL server, which the tests start, stop and start again."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from support.events import START, fill, judge, make
from support.postgres import Postgres
from support.servers import free_port
from tocsin.errors import StoreError, StoreUnavailable
from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.store.outbox import Outbox
from tocsin.store.schema import VERSION_TABLE, metadata


@pytest.fixture(scope="module")
def server(postgres_server: Postgres) -> Postgres:
    return postgres_server


@pytest.fixture
def db(server: Postgres) -> Iterator[Database]:
    with Database(server.create()) as opened:
        yield opened


def test_the_migrations_make_the_tables_of_the_schema(db: Database) -> None:
    with db.read() as c:
        context = MigrationContext.configure(c, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_a_store_of_a_later_version_is_refused(server: Postgres) -> None:
    url = server.create()
    with Database(url) as db, db.begin() as c:
        c.exec_driver_sql("UPDATE tocsin_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"9999.*pip install --upgrade"):
        Database(url)


def test_several_open_a_new_store_at_once(server: Postgres) -> None:
    url = server.create()
    counted: list[int] = []

    def work(hour: int) -> None:
        with Database(url, timeout=20) as db:
            store = EventStore(db)
            with db.begin() as c:
                store.append(c, "machine", make(hour=hour), judge())
            counted.append(store.count("machine"))

    threads = [threading.Thread(target=work, args=(hour,)) for hour in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(counted) == 15


def test_a_lock_that_lasts_is_reported(server: Postgres) -> None:
    url = server.create()
    with Database(url, timeout=0.1) as db, Database(url) as other:
        store = fill(db, 1)
        with other.begin() as holding:
            store.set_offset(holding, "machine", {"line": 1})
            with pytest.raises(StoreUnavailable), db.begin() as c:
                store.set_offset(c, "machine", {"line": 2})
        with db.begin() as c:
            store.set_offset(c, "machine", {"line": 2})
        assert store.offset("machine") == {"line": 2}


def wait_for_more(done: list[Any], more: int = 5) -> None:
    """Wait until a thread has done more."""
    wanted, deadline = len(done) + more, time.monotonic() + 10
    while len(done) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_restart_during_work_loses_nothing_that_was_committed(
    server: Postgres, db: Database
) -> None:
    store, outbox = EventStore(db), Outbox(db)
    committed: list[int] = []
    refused: list[Exception] = []
    enough = threading.Event()

    def work() -> None:
        hour = 0
        while not enough.is_set():
            try:
                # A commit whose answer was lost may have been done.
                hour = (store.offset("machine") or {"hour": -1})["hour"] + 1
                with db.begin() as c:
                    store.append(c, "machine", make(hour=hour), judge())
                    store.set_offset(c, "machine", {"hour": hour})
                    outbox.enqueue(c, "ops", {"hour": str(hour)}, "opened", [str(hour)], START)
                committed.append(hour)
            except StoreUnavailable as error:
                refused.append(error)
                time.sleep(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    for _ in range(2):
        wait_for_more(committed)
        server.stop()
        wait_for_more(refused)
        server.start()
    wait_for_more(committed)
    enough.set()
    worker.join()
    assert not any("hush" in str(error) for error in refused)
    hours = [batch.ids[0].partition("-")[0] for batch in store.read("machine") if batch.ids]
    assert hours == [str(hour) for hour in range(len(hours))]
    assert set(committed) <= set(range(len(hours)))
    due = outbox.due(START + timedelta(days=1), "ops", 10_000, 30)
    assert len(due) == len(hours)


def test_a_server_that_is_away_is_named_without_its_password(server: Postgres) -> None:
    port = free_port()
    with pytest.raises(StoreUnavailable, match="unreachable") as caught:
        Database(f"postgresql://tocsin:hush@127.0.0.1:{port}/none")
    assert "hush" not in str(caught.value)
    with pytest.raises(StoreError, match="none"):
        Database(server.url("none"))
