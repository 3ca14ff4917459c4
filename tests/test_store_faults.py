"""The store under faults: locked, full, read-only, corrupted, killed, newer or older."""

import multiprocessing
import os
import select
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tocsin.errors import ParameterError, StoreError, StoreUnavailable, TocsinError
from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.store.quarantine import Quarantine
from tocsin.store.schema import REVISION, VERSION_TABLE, metadata
from tocsin.types import Batch

NOBODY = 65534


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def batch(number: int, events: int = 50) -> Batch:
    frame = pd.DataFrame(np.random.default_rng(number).normal(size=(events, 8))).add_prefix("x")
    times = np.datetime64("2026-01-01", "us") + np.arange(events).astype("timedelta64[s]")
    return Batch(frame, times, tuple(f"{number}-{i}" for i in range(events)))


def append(db: Database, number: int, events: int = 50) -> None:
    store = EventStore(db)
    with db.begin() as c:
        store.append(c, "machine", batch(number, events), None)
        store.set_offset(c, "machine", {"batch": number})


def hold(path: Path) -> sqlite3.Connection:
    """What another process that writes holds: the lock of the file."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


def test_a_locked_store_says_so_and_works_again(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    with Database(url(path), timeout=0.1) as db:
        append(db, 0)
        other = hold(path)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable, match="locked"):
            append(db, 1)
        assert time.monotonic() - started < 2
        assert EventStore(db).count("machine") == 50
        other.rollback()
        append(db, 1)
        assert EventStore(db).offset("machine") == {"batch": 1}


def test_a_writer_waits_for_a_short_lock(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    with Database(url(path), timeout=5) as db:
        other = hold(path)
        timer = threading.Timer(0.3, other.rollback)
        timer.start()
        append(db, 0)
        timer.join()
        assert EventStore(db).count("machine") == 50


def test_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    with Database(url(tmp_path / "tocsin.db"), timeout=0.1) as db:
        with db.begin(), pytest.raises(StoreUnavailable, match="another thread"):
            append(db, 0)
        append(db, 0)

    with Database(url(tmp_path / "tocsin.db"), timeout=30) as db:
        numbers = range(1, 41)
        threads = [
            threading.Thread(target=lambda part=part: [append(db, n, 5) for n in numbers[part::4]])
            for part in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert EventStore(db).count("machine") == 50 + 200


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(db: Database) -> int:
    """Append until the disk is full; return how many batches it took."""
    for number in range(1_000):
        try:
            append(db, number)
        except StoreUnavailable:
            return number
    raise AssertionError("the disk is never full")


def test_a_full_disk_says_so_and_works_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_000_000))
    with Database(url(small_disk / "tocsin.db")) as db:
        stored = fill(db)
        with pytest.raises(StoreUnavailable, match=r"full|disk"):
            append(db, stored)
        assert EventStore(db).count("machine") == 50 * stored
        ballast.unlink()
        append(db, stored)
        assert EventStore(db).offset("machine") == {"batch": stored}
        assert [len(found) for found in EventStore(db).read("machine")] == [50] * (stored + 1)


def test_a_store_at_its_largest_size_leaves_nothing_partial(tmp_path: Path) -> None:
    with Database(url(tmp_path / "tocsin.db")) as db:
        append(db, 0)
        with db.begin() as c:
            pages = c.exec_driver_sql("PRAGMA page_count").scalar_one()
            c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 3}")
        with pytest.raises(StoreUnavailable, match="full"):
            append(db, 1, 5000)
        with db.begin() as c:
            assert EventStore(db).known(c, "machine", ["1-0"]) == set()
            c.exec_driver_sql("PRAGMA max_page_count = 100000")
        append(db, 1, 5000)
        assert EventStore(db).count("machine") == 5050


def test_a_file_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    with Database(url(path)) as db:
        append(db, 0)
    path.chmod(0o444)
    tmp_path.chmod(0o755)
    if os.geteuid() != 0:
        with pytest.raises(StoreError, match=r"tocsin\.db"):
            Database(url(path))
        return
    for folder in tmp_path.parents:
        if "pytest" in str(folder):
            folder.chmod(0o755)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(StoreError, match=r"tocsin\.db"):
            append(Database(url(path)), 1)
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("where", ["header", "middle"])
def test_a_corrupted_file_is_named(tmp_path: Path, where: str) -> None:
    path = tmp_path / "tocsin.db"
    with Database(url(path)) as db:
        for number in range(20):
            append(db, number)
    content = bytearray(path.read_bytes())
    start = 0 if where == "header" else 4096
    content[start : start + 8192 * 20] = os.urandom(8192 * 20)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="corrupted") as caught, Database(url(path)) as db:
        append(db, 20)
    assert not isinstance(caught.value, StoreUnavailable)


def test_what_cannot_be_a_store_is_refused(tmp_path: Path) -> None:
    for wrong in ("mysql://x/y", "no url", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(ParameterError, match="sqlite:///"):
            Database(wrong)
    with pytest.raises(StoreError, match="folder"):
        Database(url(tmp_path))
    with pytest.raises(StoreError, match="folder"):
        Database(url(tmp_path / "none" / "tocsin.db"))


def test_a_store_of_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    Database(url(path)).close()
    with sqlite3.connect(path) as c:
        c.execute("UPDATE tocsin_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"9999.*pip install --upgrade"):
        Database(url(path))


def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    with Database(url(tmp_path / "tocsin.db")) as db, db.read() as c:
        context = MigrationContext.configure(c, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == REVISION


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    """What is in quarantine stays; what its source knew of it was not kept then."""
    path = tmp_path / "tocsin.db"
    Database(url(path)).close()
    with sqlite3.connect(path) as c:
        c.execute("ALTER TABLE quarantine DROP COLUMN known")
        c.execute("UPDATE tocsin_version SET version_num = '0001'")
        into = "INSERT INTO quarantine (monitor, at, kind, reason, raw) VALUES (?, ?, ?, ?, ?)"
        c.execute(into, ("m", 0, "late", b"x", b"y"))
    with Database(url(path)) as db:
        (held,) = Quarantine(db).list()
        assert (held.reason, held.known) == ("x", None)
        with db.read() as c:
            context = MigrationContext.configure(c, opts={"version_table": VERSION_TABLE})
            assert compare_metadata(context, metadata) == []


def test_several_open_a_new_store_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            with Database(url(path), timeout=20) as db:
                append(db, number)
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with Database(url(path)) as db:
        assert EventStore(db).count("machine") == 200


def write_for_ever(path: Path, start: int, committed: int) -> None:
    db = Database(url(path))
    number = start
    while True:
        append(db, number)
        os.write(committed, f"{number}\n".encode())
        number += 1


def test_a_writer_killed_at_any_point_loses_and_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    Database(url(path)).close()
    context = multiprocessing.get_context("fork")
    chance = np.random.default_rng(0)
    expected = 0
    for turn in range(10):
        reading, writing = os.pipe()
        process = context.Process(target=write_for_ever, args=(path, expected, writing))
        process.start()
        os.close(writing)
        if turn % 2:  # at work for certain; else perhaps while it opens the store
            select.select([reading], [], [], 20)
        time.sleep(chance.uniform(0.02, 0.25))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with os.fdopen(reading) as said:
            told = [int(line) for line in said]
        with Database(url(path)) as db:
            store = EventStore(db)
            found = [found.ids[0].partition("-")[0] for found in store.read("machine")]
            assert found == [str(number) for number in range(len(found))]
            assert len(found) >= (told[-1] + 1 if told else expected)
            assert store.count("machine") == 50 * len(found)
            assert (store.offset("machine") or {"batch": -1})["batch"] == len(found) - 1
            with db.read() as c:
                assert c.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
                ids = c.exec_driver_sql("SELECT count(*) FROM event_ids").scalar()
                assert ids == 50 * len(found)
            expected = len(found)
    assert expected > 0


def test_a_new_store_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with Database(f"sqlite:///{tmp_path}/tocsin.db") as db, db.begin():
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}, modes


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hush@nowhere.invalid/x",
        "postgresql://me@nowhere.invalid/x?password=hush",
        "postgresql://nowhere.invalid/x?user=me&passfile=hush",
        "postgres ql://me:hush@/",
        "mysql+hush://me:hush@x/",
        "hush",
    ],
)
def test_no_password_of_a_url_is_shown(url: str) -> None:
    with pytest.raises(TocsinError) as caught:
        Database(url)
    assert "hush" not in str(caught.value).replace('begins with "hush"', "")
