"""Remote writes, as Prometheus encodes them, over real HTTP."""

import asyncio
import socket
import struct
import sys
import time
from collections.abc import AsyncGenerator, Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, cast

import cramjam
import numpy as np
import pandas as pd
import pytest

from support.collecting import collect, taken
from support.servers import HOST, Server, free_port, program
from tocsin.errors import InputError
from tocsin.sources import remote_write
from tocsin.sources._gathering import Gathering
from tocsin.sources._samples import Sample, Series
from tocsin.sources.remote_write import RemoteWrite
from tocsin.types import Batch

# Bytes of the published message: cpu{instance="a"} 1.5 at 1000, as protoc encodes it.
KNOWN = bytes.fromhex(
    "0a2e0a0f0a085f5f6e616d655f5f12036370750a0d0a08696e7374616e636512016112"
    "0c09000000000000f83f10e807"
)


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def block(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def series(labels: dict[str, str], samples: list[tuple[int, float]]) -> bytes:
    packed = b"".join(
        block(1, block(1, k.encode()) + block(2, v.encode())) for k, v in labels.items()
    )
    for at, value in samples:
        packed += block(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at))
    return block(1, packed)


def compressed(message: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(message))


REMOTE_WRITE = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


def post(port: int, body: bytes, token: str = "", **changed: str | None) -> int:
    peer = HTTPConnection("127.0.0.1", port, timeout=20)
    given = {**REMOTE_WRITE, **{name.replace("_", "-"): value for name, value in changed.items()}}
    headers = {name: value for name, value in given.items() if value is not None}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    peer.request("POST", "/api/v1/write", body, headers)
    status = peer.getresponse().status
    peer.close()
    return status


def histogram(labels: dict[str, str], at: int, count: int, total: float) -> bytes:
    """Return a series of one native histogram, without its buckets."""
    packed = b"".join(
        block(1, block(1, k.encode()) + block(2, v.encode())) for k, v in labels.items()
    )
    inner = b"\x08" + varint(count) + b"\x19" + struct.pack("<d", total) + b"\x78" + varint(at)
    return block(1, packed + block(4, inner))


def second(labels: dict[str, str], at: int, value: float) -> bytes:
    """Return a request of protocol 2.0 with one sample."""
    symbols = ["", *(text for pair in labels.items() for text in pair)]
    references = b"".join(varint(symbols.index(t)) for pair in labels.items() for t in pair)
    sample = b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at)
    series = block(1, references) + block(2, sample)
    return b"".join(block(4, symbol.encode()) for symbol in symbols) + block(5, series)


VERSION_2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"


async def pushed(
    source: RemoteWrite, bodies: list[bytes], n: int, offset: Any = None, **changed: Any
) -> tuple[list[Batch], list[int]]:
    """Push requests one after the other, each once the one before is answered; read n events."""
    batches: list[Batch] = []
    reading = cast("AsyncGenerator[Batch, None]", source.read(offset))

    def push() -> list[int]:
        return [post(source.port, compressed(body), **changed) for body in bodies]

    async with asyncio.timeout(20):
        following = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0.3)
        pushing = asyncio.create_task(asyncio.to_thread(push))
        while taken(batches) < n or not pushing.done():
            done, _ = await asyncio.wait({following, pushing}, return_when="FIRST_COMPLETED")
            if following in done:
                batch = following.result()
                batches.append(batch)
                assert batch.acknowledge is not None
                await batch.acknowledge()
                following = asyncio.ensure_future(anext(reading))
            elif taken(batches) >= n:
                break
            else:
                await asyncio.wait({following})
        statuses = await pushing
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return batches, statuses


