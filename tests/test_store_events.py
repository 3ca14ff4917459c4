"""The store of events: what goes in comes out the same, once, and leaves for an archive whole."""

import errno
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from support.events import START, fill, judge, make
from tocsin.errors import InputError, StoreError
from tocsin.store import archive as archiving
from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.types import Batch


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/tocsin.db") as opened:
        yield opened


FRAMES = {
    "numbers": pd.DataFrame({"f": [1.5, np.nan, np.inf], "i": np.int8([1, 2, 3])}),
    "log lines": pd.DataFrame({"line": ["a", "naïve \0 line", ""]}),
    "python texts": pd.DataFrame({"path": pd.Series(["a", None, "ü"], dtype=object)}),
    "nullable": pd.DataFrame(
        {
            "integers": pd.Series([2**62 + 1, None, 3], dtype="Int64"),
            "flags": pd.Series([True, None, False], dtype="boolean"),
            "texts": pd.Series(["a", None, "c"], dtype="string"),
            "kinds": pd.Series(["a", "b", None], dtype="category"),
            "times": pd.to_datetime(["2020-01-01", "2021-01-01", None], utc=True),
        }
    ),
    "other names": pd.DataFrame({"_time": [1.0, 2, 3], "_id": ["x", "y", "z"], "ä b": [1, 2, 3]}),
    "joined texts": pd.concat(
        [pd.DataFrame({"path": [name]}) for name in ("a.png", "b.png", "ü.png")], ignore_index=True
    ),
    "filtered": pd.DataFrame({"a": np.arange(9.0)}).iloc[[2, 5, 7]],
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back_as_it_was(db: Database, name: str) -> None:
    store = EventStore(db)
    batch = make(3, frame=FRAMES[name])
    with db.begin() as c:
        number = store.append(c, "machine", batch, judge(3))
    (found,) = store.read("machine")
    assert_frame_equal(found.frame, batch.frame.reset_index(drop=True))
    assert found.number == number
    assert (found.times == batch.times).all()
    assert found.times.dtype == "datetime64[us]"
    assert (found.ids, found.entities) == (batch.ids, batch.entities)
    assert found.decision is not None
    assert (found.decision.scores == [0, 1, 2]).all()
    assert list(found.decision.is_anomaly) == [False, False, True]
    assert (found.decision.threshold, found.decision.model) == (1.5, "m@1")


def test_what_a_batch_lacks_stays_none(db: Database) -> None:
    store = EventStore(db)
    times = np.array(["2026-01-01"], dtype="datetime64[ns]")
    with db.begin() as c:
        store.append(c, "machine", Batch(pd.DataFrame({"a": [1]}), times), None)
        assert store.append(c, "machine", make(0), None) == 0
    (found,) = store.read("machine")
    assert (found.ids, found.entities, found.decision) == (None, None, None)


def test_what_has_no_type_or_time_is_refused(db: Database) -> None:
    store = EventStore(db)
    mixed = pd.DataFrame({"a": pd.Series([1, "x", {}], dtype=object)})
    late = np.array(["2026-01-01", "NaT"], dtype="datetime64[us]")
    with pytest.raises(InputError, match="cannot be stored"), db.begin() as c:
        store.append(c, "machine", make(3, frame=mixed), None)
    with pytest.raises(InputError, match="no time"), db.begin() as c:
        store.append(c, "machine", Batch(pd.DataFrame({"a": [1, 2]}), late), None)
    assert store.count("machine") == 0


def test_ids_are_known_by_monitor_and_stored_once(any_db: Database) -> None:
    store = fill(any_db, 3)
    long = "x" * 5000
    with any_db.begin() as c:
        times = np.array(["2026-01-01"], dtype="datetime64[us]")
        store.append(c, "machine", Batch(pd.DataFrame({"a": [1]}), times, (long,)), None)
    with any_db.read() as c:
        asked = ["1-4", "1-5", "2-0", long, long + "x", "", "\ud800"]
        assert store.known(c, "machine", asked) == {"1-4", "2-0", long}
        assert store.known(c, "other", asked) == set()
        assert store.known(c, "machine", []) == set()
    with pytest.raises(StoreError), any_db.begin() as c:
        store.append(c, "machine", make(hour=1), None)
    twice = Batch(pd.DataFrame({"a": [1, 2]}), make(2).times, ("n", "n"))
    with pytest.raises(StoreError, match="twice"), any_db.begin() as c:
        store.append(c, "machine", twice, None)
    assert store.count("machine") == 16


def test_a_failed_transaction_leaves_nothing_behind(any_db: Database) -> None:
    store = EventStore(any_db)

    def fail() -> None:
        with any_db.begin() as c:
            store.append(c, "machine", make(), judge())
            store.set_offset(c, "machine", {"line": 5})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.count("machine") == 0
    assert store.offset("machine") is None
    with any_db.begin() as c:
        assert store.known(c, "machine", ["0-0"]) == set()
        store.set_offset(c, "machine", {"line": 5, "parts": [1, None]})
        store.set_offset(c, "other", {"line": 6})
    assert store.offset("machine") == {"line": 5, "parts": [1, None]}
    with any_db.begin() as c:
        store.set_offset(c, "machine", None)
    assert store.offset("machine") is None


def test_conditions_cut_batches(any_db: Database) -> None:
    store = fill(any_db, 40)
    fill(any_db, 1, "other")

    def ids(**conditions: object) -> list[str]:
        found = store.read("machine", **conditions)
        return [id_ for batch in found for id_ in batch.ids or ()]

    assert len(ids()) == store.count("machine") == 200
    hour = timedelta(hours=1)
    since = START + hour + timedelta(seconds=3)
    assert ids(since=since, until=START + 2 * hour + timedelta(seconds=1)) == ["1-3", "1-4", "2-0"]
    assert ids(newest=7) == ["38-3", "38-4", *(f"39-{i}" for i in range(5))]
    assert ids(newest=2, until=START + hour) == ["0-3", "0-4"]
    assert ids(newest=3, anomalies_only=True) == ["37-4", "38-4", "39-4"]
    assert ids(newest=0) == []
    assert ids(anomalies_only=True) == [f"{hour}-4" for hour in range(40)]
    numbers = [batch.number for batch in store.read("machine")]
    assert numbers == sorted(numbers)
    assert [batch.number for batch in store.read("machine", after=numbers[-3])] == numbers[-2:]
    (cut,) = store.read("machine", newest=1)
    assert cut.decision is not None
    assert (list(cut.frame["load"]), list(cut.decision.scores)) == ([6.0], [4.0])


def test_old_events_move_to_a_file_a_day(any_db: Database, tmp_path: Path) -> None:
    store = fill(any_db, 72)
    before = START + timedelta(days=2, hours=5)
    assert store.retain("machine", before, tmp_path / "archive") == 240
    files = sorted((tmp_path / "archive" / "machine").iterdir())
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert [file.name for file in files] == ["2026-01-01-1.parquet", "2026-01-02-25.parquet"]
    frame = pd.concat(map(pd.read_parquet, files))
    assert list(frame["_id"]) == [f"{hour}-{i}" for hour in range(48) for i in range(5)]
    assert frame["_is_anomaly"].sum() == 48
    assert set(frame["_model"]) == {"m@1"}
    assert store.count("machine") == 120
    with any_db.read() as c:
        assert store.known(c, "machine", ["47-4", "48-0"]) == {"48-0"}
    assert store.retain("machine", before, tmp_path / "archive") == 0
    assert store.retain("machine", before, None) == 25
    assert store.count("machine") == 95


def test_files_are_split_where_columns_change_or_a_day_is_large(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "_PAGE", 3)
    monkeypatch.setattr(archiving, "_EVENTS", 20)
    store = fill(db, 8)
    with db.begin() as c:
        store.append(c, "machine", make(hour=8, ids=False), None)
        store.append(c, "machine", make(hour=9, frame=pd.DataFrame({"b": range(5)})), None)
    assert store.retain("machine", START + timedelta(days=1), tmp_path) == 50
    files = sorted((tmp_path / "machine").iterdir(), key=lambda file: int(file.stem[11:]))
    read = [pd.read_parquet(file) for file in files]
    assert [len(frame) for frame in read] == [20, 20, 5, 5]
    assert read[2]["_id"].isna().all()
    assert list(read[3]["b"]) == list(range(5))


def test_a_crash_between_archive_and_store_doubles_nothing(
    any_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(any_db, 5)
    before = START + timedelta(days=1)

    def crash(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(archiving, "sync", crash)  # the file is in its place by then
        with pytest.raises(KeyboardInterrupt):
            store.retain("machine", before, tmp_path)
    assert len(list((tmp_path / "machine").glob("*.parquet"))) == 1
    assert store.count("machine") == 25
    with any_db.begin() as c:
        store.append(c, "machine", make(hour=7), None)
    assert store.retain("machine", before, tmp_path) == 30
    frame = pd.concat(map(pd.read_parquet, (tmp_path / "machine").iterdir()))
    assert frame["_id"].is_unique
    assert len(frame) == 30
    assert store.count("machine") == 0


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_an_archive_that_is_not_finished_leaves_nothing(
    any_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    store, before = fill(any_db, 5), START + timedelta(days=1)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(archiving, "_forget", fail)  # a first page is written by then
        with pytest.raises((StoreError, KeyboardInterrupt)):
            store.retain("machine", before, tmp_path)
    assert list((tmp_path / "machine").iterdir()) == []
    assert store.retain("machine", before, tmp_path) == 25


def test_the_archive_stays_in_its_folder_and_says_what_is_wrong(
    db: Database, tmp_path: Path
) -> None:
    store = fill(db, 1, "../../up")
    assert store.retain("../../up", START + timedelta(days=1), tmp_path / "archive") == 5
    assert len(list((tmp_path / "archive").glob("*/*.parquet"))) == 1
    fill(db, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="archive"):
        store.retain("machine", START + timedelta(days=1), tmp_path / "file")
    assert store.count("machine") == 5


def test_the_file_shrinks_after_events_left(tmp_path: Path) -> None:
    path = tmp_path / "tocsin.db"
    rng = np.random.default_rng(0)
    with Database(f"sqlite:///{path}") as db:
        store = EventStore(db)
        for hour in range(60):
            with db.begin() as c:
                frame = pd.DataFrame(rng.normal(size=(1000, 8))).add_prefix("x")
                store.append(c, "machine", make(1000, hour, frame), None)
    large = path.stat().st_size
    with Database(f"sqlite:///{path}") as db:
        EventStore(db).retain("machine", START + timedelta(days=9), None)
    assert path.stat().st_size < large / 10
