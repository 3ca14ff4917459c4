"""A pseudo terminal to run commands on, and what data must not send to it."""

from __future__ import annotations

import os
import pty
import re
import sys
import threading
from pathlib import Path

import pytest

from tocsin import cli

EVIL = "\x1b]0;owned\x07\x1b[38;5;213m\x9b31m\u202e\u2066\x08\rOVER\nFORGED line"
"""Text that would name a window, colour, reverse, erase, overwrite, and begin a line of its own."""
SEEN = r"\x1b]0;owned\x07\x1b[38;5;213m\x9b31m\u202e\u2066\x08\rOVER\nFORGED line"
SEEN_IN_JSON = r"\u001b]0;owned\u0007\u001b[38;5;213m\u009b31m\u202e\u2066\b\rOVER\nFORGED line"
# Colours, and the cursor of a progress bar; a terminal ends lines by "\r\n".
_OURS = re.compile(r"\x1b\[(?:0|[1-9]|3[0-7]|9[0-7]|38;5;\d+|;)*m|\x1b\[\?25[lh]|\x1b\[1A|\x1b\[2K")


def faults(text: str) -> list[str]:
    """Return what a terminal would obey, or take for a line of ours, in what was printed."""
    found = [part for part in ("\x1b[38;5;213m", "\rOVER") if part in text]
    rest = _OURS.sub("", text).replace("\r", "")
    steering = {c for c in rest if not c.isprintable() and c not in "\n\u00a0"}
    found += sorted(map(repr, steering))
    found += [line for line in rest.split("\n") if line.lstrip(" ·│").startswith("FORGED")]
    return found


class Terminal:
    """Runs commands of this process on a pseudo terminal, or on a pipe."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch

    def run(self, *words: object, piped: bool = False) -> tuple[int, str]:
        """Return the exit code of a command, and all that it printed."""
        ours, theirs = os.pipe() if piped else pty.openpty()
        chunks: list[bytes] = []
        reading = threading.Thread(target=_drain, args=(ours, chunks))
        reading.start()
        with open(theirs, "w", encoding="utf-8") as stream, self._patch.context() as patch:
            patch.setattr(sys, "argv", ["tocsin", *map(str, words)])
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            with pytest.raises(SystemExit) as ended:
                cli.main()
        reading.join()
        os.close(ours)
        return int(ended.value.code or 0), b"".join(chunks).decode()


def _drain(descriptor: int, chunks: list[bytes]) -> None:
    try:
        while chunk := os.read(descriptor, 65_536):
            chunks.append(chunk)
    except OSError:  # the other end of a terminal is closed
        return


def commands(group: object = None, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of every command that the command line has."""
    import typer

    group = typer.main.get_command(cli.app) if group is None else group
    if not hasattr(group, "list_commands"):
        return [before]
    return [
        words
        for name in group.list_commands(None)
        for words in commands(group.get_command(None, name), (*before, name))
    ]


def named(folder: Path, ending: str = "") -> Path:
    """Return a path in a folder whose name steers a terminal."""
    return folder / f"{EVIL}{ending}"