def test_samples_become_events_and_are_answered_once_kept() -> None:
    port = free_port()
    source = RemoteWrite(port=port, metrics=("cpu", "heat"), gather=0.3)
    nan = float("nan")
    body = compressed(
        series({"__name__": "cpu", "instance": "a"}, [(1000, 1.5), (2000, 0.0), (3000, nan)])
        + series({"__name__": "heat", "instance": "a"}, [(2000, 40.0)])
        + series({"__name__": "cpu", "instance": "b"}, [(1000, -2.0)])
        + series({"__name__": "other", "instance": "a"}, [(1000, 9.0)])
    )

    async def run() -> tuple[Batch, Batch, bool, int]:
        batches = cast("AsyncGenerator[Batch, None]", source.read(None))
        first = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.3)
        answer = asyncio.create_task(asyncio.to_thread(post, port, body))
        held = await asyncio.wait_for(first, 10)
        await asyncio.sleep(0.2)
        early = answer.done()
        assert held.acknowledge is not None
        await held.acknowledge()
        status = await answer
        batch = await anext(batches)
        await batches.aclose()
        return held, batch, early, status

    held, batch, early, status = asyncio.run(run())
    assert (early, status) == (False, 204)
    assert (len(held), len((held.offset or {})["held"])) == (0, 3)
    assert batch.entities == ("a", "b", "a")
    assert batch.times.astype(int).tolist() == [1_000_000, 1_000_000, 2_000_000]
    np.testing.assert_array_equal(
        batch.frame.to_numpy(), [[1.5, np.nan], [-2.0, np.nan], [0.0, 40.0]]
    )
    assert batch.ids is not None
    assert len(set(batch.ids)) == 3


def scrape(at: int, entity: str, names: list[str]) -> bytes:
    """Return what one request says of a scrape: metrics with the values 0, 1, …"""
    return b"".join(
        series({"__name__": name, "instance": entity}, [(at, float(i))])
        for i, name in enumerate(names)
    )


def test_a_scrape_in_several_requests_is_one_event() -> None:
    """As of one shard of Prometheus, which sends the next once the one before is answered."""
    metrics = [f"m{i}" for i in range(9)]
    source = RemoteWrite(port=free_port(), metrics=tuple(metrics), gather=2.0)
    bodies = [
        scrape(1_000 * t, entity, metrics[part : part + 3])
        for t in range(1, 6)
        for part in (0, 3, 6)
        for entity in ("a", "b")
    ]
    started = time.monotonic()
    batches, statuses = asyncio.run(pushed(source, bodies, 10))
    assert set(statuses) == {204}
    frame = pd.concat([batch.frame for batch in batches], ignore_index=True)
    assert frame.shape == (10, 9)
    assert not frame.isna().any().any()
    assert time.monotonic() - started < 8  # only the first event of an entity waits


def test_series_of_one_metric_are_columns_by_the_labels_that_tell_them_apart() -> None:
    """Buckets, CPUs and modes: no series takes the place of another."""
    source = RemoteWrite(port=free_port(), metrics=("lat_bucket", "cpu", "up"), gather=0.3)

    def labelled(name: str, **labels: str) -> dict[str, str]:
        return {"__name__": name, "instance": "a", "job": "node", **labels}

    body = b"".join(
        series(labels, [(1_000, float(i))])
        for i, labels in enumerate(
            [
                *(labelled("lat_bucket", le=le) for le in ("0.1", "0.5", "+Inf")),
                *(labelled("cpu", cpu=cpu, mode=m) for cpu in "01" for m in ("idle", "user")),
                labelled("up"),
            ]
        )
    )
    batches, _ = asyncio.run(pushed(source, [body], 1))
    frame = next(batch.frame for batch in batches if len(batch))
    assert frame.iloc[0].to_dict() == {
        "up": 7.0,
        'lat_bucket{le="0.1"}': 0.0,
        'lat_bucket{le="0.5"}': 1.0,
        'lat_bucket{le="+Inf"}': 2.0,
        'cpu{cpu="0",mode="idle"}': 3.0,
        'cpu{cpu="0",mode="user"}': 4.0,
        'cpu{cpu="1",mode="idle"}': 5.0,
        'cpu{cpu="1",mode="user"}': 6.0,
    }


