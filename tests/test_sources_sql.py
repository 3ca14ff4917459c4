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
