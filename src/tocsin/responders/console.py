"""Notifications as text on the terminal."""

from __future__ import annotations

import sys

from tocsin.base.responder import Responder
from tocsin.responders._text import text_of
from tocsin.types import Delivery, Notification


class Console(Responder):
    """Prints each notification on standard output, a line an alarm and its reasons below it."""

    def respond(self, notification: Notification) -> Delivery:
        """Print the notification."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        text = text_of(notification).encode(encoding, "backslashreplace").decode(encoding)
        try:
            print(text, flush=True)  # noqa: T201 - made safe by text_of
        except (OSError, ValueError) as error:
            return Delivery("rejected", f"standard output is closed: {error}")
        return Delivery("delivered")
