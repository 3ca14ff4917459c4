"""The contract of responders: who is notified of alarms, and what is done about them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from tocsin.settings import Duration, Settings
from tocsin.types import Delivery, Notification


class Responder(Settings):
    """A responder's settings, and what it does. One file in ``responders/`` each.

    ``timeout``: how long one response may take, in seconds; ``respond`` holds to it.
    """

    timeout: Duration = 10.0

    @abstractmethod
    def respond(self, notification: Notification) -> Delivery:
        """Notify or act, and return what became of it; called in a thread of its own.

        The same notification may come again with the same ``key``, after a crash or a "retry".
        Raises nothing for what a server or a network may do: that is a Delivery.
        """

    def check(self) -> str | None:
        """Return what is wrong with the settings at present, None for nothing."""
        return None


class Ledger(Protocol):
    """The record of actions: who did what, what was done already, and what is approved."""

    def add(self, who: str, what: str, detail: Mapping[str, Any]) -> None:
        """Write a row that stays."""

    def claim(self, key: str) -> bool:
        """Return True to the first caller with a key, False to all later ones."""

    def claimed(self, key: str) -> bool:
        """Return whether a key was claimed."""

    def last(self, what: str) -> datetime | None:
        """Return when a row of this kind was last written, None for never."""


class GuardedResponder(Responder):
    """A responder that changes something in the world, and has to ask first."""

    @abstractmethod
    def act(self, notification: Notification, ledger: Ledger) -> Delivery:
        """Act once per alarm, if all rules allow it, and record what became of it."""

    def respond(self, notification: Notification) -> Delivery:
        """Refuse: without a ledger nothing is done."""
        return Delivery("rejected", "an action needs a ledger of what was done")
