"""The contract of responders: who is told of alarms, and what is done."""

from __future__ import annotations

from abc import abstractmethod

from tocsin.base.settings import Duration, Settings
from tocsin.types import Delivery, Notice


class Responder(Settings):
    """A responder's settings, and what it does. One file in ``responders/`` each.

    ``timeout``: how long one response may take, in seconds; ``respond`` holds to it.
    """

    timeout: Duration = 10.0

    @abstractmethod
    def respond(self, notice: Notice) -> Delivery:
        """Tell or act, and return what became of it; called in a thread of its own.

        The same notice may come again with the same ``key``, after a crash or a "retry". Raises
        nothing for what a server or a network may do: that is a Delivery.
        """

    def check(self) -> str | None:
        """Return what is wrong with the settings as the world is now, None for nothing."""
        return None
