"""Samples that Prometheus pushes by its remote-write protocol."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import sys
import threading
import time
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
from tocsin.sources._gathering import Gathered, Gathering
from tocsin.sources._listening import PATIENCE, ListeningSource
from tocsin.sources._protobuf import varint
from tocsin.sources._samples import PROTOCOLS, Request, request_of
from tocsin.types import Batch, Offset, Rejection

log = logging.getLogger(__name__)

_WAITING = 16
_MOST_HEADERS = 16_384  # bytes of a request before its body
_COUNTERS = ("_total", "_count", "_sum", "_bucket")

_Pushed = tuple[Request, threading.Event]


class RemoteWrite(ListeningSource):
    """An HTTP server that Prometheus writes to: ``remote_write: [{url: http://HOST:PORT/}]``.

    An event holds what is written about an entity at a time, in the columns ``metrics``; absent
    ones and stale markers are missing values, and other metrics are left out. ``entity`` names the
    labels that identify an entity. Several series of one metric and entity are a column each,
    named with the labels by which they differ: lat_bucket{le="0.5"}. A native histogram is its
    count and sum, in columns that end in _count and _sum. Counters are kept as they are: models of
    series take their growth, models of tables leave them out; for rates, write a recording rule.

    The samples of a scrape may come in several requests: those of one entity and time are gathered
    until all series of its earlier events are there, or for ``gather``; later ones are
    quarantined. A request is answered with 204 once its samples are stored; one that can wait no
    longer is answered with 503, upon which Prometheus sends it again. Events are identified by
    entity and time, so none counts twice. One of more than ``most`` series, labels and samples is
    refused. A ``token`` is required as ``Authorization: Bearer``;
    beyond one machine put a TLS proxy in front.

    Prometheus Remote-Write 1.0 and 2.0 (snappy, protobuf); needs the package cramjam.
    """

    ordered: ClassVar[bool] = True

    metrics: tuple[str, ...] = Field(min_length=1)
    entity: tuple[str, ...] = ("instance",)
    largest: int = Field(32_000_000, ge=1_000)
    most: int = Field(200_000, ge=1)
    timeout: Duration = Field(30.0, gt=0)
    gather: Duration = Field(5.0, ge=0.01)

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield samples as they are written."""
        try:
            import cramjam  # noqa: F401 - so that it is missed before the first request
        except ImportError as error:
            raise MissingExtra("cramjam", extra="prometheus") from error
        pushed: asyncio.Queue[_Pushed] = asyncio.Queue(_WAITING)
        try:
            server = _Server(self, pushed, asyncio.get_running_loop())
        except OSError as error:
            raise self.unusable(error) from error
        threading.Thread(target=server.serve_forever, daemon=True).start()
        log.info("listening for remote writes on %s:%d", *server.server_address[:2])
        gathering = Gathering(self.gather, offset)
        try:
            while True:
                request = done = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(gathering.due(time.monotonic())):
                        request, done = await pushed.get()
                now = time.monotonic()
                refused = [] if request is None else gathering.add(request.samples, now)
                yield self._batch(gathering, gathering.taken(now), refused, done)
        finally:
            await asyncio.to_thread(server.shutdown)
            server.server_close()

    def describe(self) -> str:
        """Return where it listens."""
        return f"remote writes at {self.host}:{self.port}"

    def check(self) -> str:
        """Return which metrics seem to be counters, "" for none. Raises ParameterError."""
        counters = [metric for metric in self.metrics if metric.endswith(_COUNTERS)]
        if not (remark := super().check()) and counters:
            remark = (
                f"{', '.join(counters)} only grow, as counters do, and are kept as they are: write "
                "a recording rule with rate(), or take the source prometheus"
            )
        return remark

    def request(self, body: bytes, version: int = 1) -> Request:
        """Return what a request holds. Raises InputError for one that is malformed."""
        message = _decompressed(body, self.largest)
        return request_of(message, version, self.metrics, self.entity, self.most)

    def _batch(
        self,
        gathering: Gathering,
        events: list[Gathered],
        refused: list[Rejection],
        done: threading.Event | None,
    ) -> Batch:
        async def acknowledge() -> None:
            if done is not None:
                done.set()

        columns = {
            name: [event.values.get(name, np.nan) for event in events]
            for name in gathering.columns(self.metrics, events)
        }
        return Batch(
            pd.DataFrame(columns, dtype=np.float64),
            np.array([event.at * 1_000 for event in events], dtype="datetime64[us]"),
            tuple(f"{event.at}-{event.entity}" for event in events),
            tuple(event.entity for event in events),
            gathering.offset(),
            tuple(refused),
            acknowledge,
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


class _BoundedHeaders(io.BufferedReader):
    """A connection on which the lines of a request come to at most 16 kB."""

    left = 0

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return a line. Raises InputError where there are too many, or too long ones."""
        line = super().readline(self.left + 1)
        self.left -= len(line)
        if self.left < 0:
            raise InputError(f"the headers of a request have at most {_MOST_HEADERS:,} bytes")
        return line


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    rfile: _BoundedHeaders
    protocol_version = "HTTP/1.1"
    timeout = 60.0

    def setup(self) -> None:
        """Begin with a client that has given no token yet."""
        super().setup()
        self.rfile = _BoundedHeaders(self.rfile.detach())
        self._patience = min(PATIENCE, self.timeout)

    def handle_one_request(self) -> None:
        """Read one request; disconnect a client that idles or takes too long over its headers."""
        self.rfile.left = _MOST_HEADERS
        with self._deadline(self._patience) as self._headers:
            super().handle_one_request()

    def do_POST(self) -> None:
        """Answer a request: 204 once it is stored, 4xx for a mistake, 503 for "try again"."""
        self._headers.cancel()
        settings = self.server.settings
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        length = self.headers.get("Content-Length") or ""
        kinds = (self.headers.get("Content-Encoding"), self.headers.get_content_type())
        protocol = self.headers.get_param("proto")
        if "Origin" in self.headers:
            self._answer(403, "web pages may not write here")
        elif not settings.permits(token):
            self._answer(401, "the token is not the right one")
        elif kinds != ("snappy", "application/x-protobuf") or protocol not in PROTOCOLS:
            self._answer(
                415, "a remote write 1.0 or 2.0 is application/x-protobuf in snappy encoding"
            )
        elif not (length.isascii() and length.isdigit()) or int(length) > settings.largest:
            self._answer(413, f"a request has at most {settings.largest:,} bytes")
        else:
            self._patience = self.timeout
            try:
                with self._deadline(self.timeout):
                    body = self.rfile.read(int(length))
                request = settings.request(body, PROTOCOLS[protocol])
            except InputError as error:
                self._answer(400, str(error))
                return
            if request.samples and not self._kept(request):
                self._answer(503, "not kept in time; send it again")
            else:
                self._answer(204, request=request)

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[threading.Timer]:
        """End the connection unless the block ends in time, however slowly data drips in."""

        def hang_up() -> None:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(seconds, hang_up)
        timer.daemon = True
        timer.start()
        try:
            yield timer
        finally:
            timer.cancel()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""

    def _kept(self, request: Request) -> bool:
        done, limit = threading.Event(), self.server.settings.timeout
        put = asyncio.run_coroutine_threadsafe(
            self.server.pushed.put((request, done)), self.server.loop
        )
        try:
            put.result(limit)
        except (NotInTime, RuntimeError):
            put.cancel()
            return False
        return done.wait(limit)

    def _answer(self, status: int, reason: str = "", *, request: Request | None = None) -> None:
        body = reason.encode()
        self.send_response(status)
        if request is not None:  # else a sender of 2.0 takes its samples for lost
            counts = {"Samples": request.floats, "Histograms": request.histograms, "Exemplars": 0}
            for what, count in counts.items():
                self.send_header(f"X-Prometheus-Remote-Write-{what}-Written", str(count))
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
        length, _ = varint(body, 0)
        if length > largest:
            raise InputError(f"the request unpacks to {length:,} bytes; at most {largest:,} are.")
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise InputError(f"the request is not a snappy block: {error}.") from error
