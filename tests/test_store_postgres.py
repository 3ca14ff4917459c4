"""The store on a real PostgreSQL server, which the tests start, stop and start again."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import postgres
from postgres import Postgres
from servers import free_port
from test_store_alarms import (  # noqa: F401
    test_a_killed_senders_notice_comes_again_with_key_and_content,
    test_a_lease_has_one_holder,
    test_alarms_are_listed_by_state_and_monitor_the_latest_first,
    test_an_alarm_comes_back_as_it_was,
    test_audit_and_claims,
    test_counters_grow_from_several_threads,
    test_notices_join_until_a_sender_takes_them,
    test_quarantine_is_listed_and_taken,
    test_retries_dead_letters_and_another_try,
    test_silences_begin_end_and_expire,
    test_states_of_entities,
    test_two_senders_never_take_the_same_notice,
)
from test_store_events import (  # noqa: F401
    START,
    fill,
    judge,
    make,
    test_a_crash_between_archive_and_store_doubles_nothing,
    test_a_failed_transaction_leaves_nothing_behind,
    test_conditions_cut_batches,
    test_ids_are_known_by_monitor_and_stored_once,
    test_old_events_move_to_a_file_a_day,
)
from tocsin.errors import StoreError, StoreUnavailable
from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.store.outbox import Outbox
from tocsin.store.schema import VERSION_TABLE, metadata


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres.running() as started:
        yield started


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
    with pytest.raises(StoreUnavailable, match="away") as caught:
        Database(f"postgresql://tocsin:hush@127.0.0.1:{port}/none")
    assert "hush" not in str(caught.value)
    with pytest.raises(StoreError, match="none"):
        Database(server.url("none"))
