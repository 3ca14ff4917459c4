"""Pauses between attempts to reach a server."""

from __future__ import annotations

import asyncio
import logging


class Pauses:
    """Pauses that double from ``first`` to ``longest`` seconds, logged, as is their end."""

    def __init__(self, log: logging.Logger, *, first: float = 0.5, longest: float = 30.0) -> None:
        self._log = log
        self._first, self._longest = first, longest
        self._next = first
        self._what = ""  # does not work now

    async def pause(self, what: str, error: object) -> None:
        """Log that something does not work, and wait."""
        self._what = what
        shown = str(error).encode("unicode_escape").decode()
        self._log.warning("%s: %s Trying again in %.1f s.", what, shown, self._next)
        await asyncio.sleep(self._next)
        self._next = min(2 * self._next, self._longest)

    def reset(self) -> None:
        """Start from the first pause again, after a success; log it if it was not working."""
        if self._what:
            self._log.info("%s: it works again.", self._what)
        self._next, self._what = self._first, ""
