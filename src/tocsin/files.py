"""Files and folders that are written whole or not at all, and names for them."""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path

from tocsin.errors import ParameterError

if sys.platform != "win32":
    import fcntl

_LONGEST_NAME = 255
"""Bytes of a file's name, on every file system in use."""

_UNSAFE = re.compile(r"[^\w.-]+")
_TOKEN = 16
_AT_CWD, _RENAME_EXCHANGE = -100, 2


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that takes the place of ``path`` if the block ends well.

    Its content is on the disk by then; permissions are those of the file that it replaces, or
    follow the umask. Where there are files without a name (Linux), a process that is killed while
    it writes leaves nothing behind; elsewhere it leaves a hidden file. What is neither a file nor
    a folder, such as a pipe, is written to directly. Raises ParameterError if the file cannot be
    put there.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "scores.csv")
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("row,score")
    ...     path.exists()
    False
    >>> path.read_text()
    'row,score'
    """
    with reporting(path):
        is_stream = path.exists() and not path.is_file() and not path.is_dir()
    if is_stream:
        yield path
        return
    named = _hidden(path)
    with reporting(path):
        opened, temporary = _open(named)
    try:
        with open(opened, "rb"):
            yield temporary
            with reporting(path):
                if path.is_file():
                    temporary.chmod(path.stat().st_mode & 0o777)
                os.fsync(opened)
                if temporary != named:
                    # Only with a dir_fd, which a whole path leaves unused, Python follows the link.
                    os.link(temporary, named, src_dir_fd=opened)
        with reporting(path):
            named.replace(path)
    finally:
        named.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, and return its path; text becomes UTF-8.

    Raises ParameterError if it cannot be written, also for a folder that does not exist.

    >>> import tempfile
    >>> write_atomically(Path(tempfile.mkdtemp(), "report.html"), "<p>").read_bytes()
    b'<p>'
    """
    with replacing(path) as temporary, reporting(path):
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder, for its owner alone, that takes the place of ``path`` in the end.

    If the block raises, it does not. Its files are on the disk by then. An earlier folder of that
    name is exchanged for it, in one step where the system can (Linux), and removed. A process
    that is killed leaves a hidden folder, which the next one that writes ``path`` removes. Raises
    ParameterError if the folder cannot be put there.
    """
    with reporting(path):
        _remove_left(path)
        new = _hidden(path)
        new.mkdir(mode=0o700)
    lock = _lock(new)
    try:
        yield new
        with reporting(path):
            for each in (*new.rglob("*"), new):
                sync(each)
            _swap(new, path)
            sync(path.parent)
    finally:
        _remove(new)
        if lock is not None:
            os.close(lock)


@contextmanager
def reporting(path: Path) -> Iterator[None]:
    """Raise ParameterError, which names the path, for an OSError of writing to it."""
    try:
        yield
    except OSError as error:
        raise ParameterError(
            f"{path} cannot be written: {error.strerror or error}. Choose another path."
        ) from error


def sync(path: Path) -> None:
    """Have the content of a file, or the names in a folder, outlive a crash of the machine."""
    if sys.platform == "win32":  # where only files that are open for writing can be
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def file_names(names: Iterable[str], ending: str = "") -> list[str]:
    """Return names of files in one folder for names from elsewhere, in their order.

    Each is one part of a path, has 255 bytes at most with ``ending`` at its end, and differs from
    all others also where upper and lower case are the same.

    >>> file_names(["good/../a b", "..", "A", "a"], ".png")
    ['good_.._a_b.png', '_.png', 'A.png', 'a-2.png']
    """
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    found = []
    for name in names:
        stem = _UNSAFE.sub("_", unicodedata.normalize("NFC", name)).strip("._-") or "_"
        made = _cut(stem, ending)
        while made.casefold() in taken:
            counts[stem] += 1
            made = _cut(stem, f"-{counts[stem] + 1}{ending}")
        taken.add(made.casefold())
        found.append(made)
    return found


def _cut(name: str, more: str) -> str:
    """Return a name with more at its end, cut so that both fit into the name of a file."""
    room = _LONGEST_NAME - len(more.encode())
    return name.encode(errors="ignore")[:room].decode(errors="ignore") + more


def _hidden(path: Path) -> Path:
    """Return a new name for a temporary file or folder beside a path."""
    return path.with_name(f"{_start(path)}.{secrets.token_hex(_TOKEN // 2)}.tmp")


def _start(path: Path) -> str:
    """Return how the names of temporary files and folders of a path begin."""
    return _cut(f".{path.name}", "." + _TOKEN * "0" + ".tmp")[: -_TOKEN - 5]


def _open(named: Path) -> tuple[int, Path]:
    """Create a temporary file, without a name where that is possible; return it and its path."""
    if hasattr(os, "O_TMPFILE"):
        with suppress(OSError):
            opened = os.open(named.parent, os.O_TMPFILE | os.O_RDWR, 0o666)
            if (unnamed := Path(f"/proc/self/fd/{opened}")).exists():
                return opened, unnamed
            os.close(opened)
    return os.open(named, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666), named


def _swap(new: Path, path: Path) -> None:
    """Put a new folder in the place of an earlier one, if there is one, and the earlier in its."""
    if not path.exists():
        new.rename(path)
    elif not _exchange(new, path):
        old = _hidden(path)
        path.rename(old)
        new.rename(path)
        old.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two paths in one step; return whether the system could."""
    if sys.platform != "linux":
        return False
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None:
        return False
    paths = (_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other))
    return bool(exchange(*paths, _RENAME_EXCHANGE) == 0)


def _remove_left(path: Path) -> None:
    """Remove what processes that were killed have left; what is being written is locked."""
    for left in path.parent.glob(f"{escape(_start(path))}.{_TOKEN * '[0-9a-f]'}.tmp"):
        if (lock := _lock(left)) is not None:
            _remove(left)
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Return a lock on a folder, None where another has it or there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _remove(path: Path) -> None:
    """Remove a folder, or the link that stood in its place."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
