"""Notifications as lines of JSON in a file."""

from __future__ import annotations

import os
import threading
from itertools import pairwise
from pathlib import Path

from pydantic import Field

from tocsin.base.responder import Responder
from tocsin.files import sync
from tocsin.responders._sending import payload, trouble
from tocsin.settings import PathSetting
from tocsin.types import Delivery, Notification

_LONGEST = 1_000_000
_START = b'{"version":1,'
_lock = threading.Lock()


class LogFile(Responder):
    """Appends each notification to the file at ``path``, one line of JSON, as the webhook posts it.

    A line is on the disk before it counts as delivered. When the file would grow over ``largest``
    bytes it becomes ``path.1``, that ``path.2`` and so on; ``keep`` old ones are kept. After a
    crash a line may stand there twice, with the same key. One process writes a file.
    """

    path: PathSetting
    largest: int = Field(10_000_000, ge=1_000)
    keep: int = Field(5, ge=0, le=1_000)

    def respond(self, notification: Notification) -> Delivery:
        """Append a line."""
        written = payload(notification, _LONGEST) + b"\n"
        try:
            with _lock:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._append(written)
        except OSError as error:
            return Delivery("retry", f"{self.path}: {trouble(error)}")
        return Delivery("delivered")

    def check(self) -> str | None:
        """Return why the file cannot be written."""
        nearest = next(each for each in (self.path, *self.path.parents) if each.exists())
        fits = not self.path.exists() if nearest.is_dir() else nearest == self.path
        if not fits or not os.access(nearest, os.W_OK):
            return f"{self.path} cannot be written."
        return None

    def _append(self, written: bytes) -> None:
        """Append all of it or nothing, however little of the disk is left."""
        opened = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = _mended(opened)
            fits = not size or size + len(written) <= self.largest
            if fits:
                _write(opened, size, written)
        finally:
            os.close(opened)
        if not fits:
            self._rotate()
            self._append(written)
        elif not size:
            sync(self.path.parent)

    def _rotate(self) -> None:
        names = [self.path, *(Path(f"{self.path}.{i}") for i in range(1, self.keep + 1))]
        for old, new in reversed(list(pairwise(names))):
            if old.exists():
                os.replace(old, new)
        if not self.keep:
            self.path.unlink()


def _mended(opened: int) -> int:
    """Return the size without the half line that a crash left; its notification comes again."""
    size = os.fstat(opened).st_size
    if not size or os.pread(opened, 1, size - 1) == b"\n":
        return size
    torn = os.pread(opened, _LONGEST, max(0, size - _LONGEST)).rpartition(b"\n")[2]
    if torn.startswith(_START[: len(torn)]):
        os.ftruncate(opened, size - len(torn))
        return size - len(torn)
    return size + os.write(opened, b"\n")


def _write(opened: int, size: int, written: bytes) -> None:
    try:
        done = 0
        while done < len(written):
            done += os.write(opened, written[done:])
        os.fsync(opened)
    except OSError:
        os.ftruncate(opened, size)
        raise
