"""What stands above the rows, and cells of more than one value: columns as a person sees them."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

import tocsin
from support.commands import invoke
from tocsin.errors import UnreadableFile
from tocsin.pipeline import Pipeline
from tocsin.prepare.series import SeriesPreparer
from tocsin.prepare.tables import TablePreparer
from tocsin.readers.table import iter_table, read_table

N = 120
PLANTED = 70


def rows(separator=",", decimal=".", names=True, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(5, 1, N).round(2), "b": rng.normal(50, 4, N).round(1)})
    frame.loc[PLANTED] = 98.5, 3.5
    return frame, frame.to_csv(index=False, sep=separator, decimal=decimal, header=names)


ABOVE = {
    "Excel's separator": ("sep={s}\n", True),
    "the same, quoted": ('"sep={s}"\n', True),
    "one comment": ("# exported 2024-01-01 by the historian\n", True),
    "comments": ("# exported 2024-01-01\n#\n# by the historian, plant 7\n\n", True),
    "names in a comment": ("# plant 7\n# a{s}b\n", False),
    "names in a comment, no blank": ("#a{s}b\n", False),
    "a title": ("Report of plant 7\n", True),
    "titles and blank lines": ("Report of plant 7\nfrom 1 to 31 January\n\n", True),
    "separator and comments": ("sep={s}\n# exported\n", True),
}


@pytest.mark.parametrize("name", ABOVE)
@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", ","), ("\t", ".")])
def test_lines_above_the_names(tmp_path, name, separator, decimal):
    """sep=, # comments and titles: the names are a and b, and row 70 is row 70."""
    above, names = ABOVE[name]
    frame, text = rows(separator, decimal, names)
    path = tmp_path / "a.csv"
    path.write_text(above.format(s=separator) + text)
    pd.testing.assert_frame_equal(read_table(path), frame)
    chunks = pd.concat(iter_table(path, 7), ignore_index=True)
    pd.testing.assert_frame_equal(chunks, frame)
    assert tocsin.detect(path).anomalies[0] == PLANTED


@pytest.mark.parametrize("units", ["V,°C", "[V],[degC]", '"V","%"', "Volts,Deg C", ",kWh"])
@pytest.mark.parametrize("title", ["", "Report of plant 7\n", "# exported\n"])
def test_a_line_of_units_under_the_names(tmp_path, units, title):
    """Units are no row: numbers stay numbers, and the note shows the line."""
    frame, text = rows()
    names, body = text.split("\n", 1)
    path = tmp_path / "a.csv"
    path.write_text(f"{title}{names}\n{units}\n{body}")
    found = read_table(path)
    pd.testing.assert_frame_equal(found, frame)
    preparer = TablePreparer().fit(found)
    assert "under the names" in "".join(preparer.notes_)
    assert tocsin.detect(path).anomalies[0] == PLANTED


def test_a_logger_with_four_lines_of_names(tmp_path):
    """Campbell's TOA5: the second line names the columns."""
    times = pd.date_range("2024-01-01", periods=N, freq="10min")
    head = '"TOA5","CR1000","1","OS","CPU","7","T1"\n"TIMESTAMP","RECORD","Batt"\n'
    head += '"TS","RN","Volts"\n"","","Min"\n'
    body = "".join(f'"{time}",{i},{12 + i % 7 / 10}\n' for i, time in enumerate(times))
    path = tmp_path / "a.csv"
    path.write_text(head + body)
    frame = read_table(path)
    assert frame.columns.tolist() == ["TIMESTAMP", "RECORD", "Batt"]
    assert len(frame) == N
    preparer = SeriesPreparer()
    preparer.fit_transform(frame)
    assert preparer.time_ == "TIMESTAMP"
    assert preparer.step_ == 600


