"""A file that grows, rotates, is cut off, and holds what it should not."""

import asyncio
import gzip
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from support.collecting import Monitored, collect, read, rows
from support.servers import program
from tocsin.errors import InputError
from tocsin.sources.file import File
from tocsin.types import Batch


def source(path: Path, **settings: Any) -> File:
    return File(path=path, every=0.02, **settings)


def append(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


def lines(batches: list[Batch]) -> list[str]:
    return [line for batch in batches for line in batch.frame["line"]]


def steps(path: Path, n: int, *then: Any, **settings: Any) -> list[str]:
    """Read n lines, doing the next thing each time the file is at its end."""

    async def work() -> list[Batch]:
        reading = asyncio.create_task(collect(source(path, **settings), n, within=10))
        for do in then:
            await asyncio.sleep(0.15)
            do()
        return await reading

    return lines(asyncio.run(work()))


def test_goes_on_from_the_offset_that_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, "one", "two", "three", end="")
    first = read(source(path), 2)
    assert lines(first) == ["one", "two"]
    append(path, " and more", "four")
    assert lines(read(source(path), 2, first[-1].offset)) == ["three and more", "four"]


def test_rotation_while_it_is_read_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, "one")
    writer = path.open("a")

    def rotate() -> None:
        writer.write("last of the old\n")
        path.rename(tmp_path / "app.log.1")
        append(path, "first of the new")
        writer.write("by one who still writes to the old\n")
        writer.close()

    assert steps(path, 4, rotate) == [
        "one",
        "last of the old",
        "by one who still writes to the old",
        "first of the new",
    ]


def test_what_was_rotated_away_meanwhile_is_read_first(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, "one")
    offset = read(source(path), 1)[-1].offset
    append(path, "two")
    for i in (2, 1):
        path.rename(tmp_path / f"app.log.{i}")
        append(path, f"after rotation {i}")
        os.utime(tmp_path / f"app.log.{i}", (1_700_000_000 - i, 1_700_000_000 - i))
    found = lines(read(source(path), 3, offset))
    assert found == ["two", "after rotation 2", "after rotation 1"]


def test_a_file_that_is_cut_off_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, "a long line before")
    assert steps(path, 2, lambda: path.write_text("new\n")) == ["a long line before", "new"]


def test_another_file_of_that_name_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, "one", "two")
    offset = read(source(path), 2)[-1].offset
    path.write_text("one thing\nelse\n")
    assert lines(read(source(path), 2, offset)) == ["one thing", "else"]


def test_waits_for_a_file_and_may_begin_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    assert steps(path, 1, lambda: append(path, "there")) == ["there"]
    then = [lambda: append(path, "new")]
    assert steps(path, 1, *then, start="end") == ["new"]


def test_lines_too_long_are_cut_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with path.open("wb") as file:
        file.seek(300_000_000)  # a hole: zeros without a line end
        file.write(b"\nshort\n")
    found = lines(read(source(path, fields={"largest": 64}), 2))
    assert [len(line) for line in found] == [64, 5]


def test_json_lines_with_what_is_none(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, '{"n": 1}', "{", '{"n": 2, "deep": {"a": [1]}}', "", "[" * 50_000)
    batches = read(source(path), 4)
    assert [row["n"] for row in rows(batches)] == [1, 2]
    assert batches[0].frame["deep.a"].tolist()[1] == "[1]"
    assert [rejection.kind for rejection in batches[0].rejected] == ["malformed"] * 2


def test_csv_rows_survive_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "app.csv"
    append(path, "a,b", "1,2", '3,"never closed', "5", '7,"8,9"', "x" * 200_000 + ",1", "9,10")
    batches = read(source(path), 6)
    assert [str(row["a"]) for row in rows(batches)] == ["1", "3", "7", "9"]
    assert len(batches[0].rejected) == 2
    append(path, "11,12")
    again = read(source(path), 1, batches[-1].offset)
    assert rows(again) == [{"a": 11, "b": 12}]


def truncated(path: Path, copy: str, *then: str, gzipped: bool = False) -> None:
    """Copy a file and truncate it, as logrotate does with copytruncate, and write on."""
    content = path.read_bytes()
    path.with_name(copy).write_bytes(gzip.compress(content) if gzipped else content)
    os.truncate(path, 0)
    if then:
        append(path, *then)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("then", [["short"], [f"a line of the new file, {i}" for i in range(50)]])
