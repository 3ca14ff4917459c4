"""Syslog by the network: every message one event, however it is framed, with its severity."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import random
import socket
import subprocess
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.servers import HOST, free_port, program, rsyslog
from tocsin.prepare.log_formats import parse, recognise
from tocsin.readers.lines import RawLine
from tocsin.sources._messages import MessageSplitter
from tocsin.sources.syslog import Syslog

N = 300


def sent(kind: str, i: int) -> str:
    """Return the i-th message of a kind, of which the 201st is the only one that is critical."""
    priority = 34 if i == 200 else 38
    text = f"message {i} of many"
    return {
        "5424": f"<{priority}>1 2026-01-02T12:00:00.{i:06d}+02:00 web{i % 3} app {i} ID47 "
        f'[origin@32473 ip="192.0.2.{i % 250}"] {text}',
        "3164": f"<{priority}>Jan  2 12:00:{i % 60:02d} web{i % 3} app[{i}]: {text}",
        "iso": f"<{priority}>2026-01-02T12:00:00.{i:06d}+02:00 web{i % 3} app[{i}]: {text}",
        "bare": f"<{priority}>{text}",
    }[kind]


KINDS = ["5424", "3164", "iso", "bare"]
FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "counted": lambda message: b"%d %s" % (len(message), message),
    "counted, with a line feed inside the count": lambda m: b"%d %s\n" % (len(m) + 1, m),
    "counted, and a line feed after it": lambda m: b"%d %s\n" % (len(m), m),
    "line feed": lambda message: message + b"\n",
    "carriage return and line feed": lambda message: message + b"\r\n",
    "NUL": lambda message: message + b"\0",
}


def split(stream: bytes, seed: int, largest: int = 16_384) -> list[bytes]:
    """Return the messages of a stream that comes in pieces of any size."""
    rng, splitter, found = random.Random(seed), MessageSplitter(largest), []  # noqa: S311
    while stream:
        size = rng.choice([1, 7, 100, 65_536])
        found += splitter.feed(stream[:size])
        stream = stream[size:]
    return found + splitter.end()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frame", FRAMES)
def test_a_message_each_however_it_is_framed(frame: str, kind: str) -> None:
    """Octet counting, line feeds, NUL (RFC 6587): a message each, none lost."""
    messages = [sent(kind, i).encode() for i in range(N)]
    assert split(b"".join(map(FRAMES[frame], messages)), seed=1) == messages


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(list(FRAMES)), min_size=1, max_size=30), st.integers(0, 9))
def test_frames_of_several_kinds_on_one_connection(frames: list[str], seed: int) -> None:
    """One connection with all ways to frame, one after the other."""
    messages = [sent(KINDS[i % 4], i).encode() for i in range(len(frames))]
    stream = b"".join(FRAMES[f](m) for f, m in zip(frames, messages, strict=True))
    assert split(stream, seed) == messages


def test_a_counted_message_of_several_lines_is_one() -> None:
    """A stack trace that is counted is one event."""
    trace = sent("5424", 7).encode() + b"\n\tat Main.java:7\n\tat Main.java:1"
    stream = b"".join(FRAMES["counted"](each) for each in (trace, b"<34>next", trace))
    assert split(stream, seed=2) == [trace, b"<34>next", trace]


def test_what_is_too_long_is_cut_and_the_next_one_read() -> None:
    """A message beyond the limit is cut, framed in any way, and none after it is lost."""
    long = b"<34>" + b"x" * 5_000
    for frame in FRAMES.values():
        found = split(frame(long) + frame(b"<34>next"), seed=3, largest=100)
        assert found == [long[:101], b"<34>next"]


def test_lines_that_begin_with_a_number_are_lines() -> None:
    """A number before a text is no length: 12 monkeys, 999999999 <b>."""
    lines = [b"12 monkeys", b"999999999 <b>", b"7", b"7 "]
    assert split(b"\n".join(lines) + b"\n", seed=4) == lines


async def received(send: Callable[[int], Any], n: int, **more: Any) -> dict[str, str]:
    """Return the lines that come of n messages, each with its entity."""
    source = Syslog(**{"port": free_port(), **more})
    found: dict[str, str] = {}
    async with asyncio.timeout(60), aclosing(source.read(None)) as reading:  # type: ignore[type-var]
        first = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0.3)
        sending = asyncio.create_task(asyncio.to_thread(send, source.port))
        batch = await first
        while True:
            assert batch.entities is not None
            found.update(zip(batch.frame["line"], batch.entities, strict=True))
            if len(found) >= n:
                break
            batch = await anext(reading)
        await sending
    return found


def levels(lines: list[str]) -> list[str]:
    """Return the levels that models of logs read from lines."""
    raw = [RawLine("net", i, line) for i, line in enumerate(lines)]
    return [record.level for record in parse(raw, recognise(lines))]


@pytest.mark.parametrize("kind", KINDS)
def test_severity_and_host_come_through(kind: str) -> None:
    """The severity is that of a file of the same lines; the entity is the host that is named."""
    messages = [sent(kind, i) for i in range(N)]

    def send(port: int) -> None:
        with socket.create_connection((HOST, port)) as client:
            client.sendall(b"".join(FRAMES["counted"](each.encode()) for each in messages))

    found = asyncio.run(received(send, N))
    assert list(found) == messages
    assert set(found.values()) == ({HOST} if kind == "bare" else {"web0", "web1", "web2"})
    assert levels(list(found)) == ["CRITICAL" if i == 200 else "INFO" for i in range(N)]


def test_the_entity_may_be_the_sender() -> None:
    """``entity: sender`` keeps the address that sent a message."""

    def send(port: int) -> None:
        with socket.create_connection((HOST, port)) as client:
            client.sendall(sent("5424", 0).encode())

    assert set(asyncio.run(received(send, 1, entity="sender")).values()) == {HOST}


def test_pythons_own_handler_loses_nothing() -> None:
    """SysLogHandler of Python ends its messages with NUL, by TCP too."""

    def send(port: int) -> None:
        handler = logging.handlers.SysLogHandler((HOST, port), socktype=socket.SOCK_STREAM)
        for i in range(N):
            level = logging.CRITICAL if i == 200 else logging.INFO
            handler.emit(logging.LogRecord("app", level, "", 0, f"message {i}", None, None))
        handler.close()

    found = asyncio.run(received(send, N))
    assert len(found) == N
    assert levels(list(found)).index("CRITICAL") == 200


def test_logger_of_util_linux_loses_nothing() -> None:
    """``logger -T --octet-count``: a line each."""
    logger = program("logger", "apt-get install bsdutils")
    text = "".join(f"line {i}\n" for i in range(N))

    def send(port: int) -> None:
        to = ["-n", HOST, "-P", str(port), "-T", "--rfc5424", "--octet-count", "-t", "app"]
        subprocess.run([logger, *to], input=text.encode(), check=True, timeout=30)

    found = list(asyncio.run(received(send, N)))
    assert [line.rsplit(" ", 1)[1] for line in found] == [str(i) for i in range(N)]


@pytest.mark.parametrize("framing", ["octet-counted", "traditional"])
def test_rsyslog_loses_nothing(tmp_path: Path, framing: str) -> None:
    """A relay of rsyslog, counted or by lines: 2,000 messages of three hosts are 2,000 events."""
    many, port = 2_000, free_port()
    with rsyslog(tmp_path, port, framing) as relay:

        def send(_: int) -> None:
            with socket.create_connection((HOST, relay.port)) as client:
                for i in range(many):
                    client.sendall(sent("5424", i).encode() + b"\n")

        found = asyncio.run(received(send, many, port=port))
    assert len(found) == many
    assert set(found.values()) == {"web0", "web1", "web2"}