def test_what_is_held_outlives_a_crash_and_what_is_late_is_told() -> None:
    source = RemoteWrite(port=free_port(), metrics=("m0", "m1", "m2"), gather=0.3)
    names = list(source.metrics)
    first, _ = asyncio.run(pushed(source, [scrape(1_000, "a", names[:1])], 0))
    assert not taken(first)
    again, _ = asyncio.run(pushed(source, [], 1, first[-1].offset))
    assert again[0].frame["m0"].tolist() == [0.0]
    bodies = [scrape(2_000, "a", names[:2])] * 2
    batches, _ = asyncio.run(pushed(source, bodies, 1))
    assert taken(batches) == 1  # it came twice
    gathering = Gathering(0.3, None)
    samples = source.request(compressed(scrape(3_000, "a", names))).samples
    assert not gathering.add(samples[:2], 0.0)
    assert len(gathering.taken(1.0)) == 1
    (late,) = gathering.add(samples, 1.0)
    assert late.kind == "late"
    assert "raise gather" in late.reason


def test_native_histograms_are_their_count_and_sum() -> None:
    source = RemoteWrite(port=0, metrics=("lat",))
    body = histogram({"__name__": "lat", "instance": "a"}, 1_000, 7, 2.5)
    found = source.request(compressed(body))
    assert [(s.series.metric, s.value) for s in found.samples] == [
        ("lat_count", 7.0),
        ("lat_sum", 2.5),
    ]
    assert (found.floats, found.histograms) == (0, 1)


def test_protocol_2_is_read() -> None:
    source = RemoteWrite(port=free_port(), metrics=("temp",), gather=0.1)
    body = second({"__name__": "temp", "job": "app", "instance": "x:1"}, 1_000, 21.5)
    batches, statuses = asyncio.run(pushed(source, [body], 1, Content_Type=VERSION_2))
    batch = next(batch for batch in batches if len(batch))
    assert statuses == [204]
    assert batch.frame.to_dict("list") == {"temp": [21.5]}
    assert batch.entities == ("x:1",)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (second({"__name__": "temp"}, 1, 2.0), "application/x-protobuf", 400),
        (series({"__name__": "temp"}, [(1, 2.0)]), VERSION_2, 400),
        (b"\x0a\x02\x08\x09", "application/x-protobuf;proto=io.prometheus.write.v3", 415),
        (b"hello world", "text/plain", 415),
        (block(5, block(1, varint(9))), VERSION_2, 400),
    ],
)
def test_what_cannot_be_kept_is_never_answered_204(body: bytes, kind: str, status: int) -> None:
    source = RemoteWrite(port=free_port(), metrics=("temp",))
    answer = while_listening(source, lambda: post(source.port, compressed(body), Content_Type=kind))
    assert answer == status