def test_what_was_copied_before_a_truncation_is_read(
    tmp_path: Path, gzipped: bool, then: list[str]
) -> None:
    """Lines that were not read when a file was truncated, however long it has become since."""
    path, copy = tmp_path / "app.log", "app.log.1" + ".gz" * gzipped
    append(path, *(f"line {i}" for i in range(20)))

    def rotate() -> None:
        append(path, *(f"line {i}" for i in range(20, 40)), "half", end="")
        truncated(path, copy, " a line", *then, gzipped=gzipped)

    whole = [*(f"line {i}" for i in range(40)), "half a line", *then]
    assert steps(path, len(whole), rotate) == whole


def test_truncations_while_away_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    append(path, "one", "two")
    offset = read(source(path), 2)[-1].offset
    append(path, "three")
    truncated(path, "app.log.2", "four")
    os.utime(tmp_path / "app.log.2", (1_700_000_000, 1_700_000_000))
    truncated(path, "app.log.1", "five")
    assert lines(read(source(path), 3, offset)) == ["three", "four", "five"]


def test_a_hole_of_zeros_that_a_writer_leaves_is_passed_over(tmp_path: Path) -> None:
    """A program that does not append writes on where it was, behind zeros."""
    path = tmp_path / "app.log"
    with path.open("wb", buffering=0) as writer:
        writer.write(b"one\n" * 1_000)

        def rotate() -> None:
            truncated(path, "app.log.1")
            writer.write(b"two\n")

        assert steps(path, 1_001, rotate, fields={"largest": 64})[-2:] == ["one", "two"]


def test_a_truncation_without_a_copy_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "app.log"
    append(path, "one")
    assert steps(path, 2, lambda: path.write_text("another\n")) == ["one", "another"]
    assert "no copy beside it" in caplog.text


@pytest.mark.parametrize("compress", ["nocompress", "compress", "compress\ndelaycompress"])
def test_logrotate_that_copies_and_truncates(tmp_path: Path, compress: str) -> None:
    """Real logrotate with copytruncate, six times while 3,000 lines are written: all are read."""
    binary = program("logrotate", "apt-get install logrotate")
    path, many = tmp_path / "app.jsonl", 3_000
    append(path, '{"n": 0}')
    settings = tmp_path / "logrotate.conf"
    settings.write_text(f'"{path}" {{\ncopytruncate\nrotate 9\n{compress}\n}}\n')
    os.chmod(settings, 0o600)
    tmp_path.chmod(0o700)

    def write() -> None:
        for i in range(1, many):
            append(path, json.dumps({"n": i}))
            if i % 500 == 499:
                time.sleep(0.05)
                command = [binary, "--force", "--state", str(tmp_path / "state"), str(settings)]
                subprocess.run(command, check=True, timeout=30, capture_output=True)

    async def work() -> list[Batch]:
        writing = asyncio.create_task(asyncio.to_thread(write))
        batches = await collect(source(path), many, within=60)
        await writing
        return batches

    batches = asyncio.run(work())
    assert [row["n"] for row in rows(batches)] == list(range(many))


@pytest.mark.parametrize(("name", "mark"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_rows_are_read_by_the_mark_between_their_values(
    tmp_path: Path, name: str, mark: str
) -> None:
    """Semicolons and tabs too; codes such as 001 and 1E5 stay what they are."""
    path = tmp_path / name
    append(path, *(mark.join(row) for row in (["lot", "n"], ["001", "1"], ["1E5", "2"], ["", "3"])))
    batches = read(source(path), 3)
    assert [row["lot"] for row in rows(batches)] == ["001", "1E5", ""]
    assert [row["n"] for row in rows(batches)] == [1, 2, 3]


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(source(tmp_path), 1)


def test_a_monitor_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    append(path, *(json.dumps({"n": n}) for n in range(30_000)))
    settings = {"type": "file", "path": str(path), "every": 0.05}
    with Monitored(tmp_path, settings) as first:
        first.wait("n", 1)
        first.kill()
    with Monitored(tmp_path, settings) as second:
        append(path, *(json.dumps({"n": n}) for n in range(30_000, 30_100)))
        stored = second.wait("n", 30_100)
    assert stored == list(range(30_100))
