"""Files, folders and tables of databases that grow in odd but valid ways: each row once."""

from __future__ import annotations

import asyncio
import gzip
import os
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from support.collecting import collect, read, rows
from support.postgres import Postgres, running
from tocsin.errors import InputError
from tocsin.sources.file import File
from tocsin.sources.folder import Folder
from tocsin.sources.sql import Sql
from tocsin.types import Batch

Step = Callable[[Path], Any]


def put(path: Path, content: str | bytes, mode: str = "ab") -> None:
    with path.open(mode) as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def rotate(path: Path, to: str, *, how: str = "rename", then: str = "") -> None:
    """Move a file away by renaming, or by copying and truncating; and write on."""
    if how == "rename":
        path.rename(path.with_name(to))
    else:
        content = path.read_bytes()
        put(path.with_name(to), gzip.compress(content) if to.endswith("gz") else content)
        os.truncate(path, 0)
    put(path, then)


def grown(
    path: Path, n: int, *steps: Step, restarts: bool, **settings: Any
) -> list[dict[str, Any]]:
    """Return n rows of a file that grows by steps, read while it does, or from offsets between."""
    source = File(path=path, every=0.02, **settings)
    if restarts:
        found: list[Batch] = []
        for i, step in enumerate(steps):
            step(path)
            before = sum(map(len, found))
            offset = next((b.offset for b in reversed(found) if b.offset is not None), None)
            wanted = n if i == len(steps) - 1 else before + 1
            found += read(source, wanted - before, offset, within=5)
        return rows(found)

    async def work() -> list[Batch]:
        steps[0](path)
        reading = asyncio.create_task(collect(source, n, within=8))
        for step in steps[1:]:
            await asyncio.sleep(0.15)
            step(path)
        return await reading

    return rows(asyncio.run(work()))


CSV = "n,heat\n1,0.5\n2,0.5\n"
GROWING: dict[str, tuple[str, list[Step]]] = {
    ".json of one object per line": (
        "a.json",
        [lambda p: put(p, '{"n": 1}\n{"n": 2}\n'), lambda p: put(p, '\n{"n": 3}\r\n{"n": 4}\n')],
    ),
    "a byte order mark": (
        "a.jsonl",
        [
            lambda p: put(p, b'\xef\xbb\xbf{"n": 1}\n{"n": 2}\n'),
            lambda p: put(p, '{"n": 3}\n{"n": 4}\n'),
        ],
    ),
    "the header once more, as of a logger that restarts": (
        "a.csv",
        [lambda p: put(p, CSV), lambda p: put(p, "n,heat\n3,0.5\n4,0.5\n")],
    ),
    "Excel's sep=": (
        "a.csv",
        [
            lambda p: put(p, "sep=;\r\nn;heat\r\n1;0,5\r\n2;0,5\r\n"),
            lambda p: put(p, "3;1\r\n4;2\r\n"),
        ],
    ),
    "rotated, and the new file has a header": (
        "a.csv",
        [lambda p: put(p, CSV), lambda p: rotate(p, "a.csv.1", then="n,heat\n3,1\n4,1\n")],
    ),
    "rotated, and the new file has none": (
        "a.csv",
        [lambda p: put(p, CSV), lambda p: rotate(p, "a.csv.1", then="3,1\n4,1\n")],
    ),
    "copied and truncated, and the writer goes on without a header": (
        "a.csv",
        [
            lambda p: put(p, CSV),
            lambda p: rotate(p, "a.csv-20260301", how="copy", then="3,1\n"),
            lambda p: put(p, "4,1\n"),
        ],
    ),
    "the date before the ending": (
        "a.jsonl",
        [
            lambda p: put(p, '{"n": 1}\n'),
            lambda p: (
                put(p, '{"n": 2}\n'),
                rotate(p, "a-20260301.jsonl", then='{"n": 3}\n{"n": 4}\n'),
            ),
        ],
    ),
    "the date after the ending, gzipped after a copy": (
        "a.jsonl",
        [
            lambda p: put(p, '{"n": 1}\n'),
            lambda p: (
                put(p, '{"n": 2}\n'),
                rotate(p, "a.jsonl-20260301.gz", how="copy", then='{"n": 3}\n{"n": 4}\n'),
            ),
        ],
    ),
    "others of a similar name beside it": (
        "a.jsonl",
        [
            lambda p: (put(p.with_name("a-error.jsonl"), '{"n": 9}\n'), put(p, '{"n": 1}\n')),
            lambda p: (rotate(p, "a-1.jsonl", then='{"n": 2}\n'), put(p, '{"n": 3}\n')),
            lambda p: (put(p.with_name("a-error.jsonl"), '{"n": 9}\n'), put(p, '{"n": 4}\n')),
        ],
    ),
}


@pytest.mark.parametrize("restarts", [False, True], ids=["while it is read", "between two runs"])
@pytest.mark.parametrize("kind", GROWING)
def test_files_that_grow_oddly(tmp_path: Path, kind: str, restarts: bool) -> None:
    """Headers missing or repeated, sep=, marks, dates in names: each row once, under its name."""
    name, steps = GROWING[kind]
    found = grown(tmp_path / name, 4, *steps, restarts=restarts)
    assert [row["n"] for row in found] == [1, 2, 3, 4]
    if name.endswith("csv"):
        assert {tuple(row) for row in found} == {("n", "heat")}


