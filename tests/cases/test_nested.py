"""Tables inside JSON and cells of more than one value: the rows and columns that a person sees."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tocsin
from tocsin.errors import UnreadableFile
from tocsin.pipeline import Pipeline
from tocsin.prepare.tables import TablePreparer
from tocsin.readers.table import iter_table, read_table

N, PLANTED = 120, 70


def records(seed=0):
    rng = np.random.default_rng(seed)
    found = [{"v": round(float(v), 3), "zone": "ab"[int(v * 100) % 2]} for v in rng.normal(5, 1, N)]
    found[PLANTED]["v"] = 60.5
    return found


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


CONTAINERS = {
    "one list": lambda rows: {"Records": rows},
    "with settings beside it": lambda rows: {"ttl": 60, "version": "2.3", "data": {"rows": rows}},
    "in a list of one": lambda rows: {"logs": [{"source": "x", "parts": [{"records": rows}]}]},
    "beside tags": lambda rows: {
        "resource": {"tags": [{"key": "a", "value": 1}, {"key": "b", "value": 2}]},
        "points": rows,
    },
    "columns": lambda rows: {name: [row[name] for row in rows] for name in rows[0]},
    "columns inside": lambda rows: {
        "place": {"lat": 52.5},
        "hourly": {name: [row[name] for row in rows] for name in rows[0]},
    },
    "names and rows": lambda rows: {
        "columns": list(rows[0]),
        "index": list(range(N)),
        "data": [list(row.values()) for row in rows],
    },
    "series of a database": lambda rows: {
        "results": [
            {"series": [{"columns": list(rows[0]), "values": [list(x.values()) for x in rows]}]}
        ]
    },
    "names first": lambda rows: [list(rows[0]), *(list(row.values()) for row in rows)],
    "features": lambda rows: {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "geometry": None, "properties": row} for row in rows],
    },
}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("indent", [None, 2])
def test_the_table_inside_json(tmp_path, name, indent):
    """Containers by their one list, columns, or names and rows: row 70 is row 70."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps(CONTAINERS[name](records()), indent=indent))
    found = read_table(path).rename(columns=lambda column: column.removeprefix("properties."))
    pd.testing.assert_frame_equal(found[["v", "zone"]], pd.DataFrame(records()))
    if name not in ("columns", "names and rows", "names first"):
        assert any("rows are those of" in note for note in found.attrs["notes"])
    assert tocsin.detect(path).anomalies[0] == PLANTED


def test_several_tables_are_refused_with_their_names(tmp_path):
    """Which list is meant is for the person to say."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"pumps": records(), "site": {"valves": records()}}))
    with pytest.raises(UnreadableFile, match=r'"pumps" \(120 rows\), "site.valves"'):
        read_table(path)


def test_geojson_by_its_ending(tmp_path):
    """Points of a map: coordinates and properties are columns."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [13.4 + i / 1000, 52.5]},
            "properties": row,
        }
        for i, row in enumerate(records())
    ]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    names = read_table(path).columns.tolist()
    assert {"geometry.coordinates_0", "geometry.coordinates_1", "properties.v"} <= set(names)
    assert tocsin.detect(path).anomalies[0] == PLANTED


@pytest.mark.parametrize("blank", ["", "\n"])
def test_json_that_holds_one_object_per_line(tmp_path, blank):
    """eve.json and the like: read as .jsonl is, in chunks too."""
    path = tmp_path / "a.json"
    path.write_text(blank + lines(records()) + blank)
    expected = pd.DataFrame(records())
    pd.testing.assert_frame_equal(read_table(path), expected)
    chunks = list(iter_table(path, 50))
    assert [len(chunk) for chunk in chunks] == [50, 50, 20]
    pd.testing.assert_frame_equal(pd.concat(chunks, ignore_index=True), expected)
    assert tocsin.detect(path).anomalies[0] == PLANTED


def test_lines_that_are_containers(tmp_path):
    """A request per line, each with its records: all of them, in order."""
    rows = records()
    parts = [{"groups": [{"records": rows[i : i + 8]}]} for i in range(0, N, 8)]
    path = tmp_path / "a.jsonl"
    path.write_text(lines(parts))
    pd.testing.assert_frame_equal(read_table(path), pd.DataFrame(rows))


def test_keys_that_most_lines_lack(tmp_path):
    """A column is missing, not absent, where a chunk has none of it: same scores for all cuts."""
    rows = [row | ({"peak": float(i)} if i % 40 == 7 else {}) for i, row in enumerate(records())]
    path = tmp_path / "a.jsonl"
    path.write_text(lines(rows))
    pipeline = Pipeline("ecod").fit(read_table(path))
    whole = pipeline.score(read_table(path)).values
    for rows_per_chunk in (1, 9, 50):
        parts = iter_table(path, rows_per_chunk, known=pipeline.preparer_.known)
        found = np.concatenate([pipeline.score(part).values for part in parts])
        np.testing.assert_allclose(found, whole)


