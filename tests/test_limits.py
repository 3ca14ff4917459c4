"""Files and batches that would become far larger than they are: refused, or read in parts."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.children import read_within
from support.commands import run
from support.growth import MOST, exponent
from tocsin.errors import InputError, ParameterError, UnreadableFile
from tocsin.pipeline import Pipeline, SeriesPipeline
from tocsin.readers.table import iter_table, read_table
from tocsin.sources._records import Fields, batch_of

ROOM = 400
"""Megabytes that reading may take, where the limits are small."""


def write_gzip(path: Path, begin: bytes, block: bytes, times: int) -> Path:
    with gzip.open(path, "wb") as file:
        file.write(begin)
        for _ in range(times):
            file.write(block)
    return path


def repeated(text: str, rows: int) -> pa.Array:
    """Return one long text in many rows, of which Parquet keeps one."""
    return pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(rows, dtype=np.int32)), pa.array([text])
    )


def _write_texts(path: Path, type_: pa.DataType, **how: object) -> None:
    """Write one long text 40,000 times; ``how``: by which encoding, of a dictionary by default."""
    table = pa.table({"a": pa.array([b"x" * 100_000] * 1_000).cast(type_)})
    how = {"compression": "zstd", "use_dictionary": not how, **how}
    with pq.ParquetWriter(path, table.schema, **how) as file:
        for _ in range(40):
            file.write_table(table)


def make(kind: str, folder: Path) -> Path:
    """Write a small file that would become 200 MB to 16 GB."""
    path = folder / f"large.{kind.partition(' ')[0]}"
    if kind == "csv.gz":
        return write_gzip(path, b"a,b\n", b"1,2\n" * 1_000_000, 50)
    if kind == "jsonl.gz":
        return write_gzip(path, b'{"a": "', b"x" * 4_000_000, 50)
    if kind == "npz":
        np.savez_compressed(path, X=np.zeros((25_000_000, 1)))
    elif kind == "parquet numbers":
        pq.write_table(pa.table({"a": pa.array(np.zeros(50_000_000))}), path)
    elif kind == "parquet texts":
        texts = repeated("x" * 100_000, 40_000)
        pq.write_table(pa.table({"a": texts}), path, store_schema=False)
    elif kind == "parquet lists":
        offsets = pa.array(np.arange(0, 40_001, 10, dtype=np.int32))
        lists = pa.ListArray.from_arrays(offsets, repeated("x" * 100_000, 40_000))
        pq.write_table(pa.table({"a": lists}), path, store_schema=False)
    elif kind == "parquet beginnings":
        _write_texts(path, pa.string(), column_encoding={"a": "DELTA_BYTE_ARRAY"})
    elif kind == "parquet widths":
        _write_texts(path, pa.binary(100_000))
    elif kind == "csv short rows":
        names, row = ",".join(f"c{i}" for i in range(5_000)), ",".join("1" * 5_000)
        path.write_text(f"{names}\n" + f"{row}\n" * 10 + "1\n" * 300_000)
    else:
        assert kind == "json own keys"
        path.write_text(json.dumps([{f"k{i}": 1, "n": i} for i in range(60_000)]))
    return path


KINDS = ("csv.gz", "jsonl.gz", "npz", "parquet numbers", "parquet texts", "parquet lists")
KINDS += ("parquet beginnings", "parquet widths")
KINDS += ("csv short rows", "json own keys")


@pytest.mark.parametrize("kind", KINDS)
def test_small_files_do_not_become_gigabytes(tmp_path: Path, kind: str) -> None:
    path = make(kind, tmp_path)
    what, why = read_within(path, ROOM)
    assert what == "refused"
    assert "200 times its size" in why or "of which each has few" in why
    if kind != "json own keys":
        assert read_within(path, ROOM, rows=50_000)[0] == "refused"


def test_score_refuses_them_too(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(200, 1))
    Pipeline("neighbours").fit(rows).save(tmp_path / "model")
    for kind in ("parquet numbers", "csv short rows"):
        done = run("score", tmp_path / "model", make(kind, tmp_path), code=2)
        assert "200 times its size" in done.stderr


def test_limits_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gzip(tmp_path / "plain.csv.gz", b"a,b\n", b"1,2\n3,5\n" * 1_000, 100)
    assert read_within(path, ROOM) == ["rows", "200000"]
    what, why = read_within(path, ROOM, TOCSIN_MOST_BYTES="500000")
    assert what == "refused"
    assert "500,000 bytes" in why
    what, why = read_within(path, ROOM, TOCSIN_MOST_COLUMNS="1")
    assert "2 columns, more than 1" in why
    monkeypatch.setenv("TOCSIN_MOST_COLUMNS", "many")
    with pytest.raises(ParameterError, match="whole number"):
        read_table(path)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "npy"])
def test_a_chunk_is_bounded_by_bytes(tmp_path: Path, ending: str) -> None:
    """Rows become long, or are wide, after many short ones: chunks of 50,000 hold fewer."""
    path = tmp_path / f"long.{ending}"
    short, long = 30_000, 300
    if ending == "csv":
        path.write_text("a,b\n" + "1,x\n" * short + ("2," + "y" * 20_000 + "\n") * long)
    elif ending == "jsonl":
        path.write_text('{"a":"x"}\n' * short + ('{"a":"' + "y" * 100_000 + '"}\n') * long)
    elif ending == "npy":
        long = 0
        np.save(path, np.ones((short, 100), dtype=np.float32))
    else:
        texts = pa.array(["y" * 100_000 + str(i) for i in range(long)])
        pq.write_table(pa.table({"a": texts, "b": np.arange(long)}), path, row_group_size=50)
        short = 0
    what, sizes = read_within(path, ROOM, rows=50_000)
    assert what == "rows", sizes
    found = [int(size) for size in sizes.split()]
    assert sum(found) == short + long
    assert len(found) > 1


def test_texts_read_as_dictionaries_are_those_that_were_written(tmp_path: Path) -> None:
    texts = ["y" * 20_000, None, "z"] * 1_000
    nested = [{"s": text, "l": [text, "w"]} for text in texts]
    table = pa.table({"a": pa.array(texts), "n": pa.array(nested), "i": np.arange(3_000)})
    pq.write_table(table, tmp_path / "texts.parquet", store_schema=False)
    frame = read_table(tmp_path / "texts.parquet")
    assert frame["a"].isna().sum() == 1_000
    assert frame["a"].dropna().tolist() == [text for text in texts if text]
    assert frame["n.s"].dropna().tolist() == [text for text in texts if text]
    assert [list(each) for each in frame["n.l"]] == [[text, "w"] for text in texts]
    assert frame["i"].tolist() == list(range(3_000))


def test_texts_that_share_their_beginnings_are_those_that_were_written(tmp_path: Path) -> None:
    texts = [f"https://shop.example/articles/{i // 7:06d}/reviews" for i in range(20_000)]
    table = pa.table({"a.b": texts, "c": [[text] for text in texts]})
    delta = dict.fromkeys(("a.b", "c.list.element"), "DELTA_BYTE_ARRAY")
    pq.write_table(table, tmp_path / "t.parquet", use_dictionary=False, column_encoding=delta)
    found = read_table(tmp_path / "t.parquet")
    assert found["a.b"].tolist() == texts


def test_names_are_limited_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_text(",".join(["a"] * 40_000) + "\n" + ",".join("1" * 40_000) + "\n")
    with pytest.raises(UnreadableFile, match='40,000 columns are called "a"'):
        read_table(path)
    path.write_text(",".join(f"a{i}" for i in range(100_001)) + "\n" + ",".join("1" * 100_001))
    with pytest.raises(UnreadableFile, match="100,001 columns, more than 100,000"):
        read_table(path)


def test_lines_inside_cells_are_no_short_rows(tmp_path: Path) -> None:
    names = ",".join(f"c{i}" for i in range(300))
    row = '"' + "\n" * 30_000 + '"' + ",1" * 299
    path = tmp_path / "notes.csv"
    path.write_text(f"{names}\n" + f"{row}\n" * 8)
    assert read_table(path).shape == (8, 300)


def test_records_with_keys_of_their_own_come_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps({"a": i, f"k{i}": 1}) for i in range(5_000)))
    with pytest.raises(UnreadableFile, match=r"5,000 records name 5,001 columns"):
        read_table(path)
    frames = list(iter_table(path, 5_000))
    assert [value for frame in frames for value in frame["a"]] == list(range(5_000))


def test_numbers_of_any_length_are_read(tmp_path: Path) -> None:
    for name in ("long.jsonl", "long.json"):
        path = tmp_path / name
        line = '{"a": ' + "7" * 5_000 + "}"
        path.write_text(f"{line}\n" + '{"a": 1}' if name == "long.jsonl" else f"[{line}, {line}]")
        assert read_table(path)["a"].iloc[0] == np.inf


def test_events_with_keys_of_their_own_leave_the_others_alone() -> None:
    good = [json.dumps({"time": i, "heat": i}).encode() for i in range(500)]
    own = [json.dumps({f"k{i}_{j}": j for j in range(2_000)}).encode() for i in range(100)]
    batch = batch_of(good + own, Fields())
    kinds = {rejection.kind for rejection in batch.rejected}
    assert batch.frame["heat"].dropna().tolist() == list(range(500))
    assert kinds == {"oversized"}
    assert len(batch) + len(batch.rejected) == 600
    assert batch.frame.shape[1] <= 10_000
    chosen = batch_of(good + own, Fields(columns=("heat",)))
    assert len(chosen) == 600
    assert list(chosen.frame) == ["heat"]


def test_requests_with_countless_samples_are_refused() -> None:
    from tocsin.sources._samples import request_of

    for message in (b"\x0a\x00" * 200_001, b"\x0a\x82\xb5\x18" + b"\x12\x00" * 200_001):
        with pytest.raises(InputError, match="more than 200,000 series, labels and samples"):
            request_of(message, 1, ("a",), ("instance",), 200_000)


def own_keys(tmp_path: Path, n: int) -> Path:
    path = tmp_path / f"own{n}.jsonl"
    if not path.exists():
        path.write_text("\n".join(json.dumps({f"k{i}_{j}": 1 for j in range(9)}) for i in range(n)))
    return path


def test_keys_of_their_own_take_time_in_proportion(tmp_path: Path) -> None:
    def work(n: int):
        def read() -> None:
            with pytest.raises(UnreadableFile):
                read_table(own_keys(tmp_path, n))

        return read

    assert exponent(work, [4_000, 8_000, 16_000]) <= MOST


def test_events_take_time_in_proportion() -> None:
    def work(n: int):
        raw = [json.dumps({f"k{i}_{j}": 1 for j in range(20)}).encode() for i in range(n)]
        return lambda: batch_of(raw, Fields())

    assert exponent(work, [2_000, 4_000, 8_000]) <= MOST


@pytest.mark.parametrize("detector", ["auto", "autoregression"])
def test_countless_channels_are_refused(detector: str) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2_500))
    with pytest.raises(InputError, match=r"2,500 channels.*at most 2,000"):
        SeriesPipeline(detector).fit(rows)
