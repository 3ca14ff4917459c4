"""JSON lines over TCP, acknowledged once they are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import cast

import msgspec

from tocsin.sources._lines import LineSplitter
from tocsin.sources._listening import PATIENCE, ListeningSource, first_bytes, is_browser
from tocsin.sources._records import Fields, batch_of
from tocsin.types import Batch, Offset

log = logging.getLogger(__name__)

_CHUNK = 65_536
_MOST = 1_000
_WAITING = 16
_MOST_BEFORE_TOKEN = 4_096  # bytes


class _Client:
    """A client, and how many of its lines are stored."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.kept = 0

    def confirm(self, n: int) -> None:
        """Tell the client that N more of its lines are stored; it may have left."""
        self.kept += n
        if self.writer.is_closing():
            return
        if self.writer.transport.get_write_buffer_size() > _CHUNK:
            self.writer.close()  # it does not read, and must not delay the others
        with suppress(OSError):
            self.writer.write(b'{"kept": %d}\n' % self.kept)


_Pushed = tuple[list[bytes], _Client]


class Socket(ListeningSource):
    """A TCP server for JSON objects, one per line; port 0 takes a free one, which is logged.

    Lines end with a line feed, or with NUL as in GELF.

    After each commit a client is sent ``{"kept": n}``, how many of its lines are in the store or
    in quarantine by then; a client that sends its events again after a lost connection gives each
    an ``id``, so that none counts twice. With a ``token`` the first line is ``{"token": "…"}``.
    A client that is faster than the monitor has to wait. There is no encryption: beyond one
    machine put a TLS proxy in front.
    """

    fields: Fields = Fields()

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield the events that clients send, as they come."""
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
                # One batch per client: one that sends no ids takes none from the others.
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
        data = await self._first_data(reader)
        if (refusal := self._refusal(data)) is not None:
            writer.write(b'{"error": "%s"}\n' % refusal)
            writer.close()
            return
        if self.token is not None:
            data = data.partition(b"\n")[2] or await reader.read(_CHUNK)
        while data:
            # No JSON holds a NUL: it is how GELF and others end an event.
            await self._push(splitter.feed(data.replace(b"\0", b"\n")), client, pushed)
            data = await reader.read(_CHUNK)
        await self._push(splitter.end(), client, pushed)

    async def _push(
        self, lines: Iterable[bytes], client: _Client, pushed: asyncio.Queue[_Pushed]
    ) -> None:
        held = [line for line in lines if line]
        for start in range(0, len(held), _MOST):
            await pushed.put((held[start : start + _MOST], client))

    async def _first_data(self, reader: asyncio.StreamReader) -> bytes:
        """Return what a client begins with: all of its first line where a token is asked for.

        Before that is given, nobody may wait long or send much.
        """
        if self.token is None:
            return await first_bytes(reader)
        data = b""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while b"\n" not in data and len(data) < _MOST_BEFORE_TOKEN:
                    more = await reader.read(_MOST_BEFORE_TOKEN)
                    if not more:
                        break
                    data += more
        return data

    def _refusal(self, data: bytes) -> bytes | None:
        """Return why a client that begins so is not served, None for one that is."""
        if is_browser(data):
            return b"this is not an HTTP server; send JSON objects, one per line"
        if self.token is not None and not self._permits(data.partition(b"\n")[0]):
            return b'the first line is no {\\"token\\": ...} known here'
        return None

    def _permits(self, line: bytes) -> bool:
        try:
            given = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError):
            return False
        return isinstance(given, dict) and self.permits(given.get("token"))

    def _batch(self, lines: list[bytes], client: _Client) -> Batch:
        async def acknowledge() -> None:
            client.confirm(len(lines))

        return batch_of(lines, self.fields, acknowledge=acknowledge)
