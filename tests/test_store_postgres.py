"""The store on a real PostgreSQL server, which the tests start, stop and start again."""

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

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
    test_saving_again_keeps_what_a_person_did,
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

NOBODY = 65534


def programs() -> Path | None:
    """The folder of initdb and pg_ctl."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = importlib.util.find_spec("pgserver")
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "pginstall" / "bin")
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


class Server:
    """A PostgreSQL server in a folder of its own; it refuses to run as root."""

    def __init__(self, bin_: Path, folder: Path) -> None:
        self._bin, self._data = bin_, folder / "data"
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._run("initdb", "-D", self._data, "-U", "tocsin", "--auth=trust", "--no-sync")
        self.start()

    def url(self, name: str) -> str:
        return f"postgresql://tocsin:hush@127.0.0.1:{self._port}/{name}"

    def create(self) -> str:
        """Return the URL of a new database."""
        name = f"db_{secrets.token_hex(4)}"
        engine = create_engine(
            self.url("postgres").replace("postgresql", "postgresql+psycopg"),
            isolation_level="AUTOCOMMIT",
        )
        with engine.connect() as c:
            c.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def start(self) -> None:
        # Without fsync a killed server still loses nothing, only a machine without power does.
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
        log = self._folder / "log"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """Stop at once, as a crash does."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        other = {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
        command = [self._bin / program, *arguments]
        # The server inherits what is open: a pipe would never end.
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            check=False,
            **other,
        )
        assert done.returncode == 0, f"{program} failed: {command}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    bin_ = programs()
    if bin_ is None:
        message = "PostgreSQL is not installed: pip install pgserver"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    folder = Path(tempfile.mkdtemp(prefix="tocsin-pg-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    started = Server(bin_, folder)
    yield started
    started.stop()
    shutil.rmtree(folder)


@pytest.fixture
def db(server: Server) -> Iterator[Database]:
    with Database(server.create()) as opened:
        yield opened


def test_the_migrations_make_the_tables_of_the_schema(db: Database) -> None:
    with db.read() as c:
        context = MigrationContext.configure(c, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_a_store_of_a_later_version_is_refused(server: Server) -> None:
    url = server.create()
    with Database(url) as db, db.begin() as c:
        c.exec_driver_sql("UPDATE tocsin_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"9999.*pip install --upgrade"):
        Database(url)


def test_several_open_a_new_store_at_once(server: Server) -> None:
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


def test_a_lock_that_lasts_is_reported(server: Server) -> None:
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


def test_a_restart_during_work_loses_nothing_that_was_committed(
    server: Server, db: Database
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
        time.sleep(0.3)
        server.stop()
        time.sleep(0.2)
        server.start()
    before = len(committed)
    deadline = time.monotonic() + 10
    while len(committed) < before + 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    enough.set()
    worker.join()
    assert len(committed) >= before + 5
    assert refused
    assert not any("hush" in str(error) for error in refused)
    hours = [batch.ids[0].partition("-")[0] for batch in store.read("machine") if batch.ids]
    assert hours == [str(hour) for hour in range(len(hours))]
    assert set(committed) <= set(range(len(hours)))
    due = outbox.due(START + timedelta(days=1), "ops", 10_000, 30)
    assert len(due) == len(hours)


def test_a_server_that_is_away_is_named_without_its_password(server: Server) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreUnavailable, match="away") as caught:
        Database(f"postgresql://tocsin:hush@127.0.0.1:{port}/none")
    assert "hush" not in str(caught.value)
    with pytest.raises(StoreError, match="none"):
        Database(server.url("none"))
