"""Whatever strangers send: good events are kept, all else is quarantined, the rest goes on."""

import json
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from support import postgres
from support.monitors import Client, configured, events, process, running, said, stores, until
from support.postgres import Postgres
from support.servers import free_port
from tocsin.monitor.stores import Stores
from tocsin.sources._records import Fields, batch_of
from tocsin.types import RejectionKind

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HUGE = 10**40


BAD_TIMES: list[Any] = [
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1899-12-31T23:59:59Z", "2200-01-01"),
    *(-1e300, 10**400, -(10**400), math.nan, math.inf, "1e999", "inf", "yesterday", True),
    *([1, 2], {"sec": "x", "nanosec": 1}, {"sec": 10**30, "nanosec": 1}, {"$date": "never"}),
    *({"$date": {"$numberLong": "9" * 40}}, f"/Date({'9' * 15})/", f"/Date({'9' * 40})/", "\ud800"),
]
NO_EVENTS = [
    *(b"", b" ", b"\xff\xfe\x00", b"\xff\xfe\x01\xd8", b"[" * 2_000, b'{"id": "x"}', b'"text"'),
    *(b"x" * 300_000, b"\x1f\x8b\x08", b"\0\0\0\0\1{", b'{"a": 1}{"a": 2}', b"[{}]", b"NaN"),
    *(b'{"a":' * 3_000, b'{"a": %s}' % (b"9" * 5_000), b"{'a': 1}", b"\xef\xbb\xbf", b"null"),
]
ODD: list[dict[str, Any]] = [
    {},
    *({"entity": "null\0and \x1b]0;title\x07"}, {"entity": "\ud800"}, {"entity": [1]}),
    *({"entity": {"of": 1}}, {"entity": 10**400}, {"entity": "\u202e" * 300}, {"entity": ""}),
    *({"a": None}, {"a": HUGE}, {"a": 10**400}, {"a": math.nan}, {"a": -math.inf}, {"a": True}),
    *({"a": {}}, {"a": []}, {"a": "1e999"}, {"a": "\ud800"}, {"a": "\0"}, {"b": "not measured"}),
    *({"c": [1, {"deep": {"er": [None]}}]}, {"c": {"a": {"b": {"c": {"d": {"e": {"f": 1}}}}}}}),
    *({"d" * 3_000: 1}, {"": 1}, {"\0": 1}, {"\ud800": 1}, {"a.b": 1, "a": {"b": 2}}),
    *({name: 1} for name in ("_score", "_time", "_id", "_entity", "_is_anomaly", "line", "path")),
    *({name: "x"} for name in ("__index_level_0__", "index", "level_0", "timestamp.x", "host")),
    *({"time": each} for each in ("1900-01-01T00:00:00Z", 0, "0", -1e8, {"sec": 1, "nanosec": 2})),
]


def hostile(rng: random.Random, number: int) -> bytes:
    """One item that is no good event, of a kind that somebody once sent."""
    good = events(1, start=number)[0]
    if rng.random() < 0.5:
        return json.dumps({**good, "time": rng.choice(BAD_TIMES)}).encode()
    return rng.choice([*NO_EVENTS, json.dumps(good).encode()[:-9]])


def odd(rng: random.Random, event: dict[str, Any]) -> dict[str, Any]:
    """A good event with something odd about it, which it is kept with."""
    changed = rng.choice(
        [
            *ODD,
            {"entity": "e" * 20_000 + str(rng.random())},
            {f"key {rng.random()}": "x" * 1_000},
            {f"key {rng.random()} {i}": i for i in range(50)},
        ]
    )
    return {**event, **changed}


def items_of(rng: random.Random, n: int, start: int) -> tuple[list[bytes], int]:
    """Return n items in any order, and how many of them are hostile."""
    items, bad = [], 0
    for number in range(start, start + n):
        if rng.random() < 0.3:
            items.append(hostile(rng, number))
            bad += 1
        else:
            event = events(1, start=number)[0]
            items.append(json.dumps(odd(rng, event) if rng.random() < 0.3 else event).encode())
    return items, bad


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres.running() as started:
        yield started


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_stream_of_hostile_items_loses_no_good_event(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str, seed: int
) -> None:
    more = ""
    if kind == "postgresql":
        more = f"store: {request.getfixturevalue('server').create()}"
    rng = random.Random(seed)  # noqa: S311 - a test that can be repeated
    one = process(configured(tmp_path, "{type: host}", more=more))
    sent = number = 0
    for _ in range(8):
        items, bad = items_of(rng, rng.randrange(1, 40), number)
        number, sent = number + len(items), sent + bad
        batch = batch_of(items, Fields())
        one.process(batch, NOW)
        assert len(items) == len(batch) + len(batch.rejected)
    assert kept_and_refused(one.stores) == (number - sent, sent)


def kept_and_refused(found: Stores) -> tuple[int, int]:
    """Return how many different events are stored, and how many items are in quarantine."""
    kept = {each for part in found.events.read("m") for each in part.ids or ()}
    counted = found.counters.read()["m"]
    refused = sum(counted.get(kind, 0) for kind in get_args(RejectionKind))
    assert refused == found.quarantine.count("m")
    return len(kept), refused


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_twenty_thousand_items_by_tcp_stop_no_process(
    tmp_path: Path, request: pytest.FixtureRequest, kind: str
) -> None:
    """A process that watches: alive at the end, all good events kept, all others in quarantine."""
    more, port = "", free_port()
    if kind == "postgresql":
        more = f"store: {request.getfixturevalue('server').create()}"
    source = f"{{type: socket, port: {port}}}"
    path = configured(tmp_path, source, monitor="    future: 1d", more=more)
    rng = random.Random(7)  # noqa: S311
    items, bad = items_of(rng, 20_000, 0)
    lines = [item.replace(b"\n", b" ").replace(b"\0", b" ") for item in items]
    empty = sum(not line for line in lines)  # no lines, which are passed over
    client = Client(port, (), window=400, patience=20.0)
    client.lines = [line + b"\n" for line in lines if line]
    with running(path) as watching:
        client.start()
        until(lambda: client.is_done, 500, what=said(path))
        assert watching.is_alive()
    assert client.connections == 1
    assert "internal error" not in said(path)
    assert kept_and_refused(stores(path)) == (20_000 - bad, bad - empty)
