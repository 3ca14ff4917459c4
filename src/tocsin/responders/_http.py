"""JSON by HTTP POST to an address that is allowed, and only that."""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, model_validator

from tocsin.base.responder import Responder
from tocsin.errors import ParameterError
from tocsin.responders._public import is_public, reached_by
from tocsin.responders._sending import deadline, revealed, trouble, unrevealed
from tocsin.responders._text import line
from tocsin.settings import Secret
from tocsin.settings.clear_text import ClearText
from tocsin.settings.tls import Tls
from tocsin.types import Delivery

_AGAIN = {408, 425, 429, 503}
_MOST_READ = 4_096
_FORBIDDEN = {"host", "content-length", "content-type", "transfer-encoding", "connection"}


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable or not re.fullmatch(r"[!-~]+", value):
        raise ValueError("a url is written like https://example.com/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "a url must not hold a user or password: give them in headers, as a secret"
        )
    return value


def _header(name: str) -> str:
    known = name.lower()
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name):
        raise ValueError(f"header names have letters, digits and dashes; got {name!r}")
    if known in _FORBIDDEN or known.startswith("tocsin-"):
        raise ValueError(f"the header {name} is reserved")
    return name


class HttpResponder(Responder, ClearText):
    """Posts JSON to ``url``.

    It connects only to addresses on the public internet; loopback, private, link-local, multicast
    and reserved ones must be named in ``allow``, as the host of the URL or as a network such as
    10.1.0.0/16. The address that was checked is the one that it connects to. Redirects and
    proxies are not followed. ``headers``: further headers, with values as text or secrets.
    """

    url: Annotated[str, AfterValidator(_url), Field(repr=False)]
    allow: tuple[str, ...] = ()
    headers: dict[Annotated[str, AfterValidator(_header)], Secret | str] = Field(
        default_factory=dict
    )
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        secret = any(isinstance(value, Secret) for value in self.headers.values())
        if secret and self._parts.scheme == "http":
            self.refuse_clear_text([self._host], "write a url that begins with https://")
        return self

    def check(self) -> str | None:
        """Return what is wrong with the secrets, the certificates or the address."""
        if problem := unrevealed(*self.headers.values()):
            return problem
        try:
            self._context()
            self._addresses()
        except (ParameterError, OSError) as error:
            return str(error)
        return None

    def post(self, body: bytes, headers: Mapping[str, str]) -> Delivery:
        """Post JSON. "unknown" when it was sent, but no answer or a server error (5xx) came.

        Raises ParameterError for a missing secret or certificate.
        """
        more = {name: revealed(value) for name, value in self.headers.items()}
        tls = self._context()
        until = time.monotonic() + self.timeout
        try:
            addresses = self._addresses()
        except ParameterError as error:
            return Delivery("rejected", str(error))
        except OSError as error:
            return Delivery("retry", str(error))
        try:
            sock = self._connected(addresses, until)
        except OSError as error:
            return Delivery("retry", f"{self._place}: {trouble(error)}")
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=self._host, do_handshake_on_connect=False)
        with sock, deadline(lambda: sock, until - time.monotonic()):
            try:
                if isinstance(sock, ssl.SSLSocket):
                    sock.do_handshake()
            except OSError as error:
                return Delivery("retry", f"{self._place}: {trouble(error)}")
            try:
                return self._delivery_of(self._exchange(sock, body, {**more, **headers}))
            except (OSError, http.client.HTTPException) as error:
                late = time.monotonic() >= until
                reason = "no answer in time" if late else trouble(error)
                return Delivery("unknown", f"{self._place}: {reason}")

    def _exchange(
        self, sock: socket.socket, body: bytes, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        """Return the answer to a request. Raises OSError and HTTPException."""
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._host, self._parts.port)
        connection.sock = sock
        connection.auto_open = 0
        own = {"Content-Type": "application/json", "User-Agent": "tocsin", "Connection": "close"}
        connection.request("POST", self._target, body, {**own, **headers})
        return connection.getresponse()

    def _delivery_of(self, response: http.client.HTTPResponse) -> Delivery:
        code = response.status
        if 200 <= code < 300:
            return Delivery("delivered")
        reason = f"{self._place} answers {code}"
        if 300 <= code < 400:
            return Delivery("rejected", f"{reason}, a redirect, which is not followed")
        if wait := response.getheader("Retry-After"):
            reason += f", retry after {line(wait[:40])}"
        # An answer may quote what was sent: it is shown only where no secret was sent.
        if all(isinstance(value, str) for value in self.headers.values()):
            answer = response.read(_MOST_READ)[:200].decode(errors="replace").strip()
            reason += f": {line(answer)}" if answer else ""
        if code in _AGAIN:
            return Delivery("retry", reason)
        return Delivery("unknown" if code >= 500 else "rejected", reason)

    @property
    def _parts(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def _target(self) -> str:
        return (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")

    @property
    def _host(self) -> str:
        return self._parts.hostname or ""

    @property
    def _port(self) -> int:
        return self._parts.port or (443 if self._parts.scheme == "https" else 80)

    @property
    def _place(self) -> str:
        """The host and port; the path may hold a secret."""
        return f"{self._host}:{self._port}"

    def _context(self) -> ssl.SSLContext | None:
        return self.tls.context() if self._parts.scheme == "https" else None

    def _addresses(self) -> list[str]:
        """Return the addresses that it may connect to.

        Raises ParameterError for none, and OSError when the host has no address.
        """
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise OSError(f'The host "{self._host}" has no address: {trouble(error)}.') from error
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        allowed = [
            each
            for each in addresses
            if self._host in map(str.lower, self.allow) or self._may(each)
        ]
        if not allowed:
            raise ParameterError(
                f'The host "{self._host}" has the address {addresses[0]}, which is not public. '
                f"If that is intended, add allow: [{self._host}]."
            )
        return allowed

    def _may(self, address: str) -> bool:
        given = ipaddress.ip_address(address.partition("%")[0])
        reached = reached_by(given)
        allowed = _networks(self.allow)
        return is_public(given) or any(ip in each for ip in (given, reached) for each in allowed)

    def _connected(self, addresses: list[str], until: float) -> socket.socket:
        failed: OSError = TimeoutError()
        for address in addresses:
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                return socket.create_connection((address, self._port), timeout=left)
            except OSError as error:
                failed = error
        raise failed


def _networks(
    allow: tuple[str, ...],
) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for each in allow:
        try:
            found.append(ipaddress.ip_network(each, strict=False))
        except ValueError:
            continue
    return found
