"""How much memory a measurement takes."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil


class PeakMemory:
    """The highest resident memory of the whole process while inside, in ``mb`` afterwards.

    It is looked at every 20 ms, so what is taken for less may be missed. The interpreter, its
    libraries and what was loaded before are in it: compare figures of one program alone.

    >>> with PeakMemory() as memory:
    ...     kept = bytearray(10_000_000)
    >>> memory.mb > 10
    True
    """

    mb: float = 0.0

    def __enter__(self) -> Self:
        self._process = psutil.Process()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._look()

    def _look(self) -> None:
        self.mb = max(self.mb, self._process.memory_info().rss / 1e6)
