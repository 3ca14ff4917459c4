"""Notifications to a program of this machine."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, ClassVar, Self

from pydantic import Field, model_validator

from tocsin.errors import ParameterError
from tocsin.responders import _supervise
from tocsin.responders._sending import Sender, trouble
from tocsin.responders._text import line
from tocsin.settings import PathSetting
from tocsin.types import Delivery

_TEMPFAIL = 75
_SHOWN = 200
_PATH = "/usr/local/bin:/usr/bin:/bin"
_MOST_LINKS = 40


class Command(Sender):
    """Runs a program with the notification as JSON, as the webhook posts it, on its standard input.

    ``command``: the program and its arguments, as they are; there is no shell, and nothing of an
    alarm is among them. The program is an absolute path that is also in ``allow``, and nobody but
    its owner, root or Tocsin's own user, may write or replace it, or a link on the way to it. Its
    environment is ``PATH``, ``LANG`` and ``TOCSIN_KEY``. Exit status 0 is delivered, 75
    (EX_TEMPFAIL) is tried again, others are rejected with what it wrote to standard error. After
    ``timeout`` it is killed with all that it started, on other systems than Linux with what is
    still in its session: whether it was delivered is then unknown.
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
            _trusted(Path(self.command[0]))
        except ParameterError as error:
            return str(error)
        return None

    def send(self, body: bytes, key: str) -> Delivery:
        """Run the program with JSON on its standard input."""
        # What was checked is what is started, wherever a link leads by then.
        program = _trusted(Path(self.command[0]))
        environment = {"PATH": _PATH, "LANG": "C.UTF-8", "TOCSIN_KEY": line(key)}
        supervised = (sys.executable, "-I", _supervise.__file__, str(self.timeout), str(program))
        try:
            with tempfile.TemporaryFile() as given:
                given.write(body)
                given.seek(0)
                process = subprocess.Popen(  # noqa: S603  no shell, an allowed program
                    (*supervised, *self.command),
                    stdin=given,
                    stdout=subprocess.PIPE,
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
        became = _result(process, self.timeout + 2 * _supervise.KILLING)
        if became == "0":
            return Delivery("delivered")
        if became == _supervise.LATE:
            return Delivery("unknown", f"{self.command[0]} was killed after {self.timeout:g} s")
        if not became:
            return Delivery("unknown", f"nobody knows what became of {self.command[0]}")
        if not became.lstrip("-").isdecimal():
            return Delivery("retry", f"{self.command[0]}: {became}")
        # What the program left behind may hold its standard error open for longer.
        reader.join(0.5)
        reason = f"{self.command[0]} ended with {became}"
        if text := b"".join(written).decode(errors="replace").strip():
            reason += f": {line(text)}"
        if became.startswith("-"):
            return Delivery("unknown", f"{reason}, a signal")
        return Delivery("retry" if int(became) == _TEMPFAIL else "rejected", reason)


def _result(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Return what the process that runs the program says became of it; nothing if it is killed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
    assert process.stdout is not None  # noqa: S101  it is a pipe
    with process.stdout as stream:
        return stream.read().decode().strip()


def _drain(stream: IO[bytes] | None, written: list[bytes]) -> None:
    """Keep the first bytes of a stream and read on, so that its writer is not held up."""
    if stream is not None:
        with stream:
            written.append(stream.read(_SHOWN))
            while stream.read(65_536):
                pass


def _trusted(path: Path) -> Path:
    """Return the program that a path leads to, which nobody else may write or replace.

    Raises ParameterError if somebody may, or if there is no such program.
    """
    try:
        visited = list(_visited(path))
        for each in visited:
            found = each.lstat()
            shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not each.is_symlink()
            sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
            if (shared and not sticky) or found.st_uid not in (0, os.geteuid()):
                raise ParameterError(f"{path} is not run: others may write {each}.")
        program = visited[-1]
        if not program.is_file() or not os.access(program, os.X_OK):
            raise ParameterError(f"{path} is not an executable program.")
    except OSError as error:
        raise ParameterError(f"{path}: {trouble(error)}") from error
    return program


def _visited(path: Path) -> Iterator[Path]:
    """Yield each folder and link on the way to a file, and the file itself at the end."""
    at, parts = Path("/"), list(path.parts[1:])
    yield at
    links = 0
    while parts:
        name = parts.pop(0)
        if name == "..":
            at = at.parent
            continue
        yield at / name
        if not (at / name).is_symlink():
            at /= name
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = Path(os.readlink(at / name))
        at = Path("/") if target.is_absolute() else at
        parts = [*target.relative_to(target.anchor).parts, *parts]
