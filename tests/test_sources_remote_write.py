"""Remote writes, as Prometheus encodes them, over real HTTP."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncGenerator, Callable
from http.client import HTTPConnection, HTTPException
from typing import Any, cast

import cramjam
import numpy as np
import pytest

from support.servers import free_port
from tocsin.errors import InputError
from tocsin.sources import remote_write
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


def test_samples_become_events_and_are_answered_once_kept() -> None:
    port = free_port()
    source = RemoteWrite(port=port, metrics=("cpu", "heat"))
    nan = float("nan")
    body = compressed(
        series({"__name__": "cpu", "instance": "a"}, [(1000, 1.5), (2000, 0.0), (3000, nan)])
        + series({"__name__": "heat", "instance": "a"}, [(2000, 40.0)])
        + series({"__name__": "cpu", "instance": "b"}, [(1000, -2.0)])
        + series({"__name__": "other", "instance": "a"}, [(1000, 9.0)])
    )

    async def run() -> tuple[Batch, bool, int]:
        batches = cast("AsyncGenerator[Batch, None]", source.read(None))
        first = asyncio.create_task(anext(batches))
        await asyncio.sleep(0.3)
        answer = asyncio.create_task(asyncio.to_thread(post, port, body))
        batch = await asyncio.wait_for(first, 10)
        await asyncio.sleep(0.2)
        early = answer.done()
        assert batch.acknowledge is not None
        await batch.acknowledge()
        status = await answer
        await batches.aclose()
        return batch, early, status

    batch, early, status = asyncio.run(run())
    assert (early, status) == (False, 204)
    assert batch.entities == ("a", "b", "a")
    assert batch.times.astype(int).tolist() == [1_000_000, 1_000_000, 2_000_000]
    np.testing.assert_array_equal(
        batch.frame.to_numpy(), [[1.5, np.nan], [-2.0, np.nan], [0.0, 40.0]]
    )
    assert batch.ids is not None
    assert len(set(batch.ids)) == 3


def test_the_published_encoding_is_read() -> None:
    source = RemoteWrite(port=0, metrics=("cpu",))
    assert source.taken_of(compressed(KNOWN)) == {(1000, "a"): {"cpu": 1.5}}


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
        RemoteWrite(port=0, metrics=("cpu",)).taken_of(body)


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
