"""Whatever strangers send: good events are kept, all else is quarantined, the rest goes on."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest

from support import postgres
from support.monitors import configured, events, process
from support.postgres import Postgres
from tocsin.sources._records import Fields, batch_of
from tocsin.types import RejectionKind

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HUGE = 10**40


def hostile(rng: random.Random, number: int) -> bytes:
    """One item that is no good event, of a kind that somebody once sent."""
    good = events(1, start=number)[0]
    changed: dict[str, Any] = rng.choice(
        [
            {"time": "0001-01-01T00:00:00Z"},
            {"time": "9999-12-31T23:59:59Z"},
            {"time": -1e300},
            {"time": "yesterday"},
            {"time": True},
            {"time": [1, 2]},
        ]
    )
    return rng.choice(
        [
            json.dumps({**good, **changed}).encode(),
            b"",
            b"\xff\xfe\x00",
            b"[" * 2_000,
            b'{"id": "x"}',
            b'"text"',
            b"x" * 300_000,
            json.dumps(good).encode()[:-9],
        ]
    )


def odd(rng: random.Random, event: dict[str, Any]) -> dict[str, Any]:
    """A good event with something odd about it, which it is kept with."""
    return {
        **event,
        **rng.choice(
            [
                {},
                {"entity": "e" * 20_000 + str(rng.random())},
                {"entity": "null\0and \x1b]0;title\x07"},
                {"a": None},
                {"a": HUGE},
                {"b": "not measured"},
                {"c": [1, {"deep": {"er": [None]}}]},
                {"d" * 3_000: 1},
                {f"key {rng.random()}": "x" * 1_000},
            ]
        ),
    }


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
    sent, number = 0, 0
    for _ in range(8):
        items = []
        for _ in range(rng.randrange(1, 40)):
            if rng.random() < 0.3:
                items.append(hostile(rng, number := number + 1))
                sent += 1
            else:
                event = events(1, start=(number := number + 1))[0]
                items.append(json.dumps(odd(rng, event) if rng.random() < 0.3 else event).encode())
        good = len(items)
        batch = batch_of(items, Fields())
        one.process(batch, NOW)
        assert good == len(batch) + len(batch.rejected)
    kept = {each for part in one.stores.events.read("m") for each in part.ids or ()}
    counted = one.stores.counters.read()["m"]
    refused = sum(counted.get(kind, 0) for kind in get_args(RejectionKind))
    assert (len(kept), refused) == (number - sent, sent)
