"""Files of folders that came from elsewhere: only what lies in them, and no more than is right."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tocsin.errors import CorruptModel

# Opening a pipe waits for somebody to write, unless told not to; only POSIX has them.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def read_regular(path: Path, most: int, size: int | None = None) -> bytes:
    """Return the content of a regular file that lies within its folder.

    ``most``: bytes it may have; ``size``: bytes it has to have, if known. Both are checked before
    anything is read. Raises CorruptModel for another size, a link out of the folder, a pipe or a
    device, and for a file that cannot be read.
    """
    try:
        if not path.resolve(strict=True).is_relative_to(path.parent.resolve()):
            raise CorruptModel(f"{path} is a link out of its folder. Put the file itself there.")
        with open(os.open(path, _FLAGS), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise CorruptModel(f"{path} is not a regular file. Train and save the model again.")
            _check_size(path, about.st_size, most, size)
            return file.read(about.st_size)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise CorruptModel(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}. "
            "Train and save it again."
        ) from error
    except MemoryError as error:
        raise CorruptModel(f"{path} does not fit into memory.") from error


def _check_size(path: Path, given: int, most: int, size: int | None) -> None:
    if size is not None and given != size:
        raise CorruptModel(
            f"{path} has {given:,} bytes; {size:,} were saved. Restore the folder from a copy, or "
            "train and save it again."
        )
    if given > most:
        raise CorruptModel(f"{path} has {given:,} bytes; at most {most:,} are read.")
