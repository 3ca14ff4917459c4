"""JSON lines over TCP, acknowledged once they are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import msgspec

from tocsin.sources._lines import LineSplitter
from tocsin.sources._listening import ListeningSource
from tocsin.sources._records import Fields, batch_of
from tocsin.types import Batch, Offset

log = logging.getLogger(__name__)

_CHUNK = 65_536
_MOST = 1_000
_WAITING = 16


class _Client:
    """A client, and how many of its lines are kept."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.kept = 0

    def tell(self, n: int) -> None:
        """Tell the client that so many more of its lines are kept; it may have left."""
        self.kept += n
        if self.writer.is_closing():
            return
        if self.writer.transport.get_write_buffer_size() > _CHUNK:
            self.writer.close()  # it does not listen, and must not hold up the others
        with suppress(OSError):
            self.writer.write(b'{"kept": %d}\n' % self.kept)


_Pushed = tuple[list[bytes], _Client]


class Socket(ListeningSource):
    """A TCP server for JSON objects, one a line; port 0 takes a free one, told in the log.

    After each commit a client is sent ``{"kept": n}``, how many of its lines are in the store or
    in quarantine by then; a client that sends its events again after a lost connection gives each
    an ``id``, so that none counts twice. With a ``token`` the first line is ``{"token": "…"}``.
    A client that is faster than the monitor is held up. There is no encryption: beyond one
    machine put a TLS proxy before it.
    """

    fields: Fields = Fields()

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield what clients send, as it comes."""
        pushed: asyncio.Queue[_Pushed] = asyncio.Queue(_WAITING)

        serving: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            serving.add(task := cast("asyncio.Task[None]", asyncio.current_task()))
            task.add_done_callback(serving.discard)
            try:
                await self._serve(reader, writer, pushed)
            except (OSError, asyncio.CancelledError) as error:
                log.debug("a client left: %s", error)
                writer.close()

        server = await self.listen(serve)
        log.info("listening on %s:%d", *server.sockets[0].getsockname()[:2])
        try:
            while True:
                group = [await pushed.get()]
                while sum(len(lines) for lines, _ in group) < _MOST and not pushed.empty():
                    group.append(pushed.get_nowait())
                # A batch a client: one that sends no ids takes none from the others.
                for client in dict.fromkeys(client for _, client in group):
                    lines = [line for lines, its in group if its is client for line in lines]
                    yield self._batch(lines, client)
        finally:
            server.close()
            for task in tuple(serving):  # else clients would wait for answers that never come
                task.cancel()

    def describe(self) -> str:
        """Return where it listens."""
        return f"JSON lines at {self.host}:{self.port}"

    async def _serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        pushed: asyncio.Queue[_Pushed],
    ) -> None:
        splitter, client = LineSplitter(self.fields.largest), _Client(writer)
        permitted = self.token is None
        ended = False
        while not ended:
            data = await reader.read(_CHUNK)
            ended = not data
            lines = [line for line in (splitter.feed(data) if data else splitter.end()) if line]
            if lines and not permitted:
                permitted = self._permits(lines.pop(0))
                if not permitted:
                    writer.write(
                        b'{"error": "the first line is no {\\"token\\": ...} known here"}\n'
                    )
                    writer.close()
                    return
            for start in range(0, len(lines), _MOST):
                await pushed.put((lines[start : start + _MOST], client))

    def _permits(self, line: bytes) -> bool:
        try:
            given = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            return False
        return isinstance(given, dict) and self.permits(given.get("token"))

    def _batch(self, lines: list[bytes], client: _Client) -> Batch:
        async def acknowledge() -> None:
            client.tell(len(lines))

        return batch_of(lines, self.fields, acknowledge=acknowledge)
