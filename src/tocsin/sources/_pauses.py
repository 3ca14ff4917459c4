"""Pauses between attempts to reach a server."""

from __future__ import annotations

import asyncio
import logging


class Pauses:
    """Pauses that double from ``first`` to ``longest`` seconds, each of them logged."""

    def __init__(self, log: logging.Logger, *, first: float = 0.5, longest: float = 30.0) -> None:
        self._log = log
        self._first, self._longest = first, longest
        self._next = first

    async def pause(self, what: str, error: object) -> None:
        """Log that something does not work, and wait."""
        shown = str(error).encode("unicode_escape").decode()
        self._log.warning("%s: %s Trying again in %.1f s.", what, shown, self._next)
        await asyncio.sleep(self._next)
        self._next = min(2 * self._next, self._longest)

    def reset(self) -> None:
        """Start from the first pause again, after a success."""
        self._next = self._first
