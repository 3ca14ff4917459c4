"""Notifications to a program of this machine."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, ClassVar, Self

import psutil
from pydantic import Field, model_validator

from tocsin.errors import ParameterError
from tocsin.responders._sending import Sender, trouble
from tocsin.responders._text import line
from tocsin.settings import PathSetting
from tocsin.types import Delivery

_TEMPFAIL = 75
_SHOWN = 200
_PATH = "/usr/local/bin:/usr/bin:/bin"


class Command(Sender):
    """Runs a program with the notification as JSON, as the webhook posts it, on its standard input.

    ``command``: the program and its arguments, as they are; there is no shell, and nothing of an
    alarm is among them. The program is an absolute path that is also in ``allow``, and nobody but
    its owner, root or Tocsin's own user, may write or replace it. Its environment is ``PATH``,
    ``LANG`` and ``TOCSIN_KEY``. Exit status 0 is delivered, 75 (EX_TEMPFAIL) is tried again,
    others are rejected with what it wrote to standard error. After ``timeout`` it is killed with
    all that it started: whether it was delivered is then unknown.
    """

    repeatable: ClassVar[bool] = False
    acts: ClassVar[bool] = True

    command: tuple[str, ...] = Field(min_length=1, max_length=100)
    allow: tuple[PathSetting, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        program = Path(self.command[0])
        if not program.is_absolute() or program not in self.allow:
            raise ValueError(f"{program} must be an absolute path, and be named in allow")
        if any("\0" in argument for argument in self.command):
            raise ValueError("an argument must not hold NUL")
        return self

    def check(self) -> str | None:
        """Return why the program is not run."""
        try:
            return _doubt(Path(self.command[0]).resolve(strict=True))
        except OSError as error:
            return f"{self.command[0]}: {trouble(error)}"

    def send(self, body: bytes, key: str) -> Delivery:
        """Run the program with JSON on its standard input."""
        if doubt := self.check():
            raise ParameterError(doubt)
        with tempfile.TemporaryFile() as given:
            given.write(body)
            given.seek(0)
            environment = {"PATH": _PATH, "LANG": "C.UTF-8", "TOCSIN_KEY": line(key)}
            try:
                # The program that was checked is started, wherever a link leads by now.
                process = subprocess.Popen(  # noqa: S603  no shell, an allowed program
                    self.command,
                    executable=Path(self.command[0]).resolve(strict=True),
                    stdin=given,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    cwd="/",
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                return Delivery("retry", f"{self.command[0]}: {trouble(error)}")
        return self._outcome(process)

    def _outcome(self, process: subprocess.Popen[bytes]) -> Delivery:
        written: list[bytes] = []
        reader = threading.Thread(target=_drain, args=(process.stderr, written), daemon=True)
        reader.start()
        try:
            status = process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            return Delivery("unknown", f"{self.command[0]} was killed after {self.timeout:g} s")
        if status == 0:
            return Delivery("delivered")
        # What the program left behind may hold its standard error open for longer.
        reader.join(0.5)
        reason = f"{self.command[0]} ended with {status}"
        if text := b"".join(written).decode(errors="replace").strip():
            reason += f": {line(text)}"
        if status < 0:
            return Delivery("unknown", f"{reason}, a signal")
        return Delivery("retry" if status == _TEMPFAIL else "rejected", reason)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and all that it started, also in sessions of their own."""
    with suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                child.kill()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _drain(stream: IO[bytes] | None, written: list[bytes]) -> None:
    """Keep the first bytes of a stream and read on, so that its writer is not held up."""
    if stream is not None:
        with stream:
            written.append(stream.read(_SHOWN))
            while stream.read(65_536):
                pass


def _doubt(program: Path) -> str | None:
    """Return why a program must not be trusted, None if it may. Raises OSError."""
    if not program.is_file() or not os.access(program, os.X_OK):
        return f"{program} is not an executable program."
    for path in (program, *program.parents):
        found = path.stat()
        shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        sticky = path.is_dir() and found.st_mode & stat.S_ISVTX
        if (shared and not sticky) or found.st_uid not in (0, os.geteuid()):
            return f"{program} is not run: others may write {path}."
    return None
