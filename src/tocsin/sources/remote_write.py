"""Samples that Prometheus pushes by its remote-write protocol."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import struct
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import TimeoutError as NotInTime
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import Field

from tocsin.errors import InputError, MissingExtra
from tocsin.settings import Duration
from tocsin.sources._listening import ListeningSource
from tocsin.types import Batch, Offset

log = logging.getLogger(__name__)

_WAITING = 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_Values = dict[tuple[int, str], dict[str, float]]
"""By milliseconds and entity the values of metrics."""
_Pushed = tuple[_Values, threading.Event]


class RemoteWrite(ListeningSource):
    """An HTTP server that Prometheus writes to: ``remote_write: [{url: http://HOST:PORT/}]``.

    An event holds what one request states about an entity at a time, in the columns ``metrics``;
    absent ones and stale markers are missing values, and other metrics are left out. ``entity``
    names the labels that identify an entity. A request is answered with 204 once its samples are
    stored; one that can wait no longer is answered with 503, upon which Prometheus sends it
    again. Events are identified by entity and time, so none counts twice. A ``token`` is required
    as ``Authorization: Bearer``; beyond one machine put a TLS proxy in front.

    Prometheus Remote-Write 1.0 (snappy, protobuf); needs the package cramjam.
    """

    ordered: ClassVar[bool] = True

    metrics: tuple[str, ...] = Field(min_length=1)
    entity: tuple[str, ...] = ("instance",)
    largest: int = Field(32_000_000, ge=1_000)
    timeout: Duration = Field(30.0, gt=0)

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield samples as they are written."""
        try:
            import cramjam  # noqa: F401 - so that a missing package is noticed before the first request
        except ImportError as error:
            raise MissingExtra("cramjam", extra="prometheus") from error
        pushed: asyncio.Queue[_Pushed] = asyncio.Queue(_WAITING)
        try:
            server = _Server(self, pushed, asyncio.get_running_loop())
        except OSError as error:
            raise self.unusable(error) from error
        threading.Thread(target=server.serve_forever, daemon=True).start()
        log.info("listening for remote writes on %s:%d", *server.server_address[:2])
        try:
            while True:
                yield self._batch(*await pushed.get())
        finally:
            await asyncio.to_thread(server.shutdown)
            server.server_close()

    def describe(self) -> str:
        """Return where it listens."""
        return f"remote writes at {self.host}:{self.port}"

    def taken_of(self, body: bytes) -> _Values:
        """Return the values that a request holds. Raises InputError for one that is malformed."""
        found: _Values = {}
        for series in _fields(_decompressed(body, self.largest), 1):
            labels = dict(_label(label) for label in _fields(series, 1))
            metric = labels.get("__name__", "")
            if metric not in self.metrics:
                continue
            about = "/".join(labels.get(name, "") for name in self.entity)
            for sample in _fields(series, 2):
                at, value = _sample(sample)
                if math.isfinite(value):
                    found.setdefault((at, about), {})[metric] = value
        return found

    def _batch(self, values: _Values, done: threading.Event) -> Batch:
        async def acknowledge() -> None:
            done.set()

        keys = sorted(values)
        columns = {name: [values[key].get(name, np.nan) for key in keys] for name in self.metrics}
        return Batch(
            pd.DataFrame(columns, dtype=np.float64),
            np.array([at * 1_000 for at, _ in keys], dtype="datetime64[us]"),
            tuple(f"{at}-{entity}-{','.join(sorted(values[at, entity]))}" for at, entity in keys),
            tuple(entity for _, entity in keys),
            acknowledge=acknowledge,
        )


class _Server(ThreadingHTTPServer):
    """Serves each connection in a thread of its own, up to ``connections`` at once."""

    daemon_threads = True

    def __init__(
        self,
        settings: RemoteWrite,
        pushed: asyncio.Queue[_Pushed],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.settings = settings
        self.pushed = pushed
        self.loop = loop
        self._free = threading.Semaphore(settings.connections)
        super().__init__((settings.host, settings.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection, or close it where there are too many."""
        if not self._free.acquire(blocking=False):
            log.warning("more than %d clients; one is turned away", self.settings.connections)
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection until it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong with a connection: most often its client has left."""
        log.debug("a connection ended by %r", sys.exception())


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def handle_one_request(self) -> None:
        """Read one request; disconnect a client that idles or takes too long over its headers."""
        with self._deadline() as self._headers:
            super().handle_one_request()

    def do_POST(self) -> None:
        """Answer a request: 204 once it is stored, 4xx for a mistake, 503 for "try again"."""
        self._headers.cancel()
        settings = self.server.settings
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        length = self.headers.get("Content-Length") or ""
        kinds = (self.headers.get("Content-Encoding"), self.headers.get_content_type())
        if "Origin" in self.headers:
            self._answer(403, "web pages may not write here")
        elif not settings.permits(token):
            self._answer(401, "the token is not the right one")
        elif kinds != ("snappy", "application/x-protobuf"):
            self._answer(415, "a remote write is application/x-protobuf in snappy encoding")
        elif not (length.isascii() and length.isdigit()) or int(length) > settings.largest:
            self._answer(413, f"a request has at most {settings.largest:,} bytes")
        else:
            try:
                with self._deadline():
                    body = self.rfile.read(int(length))
                values = settings.taken_of(body)
            except InputError as error:
                self._answer(400, str(error))
                return
            kept = not values or self._kept(values)
            self._answer(204 if kept else 503, "" if kept else "not kept in time; send it again")

    @contextmanager
    def _deadline(self) -> Iterator[threading.Timer]:
        """End the connection unless the block ends in time, however slowly data drips in."""

        def hang_up() -> None:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.timeout, hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield timer
        finally:
            timer.cancel()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""

    def _kept(self, values: _Values) -> bool:
        done, limit = threading.Event(), self.server.settings.timeout
        put = asyncio.run_coroutine_threadsafe(
            self.server.pushed.put((values, done)), self.server.loop
        )
        try:
            put.result(limit)
        except (NotInTime, RuntimeError):
            put.cancel()
            return False
        return done.wait(limit)

    def _answer(self, status: int, reason: str) -> None:
        body = reason.encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        if status in (401, 403, 413, 415):
            self.close_connection = True  # what was sent is not read
        self.end_headers()
        if status != 204:
            self.wfile.write(body)


def _decompressed(body: bytes, largest: int) -> bytes:
    import cramjam

    try:
        length, _ = _varint(body, 0)
        if length > largest:
            raise InputError(f"the request unpacks to {length:,} bytes; at most {largest:,} are.")
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise InputError(f"the request is not a snappy block: {error}.") from error


def _fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the values of a field of bytes in a protobuf message."""
    for number, kind, value in _parts(message):
        if number == wanted and kind == _BYTES:
            yield value


def _label(message: bytes) -> tuple[str, str]:
    name, value = next(_fields(message, 1), b""), next(_fields(message, 2), b"")
    return name.decode("utf-8", "replace"), value.decode("utf-8", "replace")


def _sample(message: bytes) -> tuple[int, float]:
    """Return milliseconds since 1970 and a value; protobuf leaves out zeros."""
    value, at = 0.0, 0
    for number, kind, raw in _parts(message):
        if (number, kind) == (1, _FIXED64):
            value = struct.unpack("<d", raw)[0]
        elif (number, kind) == (2, _VARINT):
            at = int.from_bytes(raw, "little", signed=True)
    if abs(at) > 2**53:
        raise InputError(f"the request holds the time {at}, which is none.")
    return at, value


def _parts(message: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, wire type and value of each field; a varint as 8 bytes, little-endian."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, kind, value.to_bytes(8, "little")
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if kind == _BYTES:
            size, at = _varint(message, at)
        if size < 0 or at + size > len(message):
            raise InputError("the request is not a remote write: its protobuf is broken.")
        yield key >> 3, kind, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (2**64 - 1), at
    raise InputError("the request is not a remote write: a number in it does not end.")
