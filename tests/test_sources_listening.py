"""Pushed events: JSON lines over TCP, and syslog by UDP and TCP."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from support.collecting import Monitored, rows, taken, until
from support.servers import HOST, free_port
from tocsin.base.source import Source
from tocsin.errors import InputError
from tocsin.sources.socket import Socket
from tocsin.sources.syslog import Syslog
from tocsin.types import Batch


class Listening:
    """A source at work, and what came."""

    def __init__(self, source: Any, *, acknowledge: bool) -> None:
        self.port: int = source.port
        self.batches: list[Batch] = []
        self._source: Source = source
        self._acknowledge = acknowledge

    async def run(self) -> None:
        async with aclosing(self._source.read(None)) as reading:  # type: ignore[type-var]
            async for batch in reading:
                self.batches.append(batch)
                if self._acknowledge and batch.acknowledge is not None:
                    await batch.acknowledge()

    async def wait(self, n: int) -> list[Batch]:
        async with asyncio.timeout(10):
            while taken(self.batches) < n:
                await asyncio.sleep(0.01)
        return self.batches


@asynccontextmanager
async def listening(
    kind: type[Socket] | type[Syslog], *, acknowledge: bool = True, **settings: Any
) -> AsyncIterator[Listening]:
    port = free_port()
    at = Listening(kind(port=port, **settings), acknowledge=acknowledge)
    task = asyncio.create_task(at.run())
    try:
        for _ in range(200):
            await asyncio.sleep(0.01)
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                continue
            writer.close()
            break
        yield at
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_clients_are_told_what_is_kept_and_only_then() -> None:
    async def work() -> None:
        async with listening(Socket, acknowledge=False) as at:
            reader, writer = await asyncio.open_connection(HOST, at.port)
            writer.write(b'{"n": 1}\n{"n": 2}\noops\n{"n": 3}')
            writer.write_eof()
            batches = await at.wait(4)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.readline(), 0.1)
            for batch in batches:
                assert batch.acknowledge is not None
                await batch.acknowledge()
            told = [json.loads(await reader.readline())["kept"] for _ in batches]
            assert told[-1] == 4
            assert [row["n"] for row in rows(batches)] == [1, 2, 3]
            assert [r.kind for b in batches for r in b.rejected] == ["malformed"]

    asyncio.run(work())


def test_a_client_that_leaves_or_sends_without_end_harms_nobody() -> None:
    async def work() -> None:
        async with listening(Socket, fields={"largest": 100}) as at:
            _, gone = await asyncio.open_connection(HOST, at.port)
            gone.write(b'{"n": 1}\n{"n"')
            await gone.drain()
            gone.transport.abort()
            _, endless = await asyncio.open_connection(HOST, at.port)
            endless.write(b"x" * 5_000_000)
            await endless.drain()
            endless.write(b'\n{"n": 2}\n')
            await endless.drain()
            batches = await at.wait(2)
            while not any(row["n"] == 2 for row in rows(batches)):
                await at.wait(taken(batches) + 1)
            kinds = [r.kind for b in batches for r in b.rejected]
            assert "oversized" in kinds
            endless.close()

    asyncio.run(work())


def test_only_who_knows_the_token_may_push(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_TOKEN", "correct-horse")

    async def work() -> None:
        async with listening(Socket, token={"env": "PUSH_TOKEN"}) as at:
            for first in (b'{"n": 1}', b'{"token": "wrong"}', b'{"token": 5}', b"[" * 50_000):
                reader, writer = await asyncio.open_connection(HOST, at.port)
                writer.write(first + b'\n{"n": 1}\n')
                assert b"error" in await asyncio.wait_for(reader.readline(), 5)
                writer.close()
            _, writer = await asyncio.open_connection(HOST, at.port)
            writer.write(b'{"token": "correct-horse"}\n{"n": 2}\n')
            assert rows(await at.wait(1)) == [{"n": 2}]
            writer.close()

    asyncio.run(work())


def test_a_client_that_sends_again_counts_once(tmp_path: Path) -> None:
    settings = {"type": "socket", "port": free_port()}
    events = b"".join(b'{"n": %d, "id": "e%d"}\n' % (n, n) for n in range(2_000))

    def push() -> int:
        with socket.create_connection((HOST, settings["port"])) as client:
            client.sendall(events)
            client.settimeout(20)
            told, kept = b"", 0
            while kept < 2_000 and (data := client.recv(65_536)):
                told += data
                if numbers := re.findall(rb'\{"kept": (\d+)\}', told):
                    kept = int(numbers[-1])
            return kept

    with Monitored(tmp_path, settings) as first:
        until(lambda: reachable(settings["port"]), "server")
        assert push() == 2_000
        first.kill()
        assert len(first.stored("n")) == 2_000  # what was told to be kept is
    with Monitored(tmp_path, settings) as second:
        until(lambda: reachable(settings["port"]), "server")
        assert push() == 2_000
        assert second.stored("n") == list(range(2_000))


def reachable(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def test_syslog_by_udp_and_tcp() -> None:
    async def work() -> None:
        async with listening(Syslog) as at:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.sendto(b"<34>Oct 11 22:14:15 mail su: by udp\n", (HOST, at.port))
                udp.sendto(b"", (HOST, at.port))
                udp.sendto(b"<165>1 2026-03-01T08:20:00Z web app - - - \xff\x00", (HOST, at.port))
            await at.wait(3)
            _, writer = await asyncio.open_connection(HOST, at.port)
            writer.write(b"<34>Oct 11 22:14:15 mail su: by tcp\n42 <34>1 - counted\n")
            writer.close()
            batches = await at.wait(5)
            lines = [row["line"] for row in rows(batches)]
            found = dict(zip(lines, (e for b in batches for e in b.entities or ()), strict=True))
            assert found == {
                "<34>Oct 11 22:14:15 mail su: by udp": "mail",
                "<165>1 2026-03-01T08:20:00Z web app - - - \ufffd": "web",
                "<34>Oct 11 22:14:15 mail su: by tcp": "mail",
                "<34>1 - counted": HOST,
            }
            assert [r.reason for b in batches for r in b.rejected] == ["it is empty, and no line"]

    asyncio.run(work())


def test_syslog_takes_only_from_networks_that_are_allowed() -> None:
    async def work() -> None:
        async with listening(Syslog, allow=("10.0.0.0/8",)) as at:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.sendto(b"<34>no", (HOST, at.port))
            _, writer = await asyncio.open_connection(HOST, at.port)
            writer.write(b"<34>no\n")
            await asyncio.sleep(0.2)
            assert not at.batches

    asyncio.run(work())


def test_a_flood_by_udp_is_counted_where_it_is_dropped() -> None:
    async def work() -> None:
        source = Syslog(port=free_port())
        reading: Any = source.read(None)
        first = asyncio.create_task(anext(reading))
        await asyncio.sleep(0.1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for _ in range(22_000):  # nobody takes them meanwhile
                udp.sendto(b"<34>flood", (HOST, source.port))
                await asyncio.sleep(0)
        await first
        (told,) = (await anext(reading)).rejected
        assert told.kind == "dropped"
        assert re.match(r"[\d,]+ messages", told.reason)
        await reading.aclose()

    asyncio.run(work())


@pytest.mark.parametrize("kind", [Socket, Syslog])
def test_an_address_that_is_taken_is_told(kind: type[Socket] | type[Syslog]) -> None:
    with socket.create_server((HOST, 0)) as other:
        source = kind(port=other.getsockname()[1])

        async def work() -> None:
            await anext(source.read(None).__aiter__())

        with pytest.raises(InputError, match="cannot be listened on"):
            asyncio.run(work())


@pytest.mark.parametrize(("kind", "needs"), [(Socket, "token"), (Syslog, "allow")])
def test_beyond_this_machine_something_guards_it(kind: Any, needs: str) -> None:
    with pytest.raises(ValueError, match=needs):
        kind(port=0, host="0.0.0.0")  # noqa: S104


POSTED = b'HTTP/1.1\r\nHost: x\r\nOrigin: https://x\r\n\r\n{"n": 1}\n'
BROWSERS = {
    "a post": [b"POST / " + POSTED],
    "a long address": [b"POST /" + b"a" * 70_000 + b" " + POSTED],
    "pieces": [b"PO", b"ST ", b"/ HT", b"TP/1.1\r\n\r\n{}\n"],
    "a get": [b'GET /{"n":1} ' + POSTED],
    "TLS": [b'\x16\x03\x01\x02\x00\x01\x00\n{"n": 1}\n'],
}


@pytest.mark.parametrize("sent", BROWSERS.values(), ids=BROWSERS)
@pytest.mark.parametrize("kind", [Socket, Syslog])
def test_what_a_web_page_sends_is_refused(
    kind: type[Socket] | type[Syslog], sent: list[bytes]
) -> None:
    async def work() -> None:
        async with listening(kind) as at:
            reader, writer = await asyncio.open_connection(HOST, at.port)
            for part in sent:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)
            with suppress(ConnectionResetError):
                answer = await asyncio.wait_for(reader.read(), 5)
                assert kind is Syslog or b"not an HTTP server" in answer
            _, other = await asyncio.open_connection(HOST, at.port)
            other.write(b'{"n": 2}\n')
            assert rows(await at.wait(1)) in ([{"n": 2}], [{"line": '{"n": 2}'}])

    asyncio.run(work())


@pytest.mark.parametrize("line", ["GET /x 200 3 ms", "ERROR", "POST", "A\0", "9 <34>12345"])
def test_lines_that_are_no_request_are_taken(line: str) -> None:
    """Also one that has no end yet, where the message is complete."""

    async def work() -> None:
        async with listening(Syslog) as at:
            _, writer = await asyncio.open_connection(HOST, at.port)
            is_whole = line[0].isdigit() or line.endswith("\0")
            writer.write(line.encode() + (b"" if is_whole else b"\n"))
            assert rows(await at.wait(1)) == [{"line": line.rstrip("\0").removeprefix("9 ")}]

    asyncio.run(work())


def test_who_gives_no_token_may_neither_wait_nor_send_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSH_TOKEN", "correct-horse")
    monkeypatch.setattr("tocsin.sources.socket.PATIENCE", 0.3)

    async def work() -> None:
        async with listening(Socket, token={"env": "PUSH_TOKEN"}) as at:
            silent, _ = await asyncio.open_connection(HOST, at.port)
            assert b"error" in await asyncio.wait_for(silent.readline(), 5)
            talkative, writer = await asyncio.open_connection(HOST, at.port)
            writer.write(b"x" * 5_000)
            assert b"error" in await asyncio.wait_for(talkative.readline(), 5)
            _, writer = await asyncio.open_connection(HOST, at.port)
            for part in (b'{"token": "correct', b'-horse"}\n{"n"', b": 2}\n"):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)
            assert rows(await at.wait(1)) == [{"n": 2}]

    asyncio.run(work())


@pytest.mark.parametrize("kind", [Socket, Syslog])
def test_more_clients_than_allowed_are_turned_away(kind: type[Socket] | type[Syslog]) -> None:
    async def work() -> None:
        async with listening(kind, connections=3) as at:
            silent = [await asyncio.open_connection(HOST, at.port) for _ in range(3)]
            await asyncio.sleep(0.1)
            reader, _ = await asyncio.open_connection(HOST, at.port)
            assert await asyncio.wait_for(reader.read(), 5) == b""
            for _, writer in silent:
                writer.close()
            await asyncio.sleep(0.1)
            _, writer = await asyncio.open_connection(HOST, at.port)
            writer.write(b'{"n": 4}\n')
            await at.wait(1)

    asyncio.run(work())
