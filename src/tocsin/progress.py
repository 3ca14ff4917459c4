"""Progress of long work, reported without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
"""Called with what is going on, the steps done, and the steps in all."""

_listener: ContextVar[Listener | None] = ContextVar("tocsin_progress", default=None)


def report(what: str, done: int, total: int) -> None:
    """Report to the listener, if there is one, how many of the steps are done."""
    listener = _listener.get()
    if listener is not None:
        listener(what, done, total)


@contextmanager
def reporting_to(listener: Listener) -> Iterator[None]:
    """Send the progress of everything inside to this listener.

    >>> with reporting_to(lambda what, done, total: print(f"{what}: {done} of {total}")):
    ...     report("training", 1, 2)
    training: 1 of 2
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