@pytest.mark.parametrize("kind", ["map", "pairs", "object"])
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_maps_are_columns(tmp_path, kind, ending):
    """Tags as a map, a list of keys with values, or an object: a column per key."""
    rows = records()
    tags = [{"load": row["v"], "depth": i % 5 + 0.0} for i, row in enumerate(rows)]
    pairs = [[{"key": key, "value": value} for key, value in tag.items()] for tag in tags]
    path = tmp_path / f"a.{ending}"
    if ending == "jsonl":
        held = tags if kind == "object" else pairs
        path.write_text(lines({"zone": rows[i]["zone"], "tags": held[i]} for i in range(N)))
    else:
        typed = {
            "map": pa.array([list(tag.items()) for tag in tags], pa.map_("string", "double")),
            "pairs": pa.array(pairs),
            "object": pa.array(tags),
        }
        zones = pa.array([row["zone"] for row in rows])
        pq.write_table(pa.table({"zone": zones, "tags": typed[kind]}), path)
    found = read_table(path)
    assert found.columns.tolist() == ["zone", "tags.load", "tags.depth"]
    assert found["tags.load"].tolist() == [row["v"] for row in rows]
    assert tocsin.detect(path).anomalies[0] == PLANTED


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_times_that_are_objects_deep_inside(tmp_path, ending):
    """header.stamp of seconds and nanoseconds is one time, in Parquet as in JSON."""
    rows = [
        {"header": {"stamp": {"sec": 1_767_355_200 + i, "nanosec": 250_000_000}}, "v": row["v"]}
        for i, row in enumerate(records())
    ]
    path = tmp_path / f"a.{ending}"
    if ending == "jsonl":
        path.write_text(lines(rows))
    else:
        pd.DataFrame(rows).to_parquet(path)
    found = read_table(path)
    assert found.columns.tolist() == ["header.stamp", "v"]
    assert found["header.stamp"][1] == "2026-01-02T12:00:01.250000000"


def test_elements_with_attributes(tmp_path):
    """XML turned to JSON: a number, or an object with #text, is one column."""
    rows = [
        {"id": 7036 if i % 3 else {"#attributes": {"q": 16384}, "#text": 7036}, "v": row["v"]}
        for i, row in enumerate(records())
    ]
    path = tmp_path / "a.jsonl"
    path.write_text(lines(rows))
    found = read_table(path)
    assert found["id"].tolist() == [7036] * N
    assert tocsin.detect(path).anomalies[0] == PLANTED


def test_objects_that_are_null_in_some_rows(tmp_path):
    """A position that is null now and then: its parts are missing, it is no column itself."""
    rows = [{"v": i, "gps": None if i % 4 else {"lat": 52.0 + i}} for i in range(20)]
    (tmp_path / "a.jsonl").write_text(lines(rows))
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    expected = read_table(tmp_path / "a.jsonl")
    assert expected.columns.tolist() == ["v", "gps.lat"]
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), expected)


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_half_a_surrogate_pair_is_read(tmp_path, ending):
    """A text cut in the middle of an emoji: replaced and counted; whole pairs stay."""
    rows = [row | {"zone": "b"} for row in records()]
    text = lines(rows) if ending == "jsonl" else json.dumps(rows)
    path = tmp_path / f"a.{ending}"
    path.write_text(text.replace('"b"', '"\\ud83d"', 1).replace('"b"', '"\\ud83d\\ude00"', 1))
    found = read_table(path)
    assert found["zone"].tolist()[:3] == ["\ufffd", "😀", "b"]
    assert "1 half surrogate pair " in "".join(found.attrs["notes"])
    assert "surrogate" in "".join(TablePreparer().fit(found).notes_)
    assert found["v"].tolist() == [row["v"] for row in rows]


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("far", ["9999-12-31", "2300-01-01", "1600-01-01"])
def test_open_ends_of_parquet(tmp_path, old, far):
    """INT96 and microseconds alike: a day beyond nanoseconds is itself, never 1816."""
    times = pd.date_range("2026-01-02", periods=N, freq="h").to_numpy().astype("datetime64[us]")
    ends = np.where(np.arange(N) % 10, times, np.datetime64(far, "us"))
    table = pa.table({"v": [row["v"] for row in records()], "end": ends})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, use_deprecated_int96_timestamps=old)
    found = read_table(path)
    assert found["end"].to_numpy().astype("datetime64[us]").tolist() == ends.tolist()
    preparer = TablePreparer().fit(found)
    assert preparer.kinds_ == ["numeric", "date"]
    assert tocsin.detect(path, modality="tables").anomalies[0] == PLANTED


def test_objects_among_the_cells_of_a_series_are_texts():
    """Whatever stands in a cell, a column of it is no channel of numbers."""
    times = pd.date_range("2026-01-01", periods=40, freq="min")
    cells = [{"a": 1}, [1, {"b": 2}], "x", 3.5] * 10
    frame = pd.DataFrame({"time": times, "watts": [1.0, 2.0] * 20, "odd": cells})
    pipeline = tocsin.SeriesPipeline("seasonal").fit(frame)
    assert pipeline.columns == ["watts"]
    assert any('column "odd" dropped: text, not numbers' in note for note in pipeline.notes_)


def test_bytes_that_are_no_text_are_a_column_of_texts(tmp_path):
    """As databases keep hashes and addresses; no column of times."""
    path = tmp_path / "a.parquet"
    keys = [bytes([255, i % 3, 0]) for i in range(N)]
    pq.write_table(pa.table({"v": [row["v"] for row in records()], "key": keys}), path)
    frame = read_table(path)
    assert Pipeline("neighbours").fit(frame).detect(frame).scores.values.argmax() == PLANTED