def test_a_link_that_is_pointed_elsewhere(tmp_path: Path) -> None:
    """A link to today's file: the rest of the old one first, then the new one."""
    link = tmp_path / "current.jsonl"

    def point(name: str, content: str) -> None:
        put(tmp_path / name, content)
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / name)

    first = [lambda _: point("monday.jsonl", '{"n": 1}\n')]
    then = [
        lambda _: (
            put(tmp_path / "monday.jsonl", '{"n": 2}\n'),
            point("tuesday.jsonl", '{"n": 3}\n'),
        )
    ]
    assert [row["n"] for row in grown(link, 3, *first, *then, restarts=False)] == [1, 2, 3]


def test_thousands_of_a_locale_are_not_made_fractions(tmp_path: Path) -> None:
    """1.234 between semicolons stays as it is written: what its mark means the column tells."""
    path = tmp_path / "a.csv"
    put(path, "n;watts;town\n1;1.234;K\xf6ln\n2;12.345;x\n".encode("cp1252"))
    (batch,) = read(File(path=path, every=0.02), 2)
    assert batch.frame["watts"].tolist() == ["1.234", "12.345"]
    assert batch.frame["town"].tolist() == ["Köln", "x"]
    put(path, "3;21,5;y\n")
    (more,) = read(File(path=path, every=0.02), 1, batch.offset)
    assert more.frame["watts"].tolist() == ["21,5"]


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_a_file_in_utf_16_is_refused_in_words(tmp_path: Path, mark: bytes) -> None:
    """UTF-16 as of PowerShell: refused with what to do, not lines of zeros."""
    path = tmp_path / "a.log"
    path.write_bytes(mark + "one\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"UTF-16.*write UTF-8"):
        read(File(path=path, every=0.02), 1)


def test_files_of_a_folder_that_are_renamed_or_copied(tmp_path: Path) -> None:
    """A file that is renamed after it was read does not come again; a new one of its name does."""
    source = Folder(path=tmp_path, every=0.02, settle=0.0)
    put(tmp_path / "a.csv", "n\n1\n2\n")
    put(tmp_path / "b.csv", "n\n3\n")
    first = read(source, 3)
    (tmp_path / "a.csv").rename(tmp_path / "a.done.csv")
    put(tmp_path / "c.csv", "n\n4\n")
    second = read(source, 1, first[-1].offset)
    assert rows(second) == [{"n": 4}]
    (tmp_path / "b.csv").rename(tmp_path / "b.done.csv")
    put(tmp_path / "a.csv", "n\n5\n6\n")
    assert [row["n"] for row in rows(read(source, 2, second[-1].offset))] == [5, 6]
    with pytest.raises(TimeoutError):
        read(source, 1, read(source, 2, second[-1].offset)[-1].offset, within=0.5)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running() as started:
        yield started


ODD_TYPES = {
    "bytea": r"'\x00ff'",
    "interval": "'1 day 2 hours'",
    "integer[]": "'{1,2}'",
    "jsonb": """'{"a": [1], "deep": {"b": 2}}'""",
    "uuid": "'00000000-0000-0000-0000-000000000001'",
    "inet": "'10.0.0.1'",
    "money": "'12.50'",
    "numeric(30,10)": "'NaN'",
    "int4range": "'[1,5)'",
    "boolean": "true",
    "time": "'24:00:00'",
    "bit(3)": "B'101'",
}


@pytest.mark.parametrize("type_", ODD_TYPES)
def test_columns_of_any_type_are_kept(postgres: Postgres, tmp_path: Path, type_: str) -> None:
    """Bytes, intervals, arrays, ranges and others of PostgreSQL, beside NULL: kept and stored."""
    from support.monitors import configured, process

    url = postgres.create()
    engine = create_engine(url.replace("ql://", "ql+psycopg://"))
    with engine.begin() as c:
        c.execute(text(f'create table "Odd ""One" ("No" serial, a float, x {type_})'))
        for value in (ODD_TYPES[type_], "null", ODD_TYPES[type_]):
            c.execute(text(f'insert into "Odd ""One" (a, x) values (1, {value})'))  # noqa: S608
    engine.dispose()
    batches = read(Sql(url=url, table='Odd "One', watermark="No", every=0.05), 3)
    one = process(configured(tmp_path, "{type: host}"), scores=False)
    for batch in batches:
        one.process(batch, None)
    counted = one.stores.counters.read()["m"]
    assert (counted["events"], counted.get("malformed", 0)) == (3, 0)
    if type_ == "jsonb":
        assert batches[0].frame["x.deep.b"].tolist()[::2] == [2, 2]
        assert batches[0].frame["x.a"].tolist()[::2] == ["[1]", "[1]"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_one_watermark_of_many_rows_in_bounded_memory(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """60,000 rows of one watermark, without a key: all once, a thousand at a time in memory."""
    url = f"sqlite:///{tmp_path}/bulk.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").create().replace("ql://", "ql+psycopg://")
    engine, n = create_engine(url), 60_000
    with engine.begin() as c:
        c.execute(text("create table bulk (day integer, n integer, note varchar(200))"))
        numbers = [{"n": i} for i in range(n)]
        c.execute(text(f"insert into bulk values (1, :n, '{'x' * 200}')"), numbers)  # noqa: S608
        c.execute(text("insert into bulk values (2, -1, '')"))
    engine.dispose()
    del numbers
    source = Sql(url=url, table="bulk", watermark="day", every=0.05)

    async def work() -> list[int]:
        found: list[int] = []
        async for batch in source.read(None):
            found += batch.frame["n"].tolist()
            if found[-1] == -1:
                return found
        return found

    tracemalloc.start()
    found = asyncio.run(work())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sorted(found) == list(range(-1, n))
    assert peak < 15e6, f"{peak / 1e6:.0f} MB"
