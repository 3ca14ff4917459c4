"""A folder: each file once, what is half written or broken, and where reading goes on."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.collecting import read, rows, taken
from tocsin.errors import InputError
from tocsin.sources.folder import Folder


def source(path: Path, **settings: Any) -> Folder:
    return Folder(path=path, **{"every": 0.02, "settle": 0.0, **settings})


def put(path: Path, content: str | bytes, age: int = 10) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    at = 1_700_000_000 - age
    os.utime(path, (at, at))


def test_files_come_once_the_oldest_first(tmp_path: Path) -> None:
    put(tmp_path / "b.csv", "n\n1\n2\n", age=20)
    put(tmp_path / "a.jsonl", '{"n": 3}\n', age=10)
    first = read(source(tmp_path), 3)
    assert [row["n"] for row in rows(first)] == [1, 2, 3]
    put(tmp_path / "c.csv", "n\n4\n", age=5)
    assert rows(read(source(tmp_path), 1, first[-1].offset)) == [{"n": 4}]
    put(tmp_path / "b.csv", "n\n7\n8\n", age=1)
    changed = read(source(tmp_path), 3, first[-1].offset)
    assert [row["n"] for row in rows(changed)] == [4, 7, 8]


def test_a_large_file_goes_on_within(tmp_path: Path) -> None:
    pd.DataFrame({"n": range(12_000)}).to_parquet(tmp_path / "big.parquet")
    first = read(source(tmp_path), 1)
    rest = read(source(tmp_path), 7_000, first[-1].offset)
    assert [row["n"] for row in rows(first + rest)] == list(range(12_000))


def test_what_is_broken_is_refused_as_a_whole_and_stops_nothing(tmp_path: Path) -> None:
    put(tmp_path / "a.parquet", b"PAR1 no", age=60)
    put(tmp_path / "b.csv", "", age=50)
    put(tmp_path / "c.bin", b"\0\1\2", age=40)
    put(tmp_path / "d.jsonl", "{\n", age=30)
    put(tmp_path / "e.csv", "n\n5\n", age=20)
    batches = read(source(tmp_path), 5)
    assert rows(batches) == [{"n": 5}]
    refused = [rejection for batch in batches for rejection in batch.rejected]
    assert [Path(rejection.raw).name[0] for rejection in refused] == ["a", "b", "c", "d"]


def test_what_files_are_can_be_stated(tmp_path: Path) -> None:
    put(tmp_path / "a.csv", "n\n1\n", age=30)
    put(tmp_path / "b.smell", b"\0\1", age=20)
    paths = [{"path": str(tmp_path / name)} for name in ("a.csv", "b.smell")]
    assert rows(read(source(tmp_path, files="paths"), 2)) == paths
    put(tmp_path / "c.txt", "n\n2\n", age=10)
    assert rows(read(source(tmp_path, files="rows", pattern="[ac]*"), 2)) == [{"n": 1}, {"n": 2}]
    lines = rows(read(source(tmp_path, files="lines", pattern="*.csv"), 2))
    assert lines == [{"line": "n"}, {"line": "1"}]


def test_long_lines_are_read_in_portions(tmp_path: Path) -> None:
    """By their size as well as by their number, and read on from any of them."""
    put(tmp_path / "a.log", "".join(f"{i} {'x' * 900_000}\n" for i in range(60)))
    wide = source(tmp_path, fields={"largest": 1_000_000})
    batches = read(wide, 60)
    assert max(sum(map(len, batch.frame["line"])) for batch in batches) < 18e6
    rest = read(wide, 60 - len(batches[0]), batches[0].offset)
    found = [row["line"].split()[0] for row in rows([batches[0], *rest])]
    assert found == [str(i) for i in range(60)]


def test_a_binary_file_is_refused_with_the_setting_that_would_take_it(tmp_path: Path) -> None:
    put(tmp_path / "b.smell", b"\0\1")
    put(tmp_path / "c.csv", "n\n2\n", age=5)
    (refused,) = [each for batch in read(source(tmp_path), 1) for each in batch.rejected]
    assert "`files: paths`" in refused.reason


def test_pictures_are_paths_and_texts_are_lines(tmp_path: Path) -> None:
    put(tmp_path / "a.png", b"\x89PNG", age=20)
    put(tmp_path / "b.log", "one\ntwo\n", age=10)
    found = rows(read(source(tmp_path), 3))
    assert found == [{"path": str(tmp_path / "a.png")}, {"line": "one"}, {"line": "two"}]


def test_a_file_that_is_still_written_waits(tmp_path: Path) -> None:
    put(tmp_path / "old.csv", "n\n1\n")
    (tmp_path / "new.csv").write_text("n\n2\n")
    with pytest.raises(TimeoutError):
        read(source(tmp_path, settle=30), 2, within=0.6)
    assert taken(read(source(tmp_path, settle=0.2), 2)) == 2


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    put(tmp_path / "outside.csv", "n\n1\n", age=20)
    (home / "link.csv").symlink_to(tmp_path / "outside.csv")
    put(home / "inside.csv", "n\n2\n")
    assert rows(read(source(home), 1)) == [{"n": 2}]


def test_what_is_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        read(source(tmp_path / "none"), 1)


def test_a_file_that_no_reader_foresaw_is_refused_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tocsin.readers import table

    put(tmp_path / "a.csv", "n\n1\n", age=60)
    put(tmp_path / "b.csv", "n\n2\n", age=50)
    put(tmp_path / "c.csv", "n\n3\n", age=40)
    read_table = table.read_table
    faults = {"a.csv": MemoryError("no room"), "b.csv": RecursionError("too deep")}

    def failing(path: Path) -> pd.DataFrame:
        if path.name in faults:
            raise faults[path.name]
        return read_table(path)

    monkeypatch.setattr(table, "read_table", failing)
    batches = read(source(tmp_path), 3)
    assert rows(batches) == [{"n": 3}]
    reasons = [rejection.reason for batch in batches for rejection in batch.rejected]
    assert ["MemoryError" in reasons[0], "RecursionError" in reasons[1]] == [True, True]


def test_a_number_of_thousands_of_digits_refuses_its_file_alone(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl", '{"n": 1' + "0" * 5_000 + "}\n", age=60)
    put(tmp_path / "b.jsonl", '{"n": 3}\n', age=40)
    batches = read(source(tmp_path), 2)
    assert rows(batches)[-1] == {"n": 3}


def test_a_file_larger_than_allowed_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a.log", "x" * 2_000, age=60)
    put(tmp_path / "b.log", "fine\n", age=40)
    batches = read(source(tmp_path, largest=1_000), 2)
    assert [row["line"] for row in rows(batches)] == ["fine"]
    (refused,) = [rejection for batch in batches for rejection in batch.rejected]
    assert "2,000 bytes" in refused.reason


def test_a_long_text_comes_in_parts_and_goes_on_within(tmp_path: Path) -> None:
    put(tmp_path / "a.log", "".join(f"line {i}\n" for i in range(12_000)))
    first = read(source(tmp_path), 1)
    assert len(first[0]) == 5_000
    rest = read(source(tmp_path), 7_000, first[0].offset)
    lines = [row["line"] for row in rows([first[0], *rest])]
    assert lines == [f"line {i}" for i in range(12_000)]


def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    put(tmp_path / "a.log", "y" * 100_000 + "\nnext\n")
    batches = read(source(tmp_path, fields={"largest": 1_000}), 2)
    assert [len(row["line"]) for row in rows(batches)] == [1_000, 4]


def test_files_of_any_name_are_read_and_read_on(tmp_path: Path) -> None:
    """Names that are not UTF-8, hold control characters or are as long as a name may be."""
    from support.monitors import configured, process

    home = tmp_path / "in"
    home.mkdir()
    names = [
        b"\xff.csv",
        b"a\xe9.csv",
        b"a\nb.csv",
        b"\x1b]0;x.csv",
        b"x" * 251 + b".csv",
        b"[a]*?.csv",
    ]
    for i, name in enumerate(names):
        put(Path(os.fsdecode(os.fsencode(home) + b"/" + name)), f"a,b,c\n{i},2,3\n", age=100 - i)
    one = process(configured(tmp_path, "{type: host}"))
    for batch in read(source(home), len(names)):
        one.process(batch, None)
    found = [a for part in one.stores.events.read("m") for a in part.frame["a"]]
    assert found == list(range(len(names)))
    put(home / "z.csv", "a,b,c\n9,2,3\n", age=1)
    (again,) = read(source(home), 1, one.stores.events.offset("m"))
    assert rows([again]) == [{"a": 9, "b": 2, "c": 3}]