def test_headers_of_zeek_and_of_web_servers(tmp_path):
    """#fields and #Fields: hold the names; a last # line is no row; - is missing."""
    zeek = "#separator \\x09\n#fields\tts\tuid\tbytes\n#types\ttime\tstring\tcount\n"
    zeek += "".join(
        f"{1.7e9 + i:.6f}\tC{i}\t{'-' if i % 9 == 0 else 100 + i * 7 % 31}\n" for i in range(N)
    )
    path = tmp_path / "conn.tsv"
    path.write_text(zeek + "#close\t2024-01-01-00-00-00\n")
    frame = read_table(path)
    assert frame.columns.tolist() == ["ts", "uid", "bytes"]
    assert len(frame) == N
    assert TablePreparer().fit(frame).kinds_[2] == "numeric"
    web = "#Software: x\n#Fields: date time s-ip sc-status\n"
    web += "".join(f"2024-01-01 00:00:{i % 60:02d} 10.0.0.1 200\n" for i in range(N))
    path = tmp_path / "web.csv"
    path.write_text(web)
    assert read_table(path).columns.tolist() == ["date", "time", "s-ip", "sc-status"]


@pytest.mark.parametrize(
    "text",
    [
        "name,state\nx,Bad\ny,ok\nz,ok\nu,ok\nv,ok\n",
        "a,b\n1,Bad\n2,3\n4,5\n6,7\n8,9\n",
        "#,a\n1,5.5\n2,6.5\n3,7.5\n",
        "id,x\n#1,5\n#2,6\n#3,7\n",
        "a,b,c\n1,,\n2,,\n3,,\n4,,\n",
    ],
)
def test_first_rows_that_are_data_stay(tmp_path, text):
    """A word among numbers, names with #, empty columns: nothing is left out."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert len(read_table(path)) == text.count("\n") - 1


def test_uneven_records_are_refused_with_their_number(tmp_path):
    """A record that is too long in the middle of a file is no title."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,4,5\n6,7\n")
    with pytest.raises(UnreadableFile, match="record 3 has 3 fields"):
        read_table(path)


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "json"])
def test_lists_of_one_length_are_columns(tmp_path, ending):
    """Embeddings: emb_0 to emb_7, and the far one is first."""
    rng = np.random.default_rng(0)
    lists = rng.normal(size=(N, 8)).round(4)
    lists[PLANTED] += 9
    frame = pd.DataFrame({"id": [f"x{i}" for i in range(N)], "emb": list(map(list, lists))})
    path = tmp_path / f"a.{ending}"
    if ending == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=ending == "jsonl")
    found = read_table(path)
    assert found.columns.tolist() == ["id", *(f"emb_{i}" for i in range(8))]
    assert np.array_equal(found.iloc[:, 1:], lists)
    assert tocsin.detect(path).anomalies[0] == PLANTED
    pipeline = Pipeline("neighbours").fit(found)
    parts = [
        pipeline.score(part).values for part in iter_table(path, 7, known=pipeline.preparer_.known)
    ]
    np.testing.assert_allclose(np.concatenate(parts), pipeline.score(found).values)


def test_lists_of_other_lengths_are_named_as_such(tmp_path):
    """Lists that are no columns: the note says what they are."""
    path = tmp_path / "a.jsonl"
    records = [{"v": i * i % 7, "tags": ["x"] * (i % 3)} for i in range(30)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    preparer = TablePreparer().fit(read_table(path))
    assert any("lists of different lengths" in note for note in preparer.notes_)


def test_structs_of_parquet_are_columns_as_objects_of_json_are(tmp_path):
    """gps.lat and gps.lon, from Parquet and from JSON lines."""
    records = [{"v": i, "gps": {"lat": 52.0 + i, "lon": {"deg": 13.0}}} for i in range(20)]
    frame = pd.DataFrame(records)
    frame.to_parquet(tmp_path / "a.parquet")
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "a.jsonl").write_text(lines)
    expected = read_table(tmp_path / "a.jsonl")
    assert expected.columns.tolist() == ["v", "gps.lat", "gps.lon.deg"]
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), expected)


