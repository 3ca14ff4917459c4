"""Syslog over UDP and TCP: every message is a log line."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Self

from pydantic import Field, model_validator

from tocsin.sources._lines import LineSplitter
from tocsin.sources._listening import ListeningSource, is_loopback
from tocsin.sources._records import lines_of
from tocsin.types import Batch, Offset, Rejection

log = logging.getLogger(__name__)

_PRIORITY = re.compile(rb"<\d{1,3}>(?:1 )?")
_COUNTED = re.compile(rb"\d{1,7} (?=<)")
_MOST = 1_000
_WAITING = 20_000
_BUFFER = 4_194_304  # bytes that the system keeps, if it allows so many

_Message = tuple[bytes, str]


class Syslog(ListeningSource):
    """A server for RFC 3164 and RFC 5424 messages, by UDP and TCP at one port.

    An event is the message as a line, without its priority; its entity is the address that sent
    it, its time that of arrival. Syslog knows no acknowledgement: by UDP, messages that come
    faster than they are kept are dropped, and counted in quarantine unless the system dropped them
    before; by TCP the sender is held up, and what is on the way at a crash is lost. It knows no
    token either: beyond the loopback name the networks that may send in ``allow``.
    """

    allow: tuple[str, ...] = ()
    largest: int = Field(16_384, ge=480, le=1_000_000)

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        for network in self.allow:
            ipaddress.ip_network(network)
        if not self.allow and not is_loopback(self.host):
            raise ValueError(
                f'host "{self.host}" listens beyond this machine; name who may send, for instance '
                'allow: ["10.0.0.0/8"]'
            )
        return self

    @classmethod
    def needs_token(cls) -> bool:
        """Return False: ``allow`` guards it."""
        return False

    def allows(self, sender: str) -> bool:
        """Return whether an address may send."""
        address = ipaddress.ip_address(sender)
        networks = map(ipaddress.ip_network, self.allow)
        return not self.allow or any(address in network for network in networks)

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield what comes, as it comes."""
        inbox = _Inbox(self)
        loop = asyncio.get_running_loop()
        server = await self.listen(inbox.serve)
        host, port = server.sockets[0].getsockname()[:2]
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: inbox, (host, port))
        except OSError as error:
            server.close()
            raise self.taken(error) from error
        udp = transport.get_extra_info("socket")
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        log.info("listening for syslog on %s:%d", host, port)
        try:
            while True:
                group = [await inbox.messages.get()]
                while len(group) < _MOST and not inbox.messages.empty():
                    group.append(inbox.messages.get_nowait())
                yield self._batch(group, inbox.taken_dropped())
        finally:
            transport.close()
            server.close()

    def describe(self) -> str:
        """Return where it listens."""
        return f"syslog at {self.host}:{self.port}"

    def _batch(self, group: list[_Message], dropped: int) -> Batch:
        raw = [_PRIORITY.sub(b"", message, count=1) for message, _ in group]
        batch = lines_of(raw, self.largest, entities=[sender for _, sender in group])
        if not dropped:
            return batch
        told = Rejection("dropped", f"{dropped:,} messages came faster than they were kept", "")
        return replace(batch, rejected=(told,))


class _Inbox(asyncio.DatagramProtocol):
    """Where messages of all senders wait, in bounded memory."""

    def __init__(self, settings: Syslog) -> None:
        self.messages: asyncio.Queue[_Message] = asyncio.Queue(_WAITING)
        self._settings = settings
        self._dropped = 0

    def taken_dropped(self) -> int:
        """Return how many datagrams were dropped since this was asked last."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a datagram, or drop it where it can neither wait nor be refused."""
        if not self._settings.allows(addr[0]):
            return
        try:
            self.messages.put_nowait((data.rstrip(b"\r\n\0"), addr[0]))
        except asyncio.QueueFull:
            self._dropped += 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take the lines of one TCP sender, held up while the inbox is full."""
        sender = writer.get_extra_info("peername")[0]
        splitter = LineSplitter(self._settings.largest)
        try:
            while self._settings.allows(sender):
                data = await reader.read(65_536)
                for line in splitter.feed(data) if data else splitter.end():
                    if line:
                        await self.messages.put((_COUNTED.sub(b"", line, count=1), sender))
                if not data:
                    break
        except OSError as error:
            log.debug("%s left: %s", sender, error)
        finally:
            writer.close()
