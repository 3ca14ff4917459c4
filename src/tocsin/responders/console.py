"""Notices as text on the terminal."""

from __future__ import annotations

import sys

from tocsin.base.responder import Responder
from tocsin.responders._text import text_of
from tocsin.types import Delivery, Notice


class Console(Responder):
    """Prints each notice on standard output, a line an alarm and its reasons below it."""

    def respond(self, notice: Notice) -> Delivery:
        """Print the notice."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        text = text_of(notice).encode(encoding, "backslashreplace").decode(encoding)
        try:
            print(text, flush=True)
        except (OSError, ValueError) as error:
            return Delivery("rejected", f"standard output is closed: {error}")
        return Delivery("delivered")
