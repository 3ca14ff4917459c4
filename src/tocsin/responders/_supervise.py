"""Runs one program, and kills it with all that it started when its time is over.

The responder ``command`` runs this file as a process of its own, without Tocsin:
``python -I _supervise.py SECONDS PROGRAM COMMAND...``, where PROGRAM is the path of COMMAND. On
standard output it says what became of it: an exit status, -N for signal N, ``late`` after it was
killed, or why it could not be started.

On Linux the process is the subreaper of what it starts: what loses its parent, in a session of its
own or forked twice, becomes its child and is found. Elsewhere only the program's session is.
https://man7.org/linux/man-pages/man2/pr_set_child_subreaper.2const.html
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

LATE = "late"
KILLING = 5.0
"""Seconds that killing may take; a process that waits for a device cannot be killed."""

_SUBREAPER = 36


def main(seconds: float, program: str, command: Sequence[str]) -> str:
    """Run a command, whose program is at this path, and return what became of it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    try:
        process = subprocess.Popen(  # noqa: S603  no shell, an allowed program
            command, executable=program, stdout=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        return str(error.strerror or error)
    try:
        return str(process.wait(seconds))
    except subprocess.TimeoutExpired:
        _kill_all(process.pid)
        return LATE


def _kill_all(session: int) -> None:
    """Kill all descendants until there are none."""
    with suppress(OSError):
        os.killpg(session, signal.SIGKILL)
    until = time.monotonic() + KILLING
    while time.monotonic() < until:
        for pid in _descendants():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.005)
        except ChildProcessError:
            return


def _descendants() -> set[int]:
    """Return what this process has started, and what that has, as /proc lists them."""
    parents: dict[int, int] = {}
    with suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


if __name__ == "__main__":
    sys.stdout.write(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
