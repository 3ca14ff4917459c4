"""Commands that write, run until something stops them: a full disk, a signal.

``python -m support.interrupted`` (in ``tests``) takes commands as JSON, {name: {"words": [...],
"written": path}}, runs each with each trouble, and prints what became of what they write, as JSON.
Commands run in forks of that process, which has imported what they need and runs nothing itself.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tocsin
from tocsin import cli

_IMPORTED = {"cli", "pipeline", "prepare", "report", "evaluate", "monitor", "store", "explain"}

Trouble = Callable[[int], None]
"""What is done to a process before it writes; takes the size of the largest file it writes."""


def disk_is_full(size: int) -> None:
    """No file grows beyond half of that size: the system refuses the rest, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))


def killed_while_writing(size: int) -> None:
    """The process is killed where a full disk would refuse, in the middle of a file."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    disk_is_full(size)


def killed_when_written(_: int) -> None:
    """The process is killed when all is written and nothing is in its place yet."""
    sys.addaudithook(lambda *event: _is_last_step(*event) and os.kill(os.getpid(), signal.SIGKILL))


def stopped_when_written(_: int) -> None:
    """Somebody presses Control-C at that moment."""

    def stop(*event: Any) -> None:
        if _is_last_step(*event):
            raise KeyboardInterrupt

    sys.addaudithook(stop)


def _is_last_step(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "ctypes.dlsym":
        return arguments[1] == "renameat2"
    return event in ("os.link", "os.rename") and ".tmp" in str(arguments)


TROUBLES: tuple[Trouble, ...] = (
    disk_is_full,
    killed_when_written,
    killed_while_writing,
    stopped_when_written,
)


def run(words: Sequence[object], trouble: Trouble | None = None, size: int = 0) -> tuple[int, str]:
    """Run a command of Tocsin in a fork; return its exit code, -N for signal N, and its errors."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        _end(words, trouble, size, writing)
    os.close(writing)
    with open(reading, "rb") as errors:
        said = errors.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def _end(words: Sequence[object], trouble: Trouble | None, size: int, writing: int) -> None:
    """Be the fork: it leaves nothing to those who forked it, whatever happens."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(writing, 2)
        sys.stdout, sys.stderr = (os.fdopen(os.dup(each), "w") for each in (1, 2))
        sys.argv = ["tocsin", *map(str, words)]
        if trouble is not None:
            trouble(size)
        try:
            cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        sys.stderr.flush()
    finally:
        os._exit(code)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder, hidden ones too, by their paths in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def try_all(words: Sequence[str], written: Path, whole: bool) -> dict[str, Any]:
    """Run a command without trouble, then with two, or all, also over nothing.

    Returns by trouble what it ended with, what it said, and the files then there, each with
    whether it is the one that was there.
    """
    code, said = run(words)
    found: dict[str, Any] = {"none": _outcome(code, said, written)}
    size = max(map(len, contents(written.parent).values()), default=0)
    for trouble in TROUBLES if whole else TROUBLES[:2]:
        for path in written.rglob("*") if written.is_dir() else [written]:
            if path.name != "manifest.json":  # by which it is known as a model
                path.write_text("earlier")
        found[trouble.__name__] = _outcome(*run(words, trouble, size), written)
    found["again"] = _outcome(*run(words), written)
    shutil.rmtree(written) if written.is_dir() else written.unlink()
    for trouble in TROUBLES if whole else ():
        found[f"{trouble.__name__}, nothing there"] = _outcome(*run(words, trouble, size), written)
    return found


def _outcome(code: int, said: str, written: Path) -> dict[str, Any]:
    files = contents(written.parent)
    return {"code": code, "said": said, "files": {n: f == b"earlier" for n, f in files.items()}}


def main() -> None:
    """Try the commands that standard input names."""
    for each in pkgutil.walk_packages(tocsin.__path__, "tocsin."):
        if each.name.split(".")[1] in _IMPORTED:
            importlib.import_module(each.name)
    for name in ("pyarrow.parquet", "matplotlib.backends.backend_agg", "onnxruntime", "rich.table"):
        importlib.import_module(name)
    commands = json.load(sys.stdin)
    found = {
        name: try_all(each["words"], Path(each["written"]), "--whole" in sys.argv)
        for name, each in commands.items()
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
