"""Syslog over UDP and TCP: every message is a log line."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field, model_validator

from tocsin.sources._listening import ListeningSource, first_bytes, is_browser, is_loopback
from tocsin.sources._messages import MessageSplitter
from tocsin.sources._records import lines_of
from tocsin.types import Batch, Offset, Rejection

log = logging.getLogger(__name__)

_HOST = re.compile(
    rb"<\d{1,3}>(?:1 )?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S+)"
    rb" (?=\S*\w )([\w.:-]{1,255}) "
)
_MOST = 1_000
_WAITING = 20_000
_BUFFER = 4_194_304  # bytes that the system buffers, if it allows that many

_Message = tuple[bytes, str]


class Syslog(ListeningSource):
    """A server for RFC 3164 and RFC 5424 messages, by UDP and TCP at one port.

    An event is the message as a line, as in a file that keeps priorities, so that models of logs
    read its level, host and structured data. By TCP each message is counted (RFC 6587) or ends
    with a line feed or NUL; a counted one may hold several lines. The entity is the ``host`` that
    the message names, or else the address of the ``sender``; the time is that of arrival. A client
    that begins with an HTTP request or TLS, as a web page may have it sent, is refused. Syslog has
    no acknowledgement: by UDP, messages that come faster than they are stored are dropped, and
    counted in quarantine unless the system dropped them before; by TCP the sender has to wait, and
    messages on the way at a crash are lost. It has no token either: beyond the loopback interface,
    ``allow`` names the networks that may send.
    """

    allow: tuple[str, ...] = ()
    entity: Literal["host", "sender"] = "host"
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
            raise self.unusable(error) from error
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
        entities = [self._entity(message, sender) for message, sender in group]
        batch = lines_of([message for message, _ in group], self.largest, entities=entities)
        if not dropped:
            return batch
        lost = Rejection("dropped", f"{dropped:,} messages came faster than they were kept", "")
        return replace(batch, rejected=(*batch.rejected, lost))

    def _entity(self, message: bytes, sender: str) -> str:
        named = _HOST.match(message) if self.entity == "host" else None
        return sender if named is None else named[1].decode("ascii", "replace")


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
        """Take the messages of one TCP sender, held up while the inbox is full."""
        sender = writer.get_extra_info("peername")[0]
        splitter = MessageSplitter(self._settings.largest)
        try:
            if not self._settings.allows(sender):
                return
            data = await first_bytes(reader)
            if is_browser(data):
                log.warning("%s sent an HTTP request or TLS, not syslog; it is refused", sender)
                return
            while True:
                for message in splitter.feed(data) if data else splitter.end():
                    await self.messages.put((message, sender))
                if not data:
                    break
                data = await reader.read(65_536)
        except OSError as error:
            log.debug("%s left: %s", sender, error)
        finally:
            writer.close()
