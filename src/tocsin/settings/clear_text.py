"""Secrets that would be sent without TLS."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tocsin.errors import ParameterError
from tocsin.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import URL


class ClearText(Settings):
    """Settings of a part that may send a secret.

    ``clear_text``: whether it may go to another machine without TLS.
    """

    clear_text: bool = False

    def refuse_clear_text(self, hosts: Iterable[str], remedy: str) -> None:
        """Raise ValueError for a host beyond this machine, unless clear text is stated."""
        if self.clear_text:
            return
        for host in hosts:
            if not is_loopback(host):
                raise ValueError(
                    f"the secret would be sent to {host} in clear text: {remedy}, or state that "
                    "it may be with clear_text: true"
                )


def is_loopback(host: str) -> bool:
    """Return whether a host, its name or address, is this machine.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "[::1]", "db.example")]
    [True, True, True, False]
    """
    host = host.strip("[]").rstrip(".").lower()
    if not host or host == "localhost" or host.endswith(".localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_sslmode(url: URL) -> None:
    """Raise ParameterError where a password for PostgreSQL goes elsewhere and no sslmode is stated.

    The driver by itself goes on without TLS where the server has none.
    """
    query = {name: value for name, value in url.query.items() if isinstance(value, str)}
    has_secret = url.password is not None or "password" in query
    host = query.get("host") or url.host or ""
    stated = "sslmode" in query or "PGSSLMODE" in os.environ
    if has_secret and not stated and not all(map(is_loopback, host.split(","))):
        raise ParameterError(
            f"The password would be sent to {host} whether or not it is encrypted: add "
            "?sslmode=verify-full to the url (with &sslrootcert=FILE for an authority of your "
            "own), or ?sslmode=disable to state that clear text will do."
        )
