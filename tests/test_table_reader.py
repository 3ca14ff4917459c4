"""Files of tables and labels: every format, every damage, each with a clear error."""

import gzip
import json
import warnings

import numpy as np
import pandas as pd
import pytest

from tocsin.errors import InputError, SchemaMismatch, TocsinError, UnreadableFile
from tocsin.readers.table import iter_table, read_labels, read_table, split_label

FRAME = pd.DataFrame({"watts": [3.5, 9.25, -1.0], "mode": ["idle", "busy", "idle"], "n": [1, 2, 3]})


def write(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".json":
        frame.to_json(path, orient="records")
    elif ".jsonl" in path.suffixes or path.suffix == ".ndjson":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


NAMES = [
    "a.csv",
    "a.tsv",
    "a.txt",
    "a.csv.gz",
    "a.parquet",
    "a.jsonl",
    "a.ndjson",
    "a.jsonl.gz",
    "a.json",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_same_table(tmp_path, name):
    path = write(FRAME, tmp_path / name)
    pd.testing.assert_frame_equal(read_table(path), FRAME, check_dtype=False)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_join_to_the_whole(tmp_path, name):
    frame = pd.concat([FRAME] * 40, ignore_index=True)
    path = write(frame, tmp_path / name)
    chunks = list(iter_table(path, chunk_rows=50))
    if name != "a.json":
        assert [len(chunk) for chunk in chunks] == [50, 50, 20]
    joined = pd.concat(chunks, ignore_index=True)
    pd.testing.assert_frame_equal(joined, frame, check_dtype=False)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_told_apart(tmp_path, separator):
    path = tmp_path / "a.csv"
    FRAME.to_csv(path, index=False, sep=separator)
    pd.testing.assert_frame_equal(read_table(path), FRAME, check_dtype=False)


def test_decimal_commas(tmp_path):
    path = tmp_path / "a.csv"
    FRAME.to_csv(path, index=False, sep=";", decimal=",")
    assert read_table(path)["watts"].tolist() == [3.5, 9.25, -1.0]
    path.write_text("watts\n3,5\n9,25\n")
    assert read_table(path)["watts"].tolist() == [3.5, 9.25]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"]
)
def test_encodings(tmp_path, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes("größe,ort\n1,Köln\n2,Île\n".encode(encoding))
    frame = read_table(path)
    assert frame.columns.tolist() == ["größe", "ort"]
    assert frame["ort"].tolist() == ["Köln", "Île"]


def test_late_latin_byte_is_found(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n" + b"1,x\n" * 50_000 + "2,Köln\n".encode("latin-1"))
    assert read_table(path)["b"].iloc[-1] == "Köln"


def test_numbers_in_the_first_row_are_data(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2.5\n3,4\n")
    assert read_table(path).to_dict("list") == {"x0": [1, 3], "x1": [2.5, 4.0]}


def test_repeated_names_become_unique(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,a,b\n1,2,3\n")
    assert read_table(path).columns.tolist() == ["a", "a.1", "b"]
    parquet = tmp_path / "a.parquet"
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), parquet)
    assert read_table(parquet).columns.tolist() == ["a", "a.1"]


def test_missing_tokens_and_short_quotes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,"x, y\nz"\nNA,\n')
    frame = read_table(path)
    assert frame["b"].iloc[0] == "x, y\nz"
    assert frame.isna().sum().tolist() == [1, 1]


def test_pandas_index_is_no_column(tmp_path):
    path = tmp_path / "a.parquet"
    FRAME.set_axis([7, 3, 5]).to_parquet(path)
    assert read_table(path).columns.tolist() == FRAME.columns.tolist()


def test_nested_json_is_flattened(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": {"b": 1, "c": 2}}\n\n{"a": {"b": 3}}\n')
    assert read_table(path).columns.tolist() == ["a.b", "a.c"]
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2], "b": [3, 4]}')
    assert read_table(path).shape == (2, 2)


def test_arrays_of_any_rank(tmp_path):
    poses = np.arange(24.0).reshape(4, 3, 2)
    np.save(tmp_path / "a.npy", poses)
    frame = read_table(tmp_path / "a.npy")
    assert frame.columns.tolist() == ["x0", "x1", "x2", "x3", "x4", "x5"]
    assert np.array_equal(frame.to_numpy(), poses.reshape(4, 6))
    chunks = list(iter_table(tmp_path / "a.npy", chunk_rows=3))
    assert [len(chunk) for chunk in chunks] == [3, 1]
    np.save(tmp_path / "one.npy", np.arange(3))
    assert read_table(tmp_path / "one.npy").shape == (3, 1)


def test_npz_holds_rows_and_labels(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, X=np.eye(3), y=np.array([0.0, 0.0, 1.0]))
    assert read_table(path).shape == (3, 3)
    assert read_labels(path).tolist() == [0, 0, 1]
    np.savez(path, X=np.eye(3))
    with pytest.raises(UnreadableFile, match='no array "y"'):
        read_labels(path)


DAMAGED = {
    "empty.csv": (b"", "empty"),
    "blank.csv": (b"\n\n  \n", "blank"),
    "header.csv": (b"a,b,c\n", "no rows"),
    "junk.csv": (bytes(range(256)) * 40, "binary"),
    "zip.csv": (b"PK\x03\x04" + b"junk" * 40, "spreadsheet"),
    "parquet.csv": (b"PAR1" + b"junk" * 40, "Parquet"),
    "long.csv": (b"a,b\n1,2\n3,4,5\n6,7\n", "record 3 has 3 fields"),
    "late.csv": (b"a,b\n" + b"1,2\n" * 30_000 + b"3,4,5\n", "Expected 2 fields in line 30002"),
    "short.csv": (b"a,b,c\n1,2,3\n4,5\n", "record 3 has 2 fields"),
    "colon.csv": (b"a:b:c\n1:2:3\n4:5:6\n", 'one column found; .* separated by ":"'),
    "spaces.csv": (b"a b c\n1 2 3\n4 5 6\n", 'one column found; .* separated by " "'),
    "cut.csv.gz": (gzip.compress(b"a,b\n" + b"1,2\n" * 5_000)[:-20], "damaged"),
    "text.csv.gz": (b"a,b\n1,2\n", "damaged"),
    "cut.parquet": (b"PAR1\x15\x04", "damaged"),
    "cut.jsonl": (b'{"a": 1}\n{"a": \n', "line 2 is not JSON"),
    "list.jsonl": (b"[1, 2]\n", "line 1 holds a list"),
    "lines.json": (b'{"a": 1}\n{"a": \n', "line 2 is not JSON"),
    "several.json": (b'{"a": [{"x": 1}, {"x": 2}], "b": [{"y": 1}, {"y": 2}]}', "several tables"),
    "scalar.json": (b"3", "not a list of records"),
    "uneven.json": (b'{"a": [1], "b": [1, 2]}', "differ in length"),
    "none.json": (b"[]", "no rows"),
    "junk.npy": (b"not numpy at all", "not a plain NumPy array"),
    "junk.npz": (b"PK\x03\x04junk", "damaged"),
    "book.xlsx": (b"PK\x03\x04", "not a format"),
    "plain": (b"a,b\n1,2\n", "not a format"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_say_what_is_wrong(tmp_path, name):
    content, message = DAMAGED[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    with pytest.raises(UnreadableFile, match=message):
        list(iter_table(path))


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").mkdir()
    with pytest.raises(UnreadableFile, match="folder"):
        read_table(tmp_path / "b.csv")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", [0x110000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_texts_of_numpy_are_unicode(tmp_path, order, code):
    """Their codes are numbers of 32 bits, of which nobody checks that they are characters."""
    texts = np.array(["café", "tea"] * 4).astype(f"{order}U4")
    path = tmp_path / "x.npy"
    np.save(path, texts)
    assert read_table(path).iloc[:, 0].tolist() == texts.tolist()
    texts.view(f"{order}u4")[3] = code
    np.save(path, texts)
    with pytest.raises(UnreadableFile, match="beyond Unicode"):
        read_table(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (3,",
        "  {'descr': '<f8',\n 'shape': (3,)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': ('3',), }",
        "{'descr': '<f8', 'fortran_order': 0, 'shape': (3,), }",
        "{'descr': 'what', 'fortran_order': False, 'shape': (3,), }",
        "{[]: 1}",
        "'",
        "3",
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_damaged_headers_of_numpy_files_are_refused(tmp_path, header, version):
    """Whatever NumPy raises for them."""
    text = header.encode()
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + size + text + bytes(24))
    with pytest.raises(UnreadableFile, match=r"a\.npy"):
        read_table(path)


def test_objects_and_truncation_in_numpy_files(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFile, match="Python objects are never loaded"):
        read_table(path)
    np.save(path, np.zeros((100, 3)))
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UnreadableFile):
        read_table(path)
    np.save(path, np.float64(3))
    with pytest.raises(UnreadableFile, match="single value"):
        read_table(path)
    np.save(path, np.zeros((0, 3)))
    with pytest.raises(UnreadableFile, match="no rows"):
        read_table(path)


def test_truncated_parquet(tmp_path):
    path = write(pd.concat([FRAME] * 100), tmp_path / "a.parquet")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableFile, match="damaged"):
        read_table(path)


@pytest.mark.parametrize(
    "name", ["a.csv", "a.parquet", "a.jsonl", "a.json", "a.npy", "a.npz", "a.csv.gz"]
)
def test_random_bytes_never_end_in_a_foreign_error(tmp_path, name):
    rng = np.random.default_rng(0)
    for size in (1, 7, 300, 5_000):
        (tmp_path / name).write_bytes(rng.bytes(size))
        try:
            read_table(tmp_path / name)
        except TocsinError as error:
            assert name in str(error)  # noqa: PT017


def test_size_limit_and_chunk_size(tmp_path):
    path = write(FRAME, tmp_path / "a.csv")
    with pytest.raises(UnreadableFile, match="more than 10"):
        read_table(path, max_bytes=10)
    with pytest.raises(InputError, match="at least 1 row"):
        iter_table(path, chunk_rows=0)


def test_reading_leaves_the_warning_filters_alone(tmp_path):
    path = write(pd.concat([FRAME] * 10), tmp_path / "a.csv")
    before = list(warnings.filters)
    for _ in iter_table(path, chunk_rows=5):
        assert warnings.filters == before


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 1], [0, 1, 1]),
        ([1.0, 0.0, 0.0], [1, 0, 0]),
        ([True, False, False], [1, 0, 0]),
        (["Normal", "anomaly", "normal"], [0, 1, 0]),
        (["good", "BAD", "good"], [0, 1, 0]),
        (["yes", "no", "no"], [1, 0, 0]),
        (["normal", "ddos", "ddos"], [0, 1, 1]),
        (["routine", "fraud", "routine"], [0, 1, 0]),
        ([1, -1, 1], [0, 1, 0]),
        ([0, 0, 0], [0, 0, 0]),
        (["1", "0", "1"], [1, 0, 1]),
    ],
)
def test_label_words(values, expected):
    frame = pd.DataFrame({"x": range(3), "label": values})
    rest, labels = split_label(frame, "label")
    assert labels.tolist() == expected
    assert labels.dtype == np.int64
    assert rest.columns.tolist() == ["x"]
    assert "label" in frame


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 1, 2], '3 value.*"0", "1", "2"'),
        (["a", "b", "a"], '2 value.*"a", "b"'),
        ([2, 1, 1], "0 and 1"),
        (["normal", "benign", "ok"], "3 value"),
        ([0, None, 1], "1 missing values in 3 rows"),
        ([7, 7, 7], '1 value.*"7"'),
    ],
)
def test_labels_that_are_not_clear(values, message):
    with pytest.raises(InputError, match=message):
        split_label(pd.DataFrame({"x": range(3), "label": values}), "label")


