"""Time in proportion to the input, whatever stands in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from support.growth import MOST, exponent
from tocsin.errors import UnreadableFile
from tocsin.prepare.log_patterns import FORMATS, format_named
from tocsin.prepare.tables import TablePreparer
from tocsin.readers.nested import unique_names
from tocsin.readers.table import read_table
from tocsin.sources._samples import request_of

LENGTHS = [8_000, 16_000, 32_000]
USERS = (
    "<time> <level> <component>: <message>",
    "[<time>]   [<level>] <host> - <message>",
    "<a>: <b>  <c> | <message>",
)


@pytest.mark.parametrize("pattern", USERS)
@pytest.mark.parametrize("unit", [" ", "\t ", "9", "a ", "] ", ": ", "[", "2026-01-01 "])
def test_patterns_of_users(pattern: str, unit: str) -> None:
    read = format_named(pattern).read

    def work(n: int) -> Callable[[], object]:
        lines = [begin + unit * (n // len(unit)) for begin in ("", "2026-01-01 00:00:00")]
        return lambda: [read(line) for line in lines for _ in range(4)]

    assert exponent(work, LENGTHS) <= MOST


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize(
    "begin",
    [
        "[Sun Dec 04 04:47:44 2005] [error] [pid 1",
        "[Sun Dec 04 04:47:44 2005] [error] [client 1",
        "2026-03-01 10:00:00 INFO ",
        "Mar  1 10:00:00 host app[1",
        "<34>1 2026-03-01T10:00:00Z h a 1 ID [",
        '1.2.3.4 - - [01/Mar/2026:10:00:00 +0000] "',
        "a=1 ",
    ],
)
def test_known_formats(name: str, begin: str) -> None:
    read = FORMATS[name].read

    def work(n: int) -> Callable[[], object]:
        lines = [begin + unit * (n // len(unit)) for unit in (" ", "1", "]", 'a="')]
        return lambda: [read(line) for line in lines]

    assert exponent(work, [4_000, 16_000]) <= MOST


@pytest.mark.parametrize("unit", [" ", "1 ", "1,", "-", "(", "9", "1:", "2h", "e1", "\u00a0"])
def test_cells(unit: str) -> None:
    def work(n: int) -> Callable[[], object]:
        long = unit * (n // len(unit))
        cells = ["x" + long + "y", "1" + long + "kB", long + "1", "3 kB", "4 kB"] * 4
        table = pd.DataFrame({"a": np.arange(20) % 7, "b": cells})
        return lambda: TablePreparer().fit(table)

    assert exponent(work, [20_000, 40_000, 80_000]) <= MOST


@pytest.mark.parametrize("names", ["", "a", "a{i}"])
def test_columns(tmp_path, names: str) -> None:
    def work(n: int) -> Callable[[], object]:
        path = tmp_path / f"{n}.csv"
        head = ",".join(names.format(i=i) for i in range(n))
        path.write_text(f"{head}\n" + (",".join("1" * n) + "\n") * 2)

        def read() -> None:
            with suppress(UnreadableFile):  # refused in as little time
                read_table(path)

        return read

    assert exponent(work, [8_000, 16_000, 32_000]) <= MOST


def test_names_alike() -> None:
    assert exponent(lambda n: lambda: unique_names(["a"] * n), [50_000, 100_000, 200_000]) <= MOST


def test_groups_of_records(tmp_path) -> None:
    def work(n: int) -> Callable[[], object]:
        path = tmp_path / f"{n}.json"
        path.write_text(json.dumps([{"n": i, f"k{i % 9}": 1, f"j{i}": 1} for i in range(n)]))

        def read() -> None:
            with suppress(UnreadableFile):
                read_table(path)

        return read

    assert exponent(work, [4_000, 8_000, 16_000]) <= MOST


def test_samples_of_remote_write() -> None:
    def work(n: int) -> Callable[[], object]:
        return lambda: request_of(b"\x0a\x02\x12\x00" * n, 1, ("a",), ("instance",), 10 * n)

    assert exponent(work, [10_000, 20_000, 40_000]) <= MOST
