"""What servers for pushed events share: where they listen, and who may push."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Self

from pydantic import Field, model_validator

from tocsin.base.source import Source
from tocsin.errors import InputError
from tocsin.settings import Secret

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that a client has to authenticate before it is disconnected."""

_CHUNK = 65_536
_LONGEST_LINE = 2_000
_BROWSER = re.compile(
    rb"(?:CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT|TRACE) (?:\S+ HTTP/\d|\S{1000})"
    rb"|\x16"  # how TLS begins
)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ListeningSource(Source):
    """A server at ``host`` and ``port``; beyond the loopback interface it requires a ``token``.

    At most ``connections`` clients are served at once; others are turned away.
    """

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65_535)
    token: Secret | None = None
    connections: int = Field(256, ge=1, le=65_535)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.token is None and self.needs_token() and not is_loopback(self.host):
            raise ValueError(
                f'host "{self.host}" listens beyond this machine, which needs a token, for '
                "instance token: {env: TOCSIN_TOKEN}"
            )
        return self

    async def listen(self, serve: Serve) -> asyncio.Server:
        """Return a TCP server that serves clients. Raises InputError where it cannot listen."""
        served = 0

        async def admit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal served
            if served >= self.connections:
                where = self.describe()
                log.warning("%s: more than %d clients; one is turned away", where, self.connections)
                writer.close()
                return
            served += 1
            try:
                await serve(reader, writer)
            finally:
                served -= 1

        try:
            return await asyncio.start_server(admit, self.host, self.port)
        except OSError as error:
            raise self.unusable(error) from error

    def unusable(self, error: OSError) -> InputError:
        """Return the error for an address that it cannot listen on."""
        reason = error.strerror or error
        return InputError(f"{self.describe()} cannot be listened on: {reason}.")

    @classmethod
    def needs_token(cls) -> bool:
        """Return whether a token guards this server beyond the loopback."""
        return True

    def permits(self, token: object) -> bool:
        """Return whether a token is the right one, or none is needed."""
        if self.token is None:
            return True
        given = token if isinstance(token, str) else ""
        return hmac.compare_digest(given.encode(), self.token.reveal().encode())


async def first_bytes(reader: asyncio.StreamReader) -> bytes:
    """Return what a client begins with: as much as ``is_browser`` needs."""
    data = await reader.read(_CHUNK)
    while data[:1].isupper() and len(data) < _LONGEST_LINE and not (b"\n" in data or b"\0" in data):
        more = await reader.read(_CHUNK)
        if not more:
            break
        data += more
    return data


def is_browser(data: bytes) -> bool:
    """Return whether what begins so is an HTTP request, however long its line, or TLS.

    A web page may have them sent to any port of the machine that shows it.

    >>> is_browser(b"GET /x HTTP/1.1"), is_browser(b"GET /x 200 3 ms"), is_browser(b"{}")
    (True, False, False)
    """
    return _BROWSER.match(data) is not None


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached only from this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0"), is_loopback("localhost")
    (True, False, True)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
