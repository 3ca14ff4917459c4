"""Rows of databases as they are added: SQLite always, PostgreSQL where it is installed."""

import uuid
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Float,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    create_engine,
    text,
)

from support.collecting import Monitored, read, rows, taken
from support.postgres import Postgres, running
from tocsin.errors import InputError, ParameterError
from tocsin.sources.sql import Sql

START = datetime(2026, 3, 1, 8, 20)
LARGE = 9_007_199_254_740_993  # the first whole number that a float does not hold

table = Table(
    "readings",
    MetaData(),
    Column("serial", BigInteger),
    Column("time", DateTime),
    Column("heat", Float),
    Column("name", Text),
    Column("price", Numeric(30, 10)),
    Column("day", Date),
    Column("key", Uuid),
)


def fill(url: str, which: range) -> None:
    engine = create_engine(url)
    table.metadata.create_all(engine)
    with engine.begin() as c:
        c.execute(
            table.insert(),
            [
                {
                    "serial": LARGE + n,
                    "time": START + timedelta(microseconds=n // 3),
                    "heat": n / 2,
                    "name": None if n % 5 == 0 else f"é{n}",
                    "price": Decimal(n) / 8,
                    "day": date(2026, 1, 1) + timedelta(days=n),
                    "key": uuid.UUID(int=n),
                }
                for n in which
            ],
        )
    engine.dispose()


def source(url: str, watermark: str = "serial", **settings: Any) -> Sql:
    return Sql(url=url, table="readings", watermark=watermark, every=0.05, **settings)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running() as started:
        yield started


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/plant.db"


def check_resuming(url: str, watermark: str, tie: str | None) -> None:
    whole = source(url.replace("+psycopg", ""), watermark, tie=tie, most=7)
    first = read(whole, 20)
    rest = read(whole, 40 - taken(first), first[-1].offset)
    assert [row["heat"] for row in rows(first + rest)] == [n / 2 for n in range(40)]


ORDERS = [("serial", None), ("time", "serial"), ("day", None)]


@pytest.mark.parametrize(("watermark", "tie"), ORDERS)
def test_every_row_comes_once_in_order(url: str, watermark: str, tie: str | None) -> None:
    fill(url, range(40))
    check_resuming(url, watermark, tie)


@pytest.mark.parametrize(
    ("watermark", "tie"), [*ORDERS, ("price", None), ("key", None), ("time", "key")]
)
def test_every_row_comes_once_in_order_on_postgresql(
    postgres: Postgres,
    watermark: str,
    tie: str | None,
) -> None:
    url = postgres.create().replace("postgresql", "postgresql+psycopg")
    fill(url, range(40))
    check_resuming(url, watermark, tie)


def test_a_server_that_is_stopped_comes_back(postgres: Postgres) -> None:
    url = postgres.create()
    fill(url.replace("postgresql", "postgresql+psycopg"), range(10))

    def restart(n: int) -> None:
        if n == 10:
            postgres.stop()
            postgres.start()
            fill(url.replace("postgresql", "postgresql+psycopg"), range(10, 15))

    assert taken(read(source(url, most=10), 15, after_each=restart)) == 15


def test_new_rows_come_as_they_are_added(url: str) -> None:
    fill(url, range(3))
    batches = read(source(url), 5, after_each=lambda n: fill(url, range(n, n + 2)))
    assert [row["serial"] - LARGE for row in rows(batches)] == [0, 1, 2, 3, 4]
    assert batches[0].times[0].item() == START


def test_a_monitor_that_is_killed_goes_on_where_it_was(url: str, tmp_path: Path) -> None:
    fill(url, range(3_000))
    settings = {
        "type": "sql",
        "url": url,
        "table": "readings",
        "watermark": "serial",
        "every": 0.05,
        "most": 100,
        "fields": {"columns": ["heat"]},
    }
    with Monitored(tmp_path, settings) as first:
        first.wait("heat", 100)
        first.kill()
    with Monitored(tmp_path, settings) as second:
        stored = second.wait("heat", 3_000)
    assert stored == [n / 2 for n in range(3_000)]


@pytest.mark.parametrize("unique", ["", " primary key"])
@pytest.mark.parametrize(
    "groups", [(5_000,), (10, 4_000, 1), (999, 1, 1_000, 3_000, 2), (700,) * 5]
)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_rows_that_share_a_watermark_are_all_read(
    request: pytest.FixtureRequest, url: str, kind: str, groups: tuple[int, ...], unique: str
) -> None:
    """As of one transaction that inserts ``now()``: with and without a key, all are read once."""
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").create().replace("ql://", "ql+psycopg://")
    whole = [
        {"at": START + timedelta(minutes=i), "n": 10_000 * i + j, "heat": j / 2}
        for i, n in enumerate(groups)
        for j in range(n)
    ]
    engine = create_engine(url)
    with engine.begin() as c:
        c.execute(text(f"create table bulk (at timestamp, n integer{unique}, heat float)"))
        c.execute(text("insert into bulk values (:at, :n, :heat)"), whole)
    engine.dispose()
    bulk = Sql(url=url, table="bulk", watermark="at", every=0.05, fields={"time": "at"})
    batches = read(bulk, len(whole))
    found = [row["n"] for row in rows(batches)]
    assert sorted(found) == [row["n"] for row in whole]
    assert max(map(len, batches)) <= 1_000
    assert batches[-1].offset is not None
    # After a crash behind any batch nothing is lost; what comes twice is of one value.
    for i, batch in enumerate(batches[:-1]):
        if batch.offset is not None:
            rest = sum(map(len, batches[i + 1 :]))
            assert taken(read(bulk, rest, batch.offset)) == rest


@pytest.mark.parametrize("type_", ["timestamptz", "timestamp", "date", "float8", "numeric"])
def test_rows_at_infinity_are_quarantined_and_the_stream_goes_on(
    postgres: Postgres, type_: str
) -> None:
    """Infinity, before Christ, NaN: as a watermark or beside one, refused; all others are read."""
    url = postgres.create()
    engine = create_engine(url.replace("ql://", "ql+psycopg://"))
    number = type_ in ("float8", "numeric")
    odd = ["NaN"] if number else ["infinity", "-infinity"]
    usual = [f"2026-01-0{i}" for i in range(1, 6)]
    values = [str(1_767_355_200 + i) for i in range(5)] if number else usual
    with engine.begin() as c:
        c.execute(text(f"create table odd (serial serial, at {type_}, heat float)"))
        for value in [*values[:3], *odd, *values[3:]]:
            c.execute(text(f"insert into odd (at, heat) values ('{value}', 1)"))  # noqa: S608
    settings = {"url": url, "table": "odd", "every": 0.05, "fields": {"time": "at"}}
    for watermark in ("serial", "at"):
        batches = read(Sql(watermark=watermark, **settings), 5 + len(odd))
        rejected = [rejection for batch in batches for rejection in batch.rejected]
        # NaN beside a watermark is a time that is missing, which is that of arrival.
        assert len(rejected) == (0 if number and watermark == "serial" else len(odd))
        assert sum(map(len, batches)) == 5 + len(odd) - len(rejected)
        assert all('"at"' in rejection.reason for rejection in rejected)
        with engine.begin() as c:
            c.execute(text(f"insert into odd (at, heat) values ('{values[-1]}', 2)"))  # noqa: S608
            later = "1767355300" if number else "2026-02-01"
            c.execute(text(f"insert into odd (at, heat) values ('{later}', 3)"))  # noqa: S608
        offset = next(b.offset for b in reversed(batches) if b.offset is not None)
        again = read(Sql(watermark=watermark, **settings), 1, offset)
        assert 3 in [row["heat"] for row in rows(again)] or 2 in [r["heat"] for r in rows(again)]
        with engine.begin() as c:
            c.execute(text("delete from odd where heat > 1"))
    engine.dispose()


def test_local_times_of_a_database_are_read_in_their_zone(url: str) -> None:
    """``time_zone`` holds for times of a table too."""
    fill(url, range(1))
    berlin = source(url, fields={"time_zone": "Europe/Berlin"})
    assert read(berlin, 1)[0].times[0].item() == START - timedelta(hours=1)


def test_a_column_or_table_that_is_not_there_is_told(url: str) -> None:
    fill(url, range(1))
    with pytest.raises(InputError, match='no column "serials"; it has: serial, time'):
        read(source(url, "serials"), 1)
    missing = Sql(url=url, table="none", watermark="x")
    with pytest.raises(InputError, match='no table "none"'):
        read(missing, 1)


def test_the_table_s_name_is_no_way_into_the_database(url: str) -> None:
    fill(url, range(1))
    with pytest.raises(InputError, match="no table"):
        read(Sql(url=url, table='readings"; DROP TABLE readings; --', watermark="serial"), 1)
    assert taken(read(source(url), 1)) == 1


def test_a_database_that_is_none_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ParameterError, match="cannot be opened"):
        read(source("nothing://x"), 1)
    monkeypatch.setenv("SQL_PASSWORD", "correct-horse")
    away = source("postgresql://ann@127.0.0.1:1/plant", password={"env": "SQL_PASSWORD"})
    with pytest.raises(TimeoutError):
        read(away, 1, within=0.8)
    assert "Trying again" in caplog.text
    assert "correct-horse" not in caplog.text
