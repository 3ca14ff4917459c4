"""Notifications to chats, pagers and phones, through the package apprise."""

from __future__ import annotations

import logging
import time
from typing import Any

from pydantic import Field

from tocsin.base.responder import Responder
from tocsin.errors import MissingExtra, ParameterError, TocsinError
from tocsin.responders._text import text_of
from tocsin.settings import Secret
from tocsin.types import Delivery, Notification


class Apprise(Responder):
    """Sends each notification to all ``urls``, secrets that apprise understands (slack://…).

    Needs ``pip install "tocsin[notify]"``. If one of them fails, all are notified again: give each
    that must be reached a responder of its own.
    """

    urls: tuple[Secret, ...] = Field(min_length=1, max_length=20)

    def respond(self, notification: Notification) -> Delivery:
        """Send the text."""
        try:
            services = [(url, _service(url, self.timeout / len(self.urls))) for url in self.urls]
        except TocsinError as error:
            return Delivery("retry", str(error))
        until = time.monotonic() + self.timeout
        title, _, rest = text_of(notification).partition("\n")
        failed = [
            str(url)
            for url, service in services
            if time.monotonic() > until
            or not service.notify(body=rest or title, title=title, body_format="text")
        ]
        if failed:
            return Delivery("retry", f"not accepted: {', '.join(failed)}")
        return Delivery("delivered")

    def check(self) -> str | None:
        """Return what is wrong with the package or the secrets."""
        try:
            for url in self.urls:
                _service(url, self.timeout)
        except TocsinError as error:
            return str(error)
        return None


def _service(url: Secret, seconds: float) -> Any:
    """Return what sends to a URL within about ``timeout`` seconds.

    Raises MissingExtra, and ParameterError for a useless URL.
    """
    try:
        import apprise
    except ImportError as error:
        raise MissingExtra("apprise", extra="notify") from error
    # Both would log addresses with the secrets in them.
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asset = apprise.AppriseAsset(async_mode=False, storage_mode="memory")
    service = apprise.Apprise(asset=asset)
    if not service.add(url.reveal()):
        raise ParameterError(f"The secret in {url} is not a URL that apprise knows.")
    for plugin in service:
        for name in ("socket_connect_timeout", "socket_read_timeout"):
            setattr(plugin, name, min(getattr(plugin, name), seconds / 2))
    return service