@pytest.mark.parametrize("name", ["conn.log", "conn.log.gz", "conn.tsv"])
def test_a_log_that_is_a_table(tmp_path, name):
    """Zeek's conn.log: columns by its #fields, whatever the ending."""
    text = "#separator \\x09\n#path\tconn\n#fields\tts\tproto\tbytes\n"
    for i in range(N):
        size = 90_000_000 if i == PLANTED else "-" if i % 9 == 0 else 100 + i * 7 % 31
        text += f"{1.7e9 + 60 * i:.6f}\t{'tcp' if i % 3 else 'udp'}\t{size}\n"
    path = tmp_path / name
    with gzip.open(path, "wt") if name.endswith("gz") else path.open("w") as file:
        file.write(text)
    assert len(read_table(path)) == N
    (found,) = json.loads(invoke("detect", path, "--json").output)["anomalies"]
    assert found["row"] == PLANTED


HEADLESS = {
    "times": lambda i, v: f"2024-01-01 {i // 60:02d}:{i % 60:02d}:00,{v},7",
    "days": lambda i, v: f"{1 + i % 28:02d}.{1 + i // 28:02d}.2024,{v},ok",
    "words": lambda i, v: f"{'north' if i % 3 else 'south'},{v},{i % 7}",
    "a constant word": lambda i, v: f"SENSOR,{v},1.0,{i % 7}",
}


@pytest.mark.parametrize("name", HEADLESS)
def test_a_first_row_of_values_is_a_row(tmp_path, name):
    """Files without names: no row is lost to them, and the note says so."""
    frame, _ = rows()
    path = tmp_path / "a.csv"
    path.write_text("".join(HEADLESS[name](i, v) + "\n" for i, v in enumerate(frame["a"])))
    found = read_table(path)
    assert len(found) == N
    assert found["x1"].tolist() == frame["a"].tolist()
    assert "not names" in "".join(found.attrs["notes"])
    pd.testing.assert_frame_equal(pd.concat(iter_table(path, 7), ignore_index=True), found)
    assert tocsin.detect(path, modality="tables").anomalies[0] == PLANTED


@pytest.mark.parametrize(
    "names",
    ["region,2019,2020", "sample,400.5,401.0", "id,1,2", "region,2024-01-01,2024-02-01", "a,b,c"],
)
def test_names_that_look_like_values_stay_names(tmp_path, names):
    """Years, wavelengths and days above numbers are names."""
    path = tmp_path / "a.csv"
    path.write_text(f"{names}\n" + "".join(f"r{i % 9},{i}.5,{i % 4}\n" for i in range(30)))
    assert ",".join(read_table(path).columns) == names


@pytest.mark.parametrize(
    "line", ["weather,station=st{i} temp=20.{i},ok=t 17673552{i}0", "level=info,count={i},x=1"]
)
def test_fields_that_are_pairs_are_refused(tmp_path, line):
    """key=value in every field: no row of values becomes the names."""
    path = tmp_path / "a.csv"
    path.write_text("".join(line.format(i=10 + i) + "\n" for i in range(30)))
    with pytest.raises(UnreadableFile, match="pairs such as"):
        read_table(path)


TEXTS = ["the pump, the valve; both fine", "checked", 'the "old" one, again', "a; b", "all well"]


@pytest.mark.parametrize("quoted", [True, False])
def test_one_column_of_texts(tmp_path, quoted):
    """Commas and semicolons in texts separate nothing where the names are one."""
    texts = [f"{TEXTS[i % 5]} {'on' if i % 2 else 'off'}" for i in range(N)]
    path = tmp_path / "a.csv"
    cells = [f'"{text}"'.replace('old"', 'old""').replace('"old', '""old') for text in texts]
    path.write_text("remark\n" + "".join(f"{x}\n" for x in (cells if quoted else texts)))
    assert read_table(path)["remark"].tolist() == texts
    chunks = pd.concat(iter_table(path, 7), ignore_index=True)
    assert chunks["remark"].tolist() == texts


@pytest.mark.parametrize(
    "text", ["Report\na,b,c\n1,2,3\n4,5\n", "x\n1,2\n3,4,5\n", "x\na;b\nc;d\n"]
)
def test_fields_below_one_name_are_refused(tmp_path, text):
    """Rows of several fields are no texts."""
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(UnreadableFile, match="fields where the first has 1"):
        read_table(path)