def test_missing_label_column_names_near_ones():
    with pytest.raises(SchemaMismatch, match=r"mean label\? Columns: x, label"):
        split_label(pd.DataFrame({"x": [1], "label": [0]}), "lable")


def test_label_files(tmp_path):
    np.save(tmp_path / "labels.npy", np.array([[0], [1]], dtype=np.uint8))
    assert read_labels(tmp_path / "labels.npy").tolist() == [0, 1]
    (tmp_path / "labels.csv").write_text("0\n1\n1\n")
    assert read_labels(tmp_path / "labels.csv").tolist() == [0, 1, 1]
    (tmp_path / "words.csv").write_text("state\nok\ndefect\n")
    assert read_labels(tmp_path / "words.csv").tolist() == [0, 1]
    (tmp_path / "wide.csv").write_text("a,b\n0,1\n")
    with pytest.raises(UnreadableFile, match="2 columns"):
        read_labels(tmp_path / "wide.csv")
    np.save(tmp_path / "labels.npy", np.zeros((2, 2)))
    with pytest.raises(UnreadableFile, match="shape"):
        read_labels(tmp_path / "labels.npy")


def test_json_lines_stream_without_reading_ahead(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"a": i}) + "\n" for i in range(10)) + "broken\n")
    chunks = iter_table(path, chunk_rows=4)
    assert next(chunks)["a"].tolist() == [0, 1, 2, 3]
    assert len(next(chunks)) == 4
    with pytest.raises(UnreadableFile, match="line 11"):
        next(chunks)


def test_numbers_as_column_names_are_no_row(tmp_path):
    path = tmp_path / "table.csv"
    pd.DataFrame([[1.5, 2.5, 3.5]] * 4).to_csv(path, index=False)
    assert read_table(path).columns.tolist() == ["0", "1", "2"]
    assert len(read_table(path)) == 4