EXPORTER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    n = 0
    def log_message(self, *_): pass
    def do_GET(self):
        Handler.n += 1
        lines = [f"m{i} {Handler.n}" for i in range(60)]
        lines += [f'lat_bucket{{le="{le}"}} {Handler.n}' for le in ("0.1", "0.5", "+Inf")]
        body = ("\\n".join(lines) + "\\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_prometheus_itself_writes_whole_events(tmp_path: Path) -> None:
    """A real Prometheus that sends each scrape in many requests: events are whole and in step."""
    binary = program("prometheus", "apt-get install prometheus")
    source = RemoteWrite(
        port=free_port(), metrics=(*(f"m{i}" for i in range(60)), "lat_bucket"), gather=3.0
    )
    exporter, port = free_port(), free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs: [{job_name: app, static_configs: [{targets: "
        f"['{HOST}:{exporter}']}}]}}]\n"
        f"remote_write: [{{url: 'http://{HOST}:{source.port}/', queue_config: "
        "{max_samples_per_send: 20, batch_send_deadline: 500ms}}]\n"
    )
    (tmp_path / "exporter.py").write_text(EXPORTER)
    options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]

    async def run() -> list[Batch]:
        return await collect(source, 5, within=40)

    with (
        Server([sys.executable, str(tmp_path / "exporter.py"), str(exporter)], exporter, tmp_path),
        Server([binary, *options, f"--web.listen-address={HOST}:{port}"], port, tmp_path),
    ):
        batches = asyncio.run(run())
    frame = pd.concat([batch.frame for batch in batches if len(batch)], ignore_index=True)
    assert not [rejection for batch in batches for rejection in batch.rejected]
    assert frame.shape[1] == 63
    assert not frame.isna().any().any()
    assert (frame.nunique(axis=1) == 1).all()  # all series of a scrape have its number


def test_the_published_encoding_is_read() -> None:
    source = RemoteWrite(port=0, metrics=("cpu",))
    assert source.request(compressed(KNOWN)).samples == [Sample(1000, "a", Series("cpu", ()), 1.5)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no snappy",
        compressed(b"\x0a\xff\xff\xff\xff\x0f"),
        compressed(b"\x0a\x05ab"),
        compressed(b"\x0b"),
        varint(2**40) + b"bomb",
        compressed(series({"__name__": "cpu"}, [(2**60, 1.0)])),
    ],
)
def test_what_is_no_remote_write_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        RemoteWrite(port=0, metrics=("cpu",)).request(body)


def test_strangers_large_and_broken_requests_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOCSIN_TEST_TOKEN", "hush")
    port = free_port()
    settings = {"port": port, "metrics": ["cpu"], "largest": 1000, "timeout": 0.5}
    source = RemoteWrite.model_validate({**settings, "token": {"env": "TOCSIN_TEST_TOKEN"}})

    async def run() -> list[int]:
        batches = cast("AsyncGenerator[Batch, None]", source.read(None))
        first = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.3)
        statuses = [
            await asyncio.to_thread(post, port, compressed(KNOWN), "wrong"),
            await asyncio.to_thread(post, port, b"x" * 2000, "hush"),
            await asyncio.to_thread(post, port, b"broken", "hush"),
            await asyncio.to_thread(post, port, compressed(KNOWN), "hush"),  # not kept in time
        ]
        await asyncio.wait_for(first, 10)
        await batches.aclose()
        return statuses

    assert asyncio.run(run()) == [401, 413, 400, 503]


def test_beyond_this_machine_a_token_is_needed() -> None:
    with pytest.raises(ValueError, match="needs a token"):
        RemoteWrite(host="0.0.0.0", port=0, metrics=("cpu",))  # noqa: S104 - it is refused


def while_listening(source: RemoteWrite, work: Callable[[], Any]) -> Any:
    """Return what work in a thread of its own gives while the source listens."""

    async def run() -> Any:
        batches = cast("AsyncGenerator[Batch, None]", source.read(None))
        reading = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.3)
        found = await asyncio.to_thread(work)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        return found

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Origin": "https://example.org"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Encoding": None}, 415),
        ({}, 204),
    ],
)
def test_a_web_page_may_not_write(changed: dict[str, str | None], status: int) -> None:
    port = free_port()
    source = RemoteWrite(port=port, metrics=("cpu",))
    body = compressed(series({"__name__": "other", "instance": "a"}, [(1000, 1.5)]))

    assert while_listening(source, lambda: post(port, body, **changed)) == status


def test_clients_beyond_the_limit_are_turned_away_and_served_once_others_leave() -> None:
    port = free_port()
    source = RemoteWrite(port=port, metrics=("cpu",), connections=2)
    body = compressed(series({"__name__": "other", "instance": "a"}, [(1000, 1.5)]))

    def crowd() -> list[object]:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        turned_away = socket.create_connection(("127.0.0.1", port))
        turned_away.settimeout(10)
        found: list[object] = [turned_away.recv(1)]
        for each in silent:
            each.close()
        for _ in range(100):
            try:
                return [*found, post(port, body)]
            except (OSError, HTTPException):
                time.sleep(0.05)
        return found

    assert while_listening(source, crowd) == [b"", 204]


def test_headers_that_drip_in_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_write._Handler, "timeout", 1.0)
    port = free_port()
    source = RemoteWrite(port=port, metrics=("cpu",))

    def drip() -> bytes:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(0.3)
            for byte in b"POST /api/v1/write HTTP/1.1\r\nHost: somewhere-far-away\r\n" * 9:
                try:
                    client.sendall(bytes([byte]))
                    if client.recv(1) == b"":
                        return b"cut off"
                except TimeoutError:
                    continue
                except OSError:
                    return b"cut off"
        return b"read on"

    assert while_listening(source, drip) == b"cut off"
