"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tocsin.errors import ParameterError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that takes the place of ``path`` if the block ends well.

    Raises ParameterError if it cannot be put there.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "scores.csv")
    >>> with replacing(path) as temporary:
    ...     _ = temporary.write_text("row,score")
    ...     path.exists()
    False
    >>> path.read_text()
    'row,score'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with _reporting(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, and return its path; text becomes UTF-8.

    Raises ParameterError if it cannot be written, also for a folder that does not exist.

    >>> import tempfile
    >>> write_atomically(Path(tempfile.mkdtemp(), "report.html"), "<p>").read_bytes()
    b'<p>'
    """
    with replacing(path) as temporary, _reporting(path):
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ParameterError(f"{path} cannot be written: {error}.") from error
