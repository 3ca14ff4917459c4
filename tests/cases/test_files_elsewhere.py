"""More tables as programs write them: JSON in other shapes, blanks between fields, joined files."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from tocsin.errors import UnreadableFile
from tocsin.pipeline import Pipeline
from tocsin.readers.table import iter_table, read_table

N, PLANTED = 120, 70
VALUES = np.random.default_rng(5).normal(5, 1, N).round(3)
VALUES[PLANTED] = 60.5
ROWS = [{"v": float(x), "zone": "ab"[i % 2]} for i, x in enumerate(VALUES)]
TIMES = pd.date_range("2026-01-02 12:00", periods=N, freq="min", tz="UTC")

SHAPES = {  # the ending, the content, and the columns
    "by row": ("json", json.dumps({str(i): row for i, row in enumerate(ROWS)}), ["v", "zone"]),
    "by column": (
        "json",
        json.dumps({k: {str(i): row[k] for i, row in enumerate(ROWS)} for k in ROWS[0]}),
        ["v", "zone"],
    ),
    "by name": (
        "json",
        json.dumps({f"pump {i}": row for i, row in enumerate(ROWS)}),
        ["key", "v", "zone"],
    ),
    "by time, inside": (
        "json",
        json.dumps({"ok": True, "data": {str(t): r for t, r in zip(TIMES, ROWS, strict=True)}}),
        ["key", "v", "zone"],
    ),
    "objects of several lines": (
        "json",
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        ["v", "zone"],
    ),
    "objects of several lines in .jsonl": (
        "jsonl",
        "\n".join(json.dumps(row, indent=2) for row in ROWS),
        ["v", "zone"],
    ),
    "objects without a line end": ("json", "".join(map(json.dumps, ROWS)), ["v", "zone"]),
    "lines that end with commas": ("jsonl", ",\n".join(map(json.dumps, ROWS)), ["v", "zone"]),
    "a text sequence": (
        "json",
        "".join(f"\x1e{json.dumps(row)}\n" for row in ROWS),
        ["v", "zone"],
    ),
    "a list in .jsonl": ("jsonl", json.dumps(ROWS), ["v", "zone"]),
    "lists of values": (
        "jsonl",
        "\n".join(json.dumps(list(row.values())) for row in ROWS),
        ["x0", "x1"],
    ),
    "lists below names": (
        "jsonl",
        "\n".join(map(json.dumps, [list(ROWS[0]), *(list(row.values()) for row in ROWS)])),
        ["v", "zone"],
    ),
    "points of one series": (
        "json",
        json.dumps(
            {
                "status": "success",
                "data": {
                    "result": [
                        {
                            "metric": {"job": "web"},
                            "values": [[1767355200 + 60 * i, str(x)] for i, x in enumerate(VALUES)],
                        }
                    ]
                },
            }
        ),
        ["metric.job", "time", "value"],
    ),
    "points with the time behind": (
        "json",
        json.dumps(
            [
                {
                    "target": "cpu",
                    "datapoints": [[x, 1767355200000 + i] for i, x in enumerate(VALUES.tolist())],
                }
            ]
        ),
        ["target", "time", "value"],
    ),
    "devices with readings": (
        "json",
        json.dumps(
            {"devices": [{"id": k, "readings": ROWS[60 * k : 60 * k + 60]} for k in range(2)]}
        ),
        ["id", "v", "zone"],
    ),
    "fields set apart by blanks": (
        "dat",
        "      v  zone\n" + "".join(f"{row['v']:7.3f}     {row['zone']}\n" for row in ROWS),
        ["v", "zone"],
    ),
    "names of rows without a name": (
        "txt",
        '"v" "zone"\n'
        + "".join(f'"{i}" {row["v"]} "{row["zone"]}"\n' for i, row in enumerate(ROWS)),
        ["row", "v", "zone"],
    ),
    "names of rows without a name, commas": (
        "csv",
        "v,zone\n" + "".join(f"{i},{row['v']},{row['zone']}\n" for i, row in enumerate(ROWS)),
        ["row", "v", "zone"],
    ),
    "a rule below the names": (
        "csv",
        "v,zone\n------,----\n" + "".join(f"{row['v']},{row['zone']}\n" for row in ROWS),
        ["v", "zone"],
    ),
}


def save(tmp_path, ending, content):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_tables_in_other_shapes(tmp_path, shape):
    """By row, by column, by name, one after another, in groups, by blanks: row 70 is row 70."""
    ending, content, columns = SHAPES[shape]
    path = save(tmp_path, ending, content)
    table = read_table(path)
    assert table.columns.tolist() == columns
    name = next(name for name in ("v", "value", "x0") if name in columns)
    assert np.array_equal(table[name].astype(float), VALUES)
    parts = list(iter_table(path, 50))
    assert np.array_equal(pd.concat(parts)[name].astype(float), VALUES)
    detection = Pipeline("neighbours").fit_detect(table)
    assert detection.scores.values.argmax() == PLANTED


def telemetry(groups, scopes=1):
    """Return a request of log records, dealt to groups and to scopes in these."""
    records = [
        {"timeUnixNano": str(t.value), "severityText": "INFO", "size": row["v"]}
        for t, row in zip(TIMES, ROWS, strict=True)
    ]
    parts = [[records[i::groups][j::scopes] for j in range(scopes)] for i in range(groups)]
    return {
        "resourceLogs": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": f"s{i}"}}]
                },
                "scopeLogs": [
                    {"scope": {"name": f"c{j}"}, "logRecords": p} for j, p in enumerate(part)
                ],
            }
            for i, part in enumerate(parts)
        ]
    }


@pytest.mark.parametrize(("groups", "scopes"), [(1, 1), (2, 1), (1, 3), (3, 2)])
def test_groups_of_one_request(tmp_path, groups, scopes):
    """Several services and scopes in one request: all records, each with its service."""
    table = read_table(save(tmp_path, "json", json.dumps(telemetry(groups, scopes))))
    assert sorted(table["size"]) == sorted(VALUES)
    assert table["scope.name"].nunique() == scopes
    service = table["resource.attributes.service.name.stringValue"]
    assert service.nunique() == groups
    assert service[table["size"] == 60.5].item() == f"s{PLANTED % groups}"


def test_metrics_of_several_kinds(tmp_path):
    """A gauge and a sum of one scope: all points, each with the name of its metric."""
    points = [
        {"timeUnixNano": str(t.value), "asDouble": x} for t, x in zip(TIMES, VALUES, strict=True)
    ]
    metrics = [
        {"name": "load", "unit": "1", "gauge": {"dataPoints": points[:60]}},
        {"name": "calls", "sum": {"isMonotonic": True, "dataPoints": points[60:]}},
    ]
    request = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": metrics}]}]}
    table = read_table(save(tmp_path, "json", json.dumps(request)))
    assert np.array_equal(table["asDouble"], VALUES)
    assert table["name"].tolist() == ["load"] * 60 + ["calls"] * 60


def test_orders_with_a_few_items_stay_orders(tmp_path):
    """Lists of two or three objects are parts of their record, not rows."""
    orders = [{**row, "items": [{"sku": "x"}] * (2 + i % 2)} for i, row in enumerate(ROWS)]
    table = read_table(save(tmp_path, "json", json.dumps(orders)))
    assert np.array_equal(table["v"], VALUES)


def test_a_line_that_is_damaged_is_named(tmp_path):
    """Line 1 of .jsonl is cut: its number, not a guess at another shape."""
    lines = [json.dumps(row) for row in ROWS]
    with pytest.raises(UnreadableFile, match="line 1 is not JSON"):
        read_table(save(tmp_path, "jsonl", "\n".join([lines[0][:9], *lines[1:]])))


def test_joined_files_repeat_their_names(tmp_path):
    """The names in the middle of a joined file are no row, and the note says so."""
    text = "".join(pd.DataFrame(ROWS[i : i + 40]).to_csv(index=False) for i in (0, 40, 80))
    path = save(tmp_path, "csv", text)
    table = read_table(path)
    assert np.array_equal(table["v"].astype(float), VALUES)
    assert table.attrs["notes"] == ("2 rows that repeat the names left out",)
    parts = pd.concat(iter_table(path, 50), ignore_index=True)
    assert np.array_equal(parts["v"].astype(float), VALUES)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_wide_encodings_of_tables(tmp_path, encoding):
    """Two and four bytes per character, with and without a mark."""
    table = read_table(
        save(tmp_path, "csv", pd.DataFrame(ROWS).to_csv(index=False).encode(encoding))
    )
    assert table.columns.tolist() == ["v", "zone"]
    assert np.array_equal(table["v"], VALUES)


def test_a_pipe_is_no_folder(tmp_path):
    """A table from a pipe: what it is, and what to do."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableFile, match=r"it is a pipe or a device.*table\.csv"):
        read_table(pipe)
