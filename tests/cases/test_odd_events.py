"""Events as programs really write them: odd JSON, other encodings, times as objects."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import socket
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from support.monitors import configured, process
from support.servers import HOST, free_port
from tocsin import config
from tocsin.monitor.batches import typed
from tocsin.monitor.quarantine import reprocess_quarantined
from tocsin.sources._records import Fields, batch_of, times_of
from tocsin.sources.socket import Socket
from tocsin.types import Batch

PLAIN = b'{"heat": 1.5, "town": "x"}'
ODD: dict[str, tuple[bytes, dict[str, Any]]] = {
    "a byte order mark": (b"\xef\xbb\xbf" + PLAIN, {"heat": 1.5, "town": "x"}),
    "a record separator": (b"\x1e" + PLAIN + b"\n", {"heat": 1.5, "town": "x"}),
    "a NUL at the end": (PLAIN + b"\0", {"heat": 1.5, "town": "x"}),
    "the id of a schema": (b"\0\0\0\0\x07" + PLAIN, {"heat": 1.5, "town": "x"}),
    "UTF-16": (PLAIN.decode().encode("utf-16"), {"heat": 1.5, "town": "x"}),
    "UTF-16, the other way round": (
        b"\xfe\xff" + PLAIN.decode().encode("utf-16-be"),
        {"heat": 1.5, "town": "x"},
    ),
    "Windows-1252": (b'{"heat": 1, "town": "K\xf6ln \x80"}', {"heat": 1, "town": "Köln €"}),
    "Latin-1": (b'{"heat": 1, "town": "K\xf6ln \x81"}', {"heat": 1, "town": "Köln \x81"}),
    "NaN": (b'{"heat": NaN, "load": 2}', {"heat": math.nan, "load": 2}),
    "an infinity": (b'{"heat": -Infinity, "load": 2}', {"heat": -math.inf, "load": 2}),
    "half a surrogate pair": (b'{"heat": 1, "town": "\\ud800!"}', {"heat": 1, "town": "\ufffd!"}),
    "a tab in a text": (b'{"heat": 1, "town": "a\tb"}', {"heat": 1, "town": "a\tb"}),
    "a name that comes twice": (b'{"heat": 1, "heat": 2}', {"heat": 2}),
    "a name of no characters": (b'{"": 1, "heat": 2}', {"": 1, "heat": 2}),
    "a number of forty digits": (b'{"heat": 1%s}' % (b"0" * 39), {"heat": 10**39}),
    "GELF": (
        b'{"version": "1.1", "host": "web", "timestamp": 1772353200.5, "level": 3}',
        {"version": "1.1", "level": 3},
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_json_is_an_event(kind: str) -> None:
    """Marks around JSON, other encodings, NaN, half surrogate pairs: the event as in a file."""
    raw, values = ODD[kind]
    batch = batch_of([PLAIN, raw, PLAIN], Fields())
    assert (len(batch), batch.rejected) == (3, ())
    found = {name: batch.frame[name][1] for name in values}
    np.testing.assert_equal(
        {n: v.item() if hasattr(v, "item") else v for n, v in found.items()}, values
    )


@pytest.mark.parametrize(
    ("raw", "kind", "why"),
    [
        (b'[{"bn": "urn:dev:1:", "n": "temp", "v": 23.1}]', "malformed", "1 SenML records"),
        (b'[{"heat": 1}, {"heat": 2}]', "malformed", "a list of 2 objects, of which each is to be"),
        (gzip.compress(PLAIN), "malformed", "compressed by gzip"),
        (b" \t ", "empty", "blank"),
        (PLAIN + PLAIN, "malformed", "trailing characters"),
        (b"weather,town=x heat=82 1465839830100400200", "malformed", "not JSON"),
        (b"{'heat': 1}", "malformed", "expected an object such as"),
        (b"\0\0\0\0\x07\x02\x0eK\xc3\xb6ln", "malformed", "not JSON"),
        (b"\xff\xfe", "malformed", "nothing"),
        (b'{"heat": 1%s}' % (b"0" * 5_000), "malformed", "not JSON"),
        (b"null", "malformed", "nothing, not an object"),
        (b'{"time": "Nov 30 10:00:00", "heat": 1}', "malformed", "names no year"),
        (b'{"time": "03/04/2024", "heat": 1}', "malformed", "day and month could be exchanged"),
    ],
)
def test_what_is_no_event_is_refused_in_words(raw: bytes, kind: str, why: str) -> None:
    """Packs, compressed and binary messages, other protocols: what it is, what was expected."""
    batch = batch_of([PLAIN, raw], Fields(), origins=["here", "the topic a/b"])
    (refused,) = batch.rejected
    assert (len(batch), refused.kind) == (1, kind)
    assert why in refused.reason
    assert refused.reason.endswith("; from the topic a/b")


MOMENT = np.datetime64("2026-03-01T08:20:00", "us")
TIMES = [
    '"/Date(1772353200000)/"',
    '"/Date(1772353200000+0100)/"',
    '{"epochSecond": 1772353200, "nanoOfSecond": 0}',
    '{"seconds": "1772353200", "nanos": 0}',
    '{"__type": "Date", "iso": "2026-03-01T08:20:00.000Z"}',
    '{"$date": {"$numberLong": "1772353200000"}}',
    '"2026-03-01t08:20:00z"',
    '"2026-03-01T07:20:00\u221201:00"',
    '"2026-03-01T09:20:00+01:00[Europe/Berlin]"',
    '"2026-03-01T09:20:00[Europe/Berlin]"',
    '"2026-03-01 03:20:00.000 America/New_York"',
    '"2026-060T08:20:00Z"',
    "1.7723532e9",
]


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("name", ["time", "@timestamp", "ts"])
def test_times_of_other_systems(name: str, time: str, zone: str | None) -> None:
    """.NET, Java, Parse, MongoDB, small letters, a true minus: the moment, whatever the zone."""
    raw = f'{{"{name}": {time}, "heat": 1}}'.encode()
    batch = batch_of([raw], Fields(time_zone=zone))
    assert batch.times.tolist() == [MOMENT.item()], batch.rejected
    assert list(batch.frame) == ["heat"]


FRAMINGS: dict[str, bytes] = {
    "line feeds": b"\n",
    "carriage returns and line feeds": b"\r\n",
    "NUL": b"\0",
    "line feeds and NUL": b"\n\0",
    "record separators": b"\n\x1e",
    "empty lines between": b"\n\n\n",
}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [1, 13, 65_536])
def test_events_by_tcp_in_any_framing(framing: str, size: int) -> None:
    """Line feeds, CRLF, NUL (GELF), RFC 7464, in pieces of any size: each event once."""
    end = FRAMINGS[framing]
    stream = b"".join(b'{"n": %d}' % n + end for n in range(60)) + b'{"n": 60}'

    async def work() -> list[Batch]:
        source = Socket(port=free_port())
        found: list[Batch] = []
        async with aclosing(source.read(None)) as reading:  # type: ignore[type-var]
            first = asyncio.ensure_future(anext(reading))
            await asyncio.sleep(0.05)

            def send() -> None:
                with socket.create_connection((HOST, source.port)) as client:
                    for at in range(0, len(stream), size):
                        client.sendall(stream[at : at + size])

            await asyncio.to_thread(send)
            found.append(await first)
            while sum(map(len, found)) < 61:
                found.append(await asyncio.wait_for(anext(reading), 5))
        return found

    found = asyncio.run(work())
    assert [n for batch in found for n in batch.frame["n"]] == list(range(61))
    assert not [r for batch in found for r in batch.rejected]


def test_what_the_source_knew_outlives_quarantine(tmp_path: Path) -> None:
    """An MQTT topic, a Kafka key and time: kept beside a refused event, used once it is read."""
    more = "{type: socket, port: 0, fields: {time_format: '%d/%m/%Y'}}"
    at = configured(tmp_path, more, monitor="    future: null")
    one = process(at)
    raw = [b'{"time": "03/04/2026", "a": 1, "b": 1, "c": %d}' % i for i in range(3)]
    raw += [b'{"a": 1, "b": 1, "c": 3, "time": {"no": "time"}}', b'["never"]']
    topics = [f"hall/{i}" for i in range(5)]
    keys = [f"key {i}" for i in range(5)]
    arrived = times_of([1_700_000_000_000 + i for i in range(5)])
    batch = batch_of(raw, Fields(), times=arrived, entities=topics, known={"key": keys})
    assert len(batch.rejected) == 5
    one.process(batch, datetime.now(UTC))
    held = {each.raw: each.known for each in one.stores.quarantine.list("m")}
    assert held[raw[1].decode()] == {
        "time": 1_700_000_000_001_000,
        "entity": "hall/1",
        "columns": {"key": "key 1"},
    }
    result = reprocess_quarantined(config.read(at), one.stores, "m")
    assert (result.taken, result.events, result.refused) == (5, 3, 2)
    (stored,) = one.stores.events.read("m")
    assert stored.entities == ("hall/0", "hall/1", "hall/2")
    assert stored.frame["key"].tolist() == keys[:3]
    assert set(map(str, stored.times)) == {"2026-04-03T00:00:00.000000"}
    again = {each.raw: each.known for each in one.stores.quarantine.list("m")}
    assert again[raw[4].decode()]["entity"] == "hall/4", "a second time too"
    assert json.loads(raw[4]) == ["never"]


AS_WRITTEN: dict[str, tuple[str, float]] = {
    "a decimal comma": ("20,1", 20.1),
    "groups and a decimal comma": ("1.234,5", 1234.5),
    "groups of blanks": ("1 234 567", 1234567.0),
    "a minus of typographers": ("−3,5", -3.5),
    "a sign behind": ("5-", -5.0),
    "parentheses": ("(3.5)", -3.5),
    "digits of full width": ("２０．１", 20.1),
    "Arabic digits": ("٢٠", 20.0),
    "a power of ten": ("1e5", 100_000.0),
    "what could be thousands or a fraction": ("1,234", math.nan),
    "a unit that training did not have": ("3 kW", math.nan),
    "a word": ("ON", math.nan),
    "nothing": ("", math.nan),
}


@pytest.mark.parametrize("kind", AS_WRITTEN)
def test_texts_are_read_as_numbers_where_the_model_has_numbers(kind: str) -> None:
    """One by one, so that a batch is read as its events would be."""
    text, value = AS_WRITTEN[kind]
    frame = pd.DataFrame({"heat": pd.Series([1.5, text, "2.5"], dtype=object)})
    batch = Batch(frame, np.array(["2026-01-01"] * 3, dtype="datetime64[us]"))
    read, lost = typed(batch, {"heat"})
    assert read.frame["heat"].tolist() == pytest.approx([1.5, value, 2.5], nan_ok=True)
    assert lost == math.isnan(value)
