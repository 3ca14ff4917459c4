"""Tables and series that are odd, in every format."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Rng = np.random.Generator

CELLS: list[Any] = [
    *(
        "",
        " ",
        "-",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-0",
        "0x1f",
        "1_000",
        "1.2.3",
        "1,2,3",
        "٣٤",
        "½",
    ),
    *(
        "=1+1",
        "@x",
        "\x1b]0;title\x07",
        "\u202etxt",
        "a\nb",
        "a\r\nb",
        'quote " inside',
        "'",
        "\\",
        "\0",
    ),
    *("0000-00-00", "9999-12-31 23:59:60", "-0001-01-01", "2026-02-30", "24:00", "12:61", "Inf y"),
    *(
        "true",
        "TRUE",
        "yes",
        "NULL",
        "<NA>",
        "#DIV/0!",
        "9" * 5_000,
        "-" * 3_000,
        " " * 20_000 + "x",
    ),
    *(
        "(" * 3_000,
        "1" + " " * 9_000 + "kB",
        "x" * 30_000,
        "e" * 50,
        "1e",
        "+-1",
        "1" * 30,
        "\ud83d",
    ),
    *(
        "😀" * 200,
        "\ufeff",
        "\u200b",
        "a;b|c\td,e",
        "key=value",
        "{}",
        "[1,2]",
        '{"a": 1}',
        "<b>",
        "$ -",
    ),
    *(0, -1, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 1e308, -1e308, 5e-324, float("nan")),
    *(float("inf"), True, False, None, [], [1], [1, [2]], {}, {"a": {"b": {"c": [1, 2]}}}),
    *({"$date": "x"}, {"$date": 10**30}, {"sec": 1, "nanosec": -1}, [{"key": "a", "value": 1}]),
]
_NAMES: list[Any] = [
    "",
    " ",
    "a",
    "a",
    "a.1",
    "x0",
    "time",
    "id",
    "\x1b[31m",
    "\u202e",
    "a\nb",
    "n" * 3_000,
]
_NAMES += [
    "1",
    "nan",
    "None",
    "=cmd",
    "label",
    "a.b",
    "a_0",
    "__index_level_0__",
    "Unnamed: 0",
    "#",
]


def table(rng: Rng, rows: int = 60) -> pd.DataFrame:
    """Return a plain table with numbers, a category and a text."""
    load = rng.uniform(size=rows)
    words = np.array(["idle", "busy", "off"])
    return pd.DataFrame(
        {
            "load": load.round(4),
            "watts": (100 + 200 * load + rng.normal(size=rows)).round(3),
            "mode": words[rng.integers(3, size=rows)],
            "n": rng.integers(9, size=rows),
        }
    )


def series(rng: Rng, rows: int = 150) -> pd.DataFrame:
    """Return a plain series with two channels."""
    times = pd.date_range("2026-01-01", periods=rows, freq="min").strftime("%Y-%m-%d %H:%M:%S")
    flow = np.sin(np.arange(rows) / 4) + 0.1 * rng.normal(size=rows)
    frame = pd.DataFrame(
        {"time": times, "flow": flow.round(4), "load": rng.normal(size=rows).round(4)}
    )
    return frame if rng.random() < 0.7 else frame.assign(machine=[f"m{i % 2}" for i in range(rows)])


def spoil(frame: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """Return a table with odd cells, names or columns."""
    frame = frame.astype(object)
    for _ in range(rng.integers(0, 4)):
        column = int(rng.integers(frame.shape[1]))
        rows = rng.random(len(frame)) < rng.choice([0.02, 0.5, 1.0])
        cell = CELLS[rng.integers(len(CELLS))]
        cells = [cell if odd else x for odd, x in zip(rows, frame.iloc[:, column], strict=True)]
        frame.isetitem(column, pd.Series(cells, index=frame.index, dtype=object))
    if rng.random() < 0.3:
        names = list(frame.columns)
        for _ in range(rng.integers(1, 4)):
            names[rng.integers(len(names))] = _NAMES[rng.integers(len(_NAMES))]
        frame = frame.set_axis(names, axis=1)
    choice = rng.random()
    if choice < 0.05:
        frame = pd.concat([frame] * int(rng.integers(2, 300)), axis=1)
    elif choice < 0.15:
        frame = frame.iloc[: rng.integers(3)]
    elif choice < 0.2:
        frame = frame.iloc[:, : rng.integers(2)]
    return frame


def _csv(frame: pd.DataFrame, rng: Rng) -> bytes:
    separator = rng.choice([",", ";", "\t", "|"])
    text = frame.to_csv(
        index=bool(rng.random() < 0.1), sep=separator, errors="replace", escapechar="\\"
    )
    if rng.random() < 0.1:
        text = "sep=" + separator + "\n" + text
    if rng.random() < 0.1:
        text = "A title\n\n# comment\n" + text
    return text.encode("utf-8", "surrogatepass")


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def dumps(value: Any) -> str:
    return json.dumps(value, default=str)


def _json_lines(frame: pd.DataFrame, rng: Rng) -> bytes:
    lines = [dumps(record) for record in _records(frame)]
    if lines and rng.random() < 0.3:
        odd = [
            "[" * 20_000,
            "{}",
            "[]",
            "1",
            "null",
            "{",
            '{"a": 1}',
            '"x"',
            '{"a": 1e999}',
            '{"a":"\\ud83d"}',
        ]
        odd += [
            '{"a": ' + "7" * 5_000 + "}",
            dumps({f"k{rng.integers(10**9)}": i for i in range(300)}),
        ]
        for _ in range(rng.integers(1, 5)):
            lines[rng.integers(len(lines))] = odd[rng.integers(len(odd))]
    return "\n".join(lines).encode()


def _json(frame: pd.DataFrame, rng: Rng) -> bytes:
    records = _records(frame)
    columns = {str(name): frame.iloc[:, i].tolist() for i, name in enumerate(frame.columns)}
    shapes = [
        records,
        columns,
        {"data": records},
        {"meta": {"n": 1}, "result": {"items": records, "next": None}},
        {"columns": list(columns), "data": frame.to_numpy().tolist()},
        {str(i): record for i, record in enumerate(records)},
        [records, records],
        {
            "type": "FeatureCollection",
            "features": [{"properties": r, "geometry": None} for r in records],
        },
        frame.to_numpy().tolist(),
        {"a": {"b": {"c": records[:1]}}},
    ]
    return dumps(shapes[rng.integers(len(shapes))]).encode()


def _parquet(frame: pd.DataFrame, rng: Rng) -> bytes:
    n, out = len(frame), io.BytesIO()
    odd = [
        pa.array([None] * n),
        pa.array([b"\xff\0"] * n),
        pa.array([2**64 - 1] * n, pa.uint64()),
        pa.array([10**15] * n).cast(pa.decimal128(38, 2)),
        pa.array([2**62] * n, pa.timestamp("us")),
        pa.array([-(2**62)] * n, pa.timestamp("s")),
        pa.array([2**30] * n, pa.date32()),
        pa.array([5] * n, pa.duration("ns")),
        pa.array([5] * n, pa.time64("ns")),
        pa.array(["x"] * n).dictionary_encode(),
        pa.array([[i] * (i % 3) for i in range(n)], pa.list_(pa.int64())),
        pa.array(
            [{"a": {"b": i}} for i in range(n)], pa.struct([("a", pa.struct([("b", pa.int64())]))])
        ),
        pa.array([[("k", i)] for i in range(n)], pa.map_(pa.string(), pa.int64())),
        pa.array([{} for _ in range(n)], pa.struct([])),
        pa.array(np.full(n, np.float16(1)), pa.float16()),
        pa.array([True, None] * (n // 2) + [None] * (n % 2)),
    ]
    arrays = {}
    for i, name in enumerate(map(str, frame.columns)):
        cells = frame.iloc[:, i]
        try:
            arrays[f"{name}{i}"] = pa.array(cells.tolist())
        except (pa.ArrowException, OverflowError, UnicodeError, ValueError, TypeError):
            arrays[f"{name}{i}"] = odd[rng.integers(len(odd))]
    for _ in range(rng.integers(0, 3)):
        arrays[str(_NAMES[rng.integers(len(_NAMES))])] = odd[rng.integers(len(odd))]
    try:
        pq.write_table(pa.table(arrays), out, row_group_size=int(rng.choice([1, 7, 1000])))
    except (pa.ArrowException, ValueError):
        out = io.BytesIO()
        pq.write_table(pa.table({"a": odd[2], "b": odd[3]}), out)
    return out.getvalue()


def _array(rng: Rng) -> Any:
    shape = [(60, 4), (60,), (0, 4), (60, 0), (), (1, 3), (20, 2, 2), (5, 200), (3, 1, 1, 1, 2)][
        rng.integers(9)
    ]
    kind = [
        "f8",
        "f4",
        "f2",
        "i8",
        "u8",
        "?",
        "c16",
        "M8[s]",
        "m8[ns]",
        "U5",
        "S5",
        ">f8",
        "i4,f8",
        "O",
    ]
    x = rng.normal(size=shape)
    if x.size and rng.random() < 0.3:
        x.flat[0] = rng.choice([np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = str(rng.choice(kind))
        if chosen == "i4,f8":
            return np.zeros(shape, dtype=chosen)
        x = np.nan_to_num(x * 100) if chosen[0] in "iuMm" else x
        return x.astype("i8").astype(chosen) if chosen[0] in "Mm" else x.astype(chosen)


def _npy(_frame: pd.DataFrame, rng: Rng) -> bytes:
    out = io.BytesIO()
    np.save(out, _array(rng), allow_pickle=True)
    content = out.getvalue()
    if rng.random() < 0.3:  # a header that lies
        for old, new in (
            (b"60", b"99"),
            (b"4)", b"9)"),
            (b"(60", b"(-1"),
            (b"False", b"True "),
            (b"<f8", b"<f9"),
        ):
            if rng.random() < 0.5:
                content = content.replace(old, new, 1)
    return content


def _npz(_frame: pd.DataFrame, rng: Rng) -> bytes:
    out = io.BytesIO()
    names = [["X"], ["X", "y"], ["a"], ["a", "b"], []][rng.integers(5)]
    save = np.savez if rng.random() < 0.5 else np.savez_compressed
    save(out, **{name: _array(rng) for name in names})
    return out.getvalue()


TABLES: dict[str, Callable[[pd.DataFrame, Rng], bytes]] = {
    "csv": _csv,
    "tsv": _csv,
    "dat": _csv,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "json": _json,
    "geojson": _json,
    "parquet": _parquet,
    "npy": _npy,
    "npz": _npz,
}
