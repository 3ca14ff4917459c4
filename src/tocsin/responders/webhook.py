"""Notifications by HTTP POST, signed."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from tocsin.responders._http import HttpResponder
from tocsin.responders._sending import Sender, revealed, unrevealed
from tocsin.settings import Secret
from tocsin.types import Delivery


class Webhook(Sender, HttpResponder):
    """Posts each notification as JSON; ``verify`` is for receivers.

    Headers: ``Tocsin-Key``, the same whenever a notification is sent again; ``Tocsin-Timestamp``,
    seconds since 1970; and with a ``secret`` ``Tocsin-Signature``, ``v1=`` and the HMAC-SHA256 of
    the timestamp, a dot and the body. The answer 2xx is delivered; 408, 425, 429, 5xx, a lost
    connection and no answer in time are tried again; all others are rejected.
    """

    acts: ClassVar[bool] = True

    secret: Secret | None = None

    def send(self, body: bytes, key: str) -> Delivery:
        """Post JSON, signed."""
        at = str(int(time.time()))
        headers = {"Tocsin-Key": quote(key, safe=":"), "Tocsin-Timestamp": at}
        if self.secret is not None:
            headers["Tocsin-Signature"] = _signature(body, at, revealed(self.secret))
        return self.post(body, headers)

    def check(self) -> str | None:
        """Return what is wrong with the secrets, the certificates or the address."""
        return unrevealed(self.secret) or super().check()


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secret: str,
    tolerance: float = 300.0,
    now: float | None = None,
) -> bool:
    """Return whether a request came from who knows the secret, at most ``tolerance`` seconds ago.

    ``body``: as it came, before it is parsed. ``headers``: their names in any case. ``now``:
    seconds since 1970, left out for the clock's. A receiver should also remember ``Tocsin-Key``,
    as the same notification may come twice.

    >>> signed = {"tocsin-timestamp": "60", "Tocsin-Signature": _signature(b"{}", "60", "hush")}
    >>> verify(b"{}", signed, "hush", now=100), verify(b"{ }", signed, "hush", now=100)
    (True, False)
    >>> verify(b"{}", signed, "hush", now=1_000)
    False
    """
    given = {name.lower(): value for name, value in headers.items()}
    at, signature = given.get("tocsin-timestamp", ""), given.get("tocsin-signature", "")
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        return False
    if abs((time.time() if now is None else now) - int(at)) > tolerance:
        return False
    return hmac.compare_digest(signature.encode(), _signature(body, at, secret).encode())


def _signature(body: bytes, at: str, secret: str) -> str:
    return "v1=" + hmac.digest(secret.encode(), at.encode() + b"." + body, "sha256").hex()
