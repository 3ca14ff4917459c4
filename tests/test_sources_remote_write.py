"""Remote writes, as Prometheus encodes them, over real HTTP."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncGenerator
from http.client import HTTPException
from typing import cast

import numpy as np
import pytest

from support.collecting import until
from support.remote_write import (
    REMOTE_WRITE,
    VERSION_2,
    block,
    compressed,
    histogram,
    post,
    pushed,
    second,
    series,
    varint,
    while_listening,
)
from support.servers import free_port
from tocsin.errors import InputError
from tocsin.sources import remote_write
from tocsin.sources._samples import Sample, Series
from tocsin.sources.remote_write import RemoteWrite
from tocsin.types import Batch

# Bytes of the published message: cpu{instance="a"} 1.5 at 1000, as protoc encodes it.
KNOWN = bytes.fromhex(
    "0a2e0a0f0a085f5f6e616d655f5f12036370750a0d0a08696e7374616e636512016112"
    "0c09000000000000f83f10e807"
)


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


def test_a_client_that_leaves_is_in_the_log_alone(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the midst of a request: no traceback on standard error, one line for who looks closely."""
    caplog.set_level("DEBUG", "tocsin.sources.remote_write")
    port = free_port()
    head = "\r\n".join(f"{name}: {value}" for name, value in REMOTE_WRITE.items())

    def leave() -> int:
        with socket.create_connection(("127.0.0.1", port)) as client:
            linger = struct.pack("ii", 1, 0)  # a reset, where others say goodbye
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            client.sendall(f"POST / HTTP/1.1\r\n{head}\r\nContent-Length: 99\r\n\r\nx".encode())
            time.sleep(0.2)
        until(lambda: "a connection ended by" in caplog.text, "line in the log")
        return 0

    assert while_listening(RemoteWrite(port=port, metrics=("cpu",)), leave) == 0
    assert capfd.readouterr().err == ""


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


@pytest.mark.parametrize("headers", [b"X: " + b"a" * 20_000, (b"X: " + b"a" * 500 + b"\r\n") * 60])
def test_headers_are_bounded(headers: bytes) -> None:
    port = free_port()
    source = RemoteWrite(port=port, metrics=("cpu",))

    def send() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            try:
                client.sendall(b"POST / HTTP/1.1\r\n" + headers)
                return client.recv(100)
            except ConnectionError:
                return b""

    assert while_listening(source, send) == b""


def test_who_gives_no_token_has_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """And more once it has: Prometheus keeps its connections."""
    monkeypatch.setattr(remote_write, "PATIENCE", 0.5)
    port = free_port()
    source = RemoteWrite(port=port, metrics=("cpu",))
    body = compressed(series({"__name__": "other", "instance": "a"}, [(1000, 1.5)]))
    head = "\r\n".join(f"{name}: {value}" for name, value in REMOTE_WRITE.items())
    request = f"POST / HTTP/1.1\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def send() -> list[bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(request)
            first = client.recv(1000)
            time.sleep(1)
            client.sendall(request)
            found = [first[:12], client.recv(1000)[:12]]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as silent:
            return [*found, silent.recv(1)]

    assert while_listening(source, send) == [b"HTTP/1.1 204", b"HTTP/1.1 204", b""]


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
