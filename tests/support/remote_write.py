"""Remote writes as Prometheus encodes them, and who pushes them to a source."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable
from http.client import HTTPConnection
from typing import Any, cast

import cramjam

from support.collecting import taken
from tocsin.sources.remote_write import RemoteWrite
from tocsin.types import Batch


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


def scrape(at: int, entity: str, names: list[str]) -> bytes:
    """Return what one request says of a scrape: metrics with the values 0, 1, …"""
    return b"".join(
        series({"__name__": name, "instance": entity}, [(at, float(i))])
        for i, name in enumerate(names)
    )


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
