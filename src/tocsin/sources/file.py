"""A file that grows: its new lines, through rotation, as log lines, JSON lines or CSV rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from tocsin.base.source import Source
from tocsin.errors import InputError
from tocsin.settings import Duration
from tocsin.sources._records import Fields
from tocsin.sources._tail import Format, Tail
from tocsin.types import Batch, Offset

log = logging.getLogger(__name__)

_PACKED = (".bz2", ".xz", ".zst")


class File(Source):
    """New lines of a file, from where reading stopped, also through rotation and truncation.

    ``format``: "lines" of a log, "json" lines, or "csv" with a header, whose quoted values hold no
    line ends; by default by the ending of the name, else lines. Text is UTF-8; rows and events that
    are not are read as Windows-1252. ``start``: whether the first reading starts at the "beginning"
    or the "end" of the file. A file that was rotated away (``app.log.1``, ``app.log-20260301``,
    ``app-20260301.log``, also gzipped) is read first; files are recognised by inode, first bytes
    and those before the offset. The unread rest of one that is copied and truncated is read from
    the copy beside it; what is written in between is in neither file, and lost to every reader. A
    line counts once it is complete. ``every``: seconds between looks.
    """

    path: Path
    format: Format | None = None
    start: Literal["beginning", "end"] = "beginning"
    every: Duration = Field(0.5, ge=0.01)
    fields: Fields = Fields()

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield new lines; the offset holds which file, and how many bytes of it are read."""
        file = await self._opened(offset)
        try:
            while True:
                batch = await asyncio.to_thread(file.more)
                if batch is not None:
                    yield batch
                    continue
                after = await asyncio.to_thread(self._after, file)
                if after is None:
                    await asyncio.sleep(self.every)
                    continue
                if not (file.is_copy or after.is_copy):  # a copy has no writer
                    # The writer may take a moment to change to the new file.
                    await asyncio.sleep(self.every)
                while (batch := await asyncio.to_thread(file.more)) is not None:
                    yield batch
                if not after.is_copy:  # a copy holds its header itself
                    after.follow(file)
                if file.is_copy:
                    after.begin_with(file.taken_rest())
                    after.is_copy = after.path != self.path
                elif (last := file.last()) is not None:
                    yield last
                file.close()
                file = after
        finally:
            file.close()

    def describe(self) -> str:
        """Return the path."""
        return str(self.path)

    async def _opened(self, offset: Offset) -> Tail:
        """Return the file where reading goes on, once it is there."""
        told = False
        while True:
            try:
                return await asyncio.to_thread(self._resumed, offset)
            except FileNotFoundError:
                if not told:
                    log.warning("%s is not there; waiting for it", self.path)
                told = True
                await asyncio.sleep(self.every)
            except OSError as error:
                raise InputError(f"{self.path} cannot be read: {error.strerror}.") from error

    def _resumed(self, offset: Offset) -> Tail:
        if offset is not None:
            for path in reversed(self._family()):
                file = self._tail(path)
                if file.goes_on_from(offset):
                    return file
                file.close()
            if (copy := self._copy(offset)) is not None:
                return copy
            log.warning("%s is another file than before; reading its beginning", self.path)
        file = self._tail(self.path)
        if offset is None and self.start == "end":
            file.skip()
        return file

    def _after(self, file: Tail) -> Tail | None:
        """Return the file to go on with at the end of one, None if that one still grows."""
        try:
            now = self.path.stat()
        except OSError:
            return None  # between two names of a rotation
        if now.st_ino == file.inode:
            return self._after_truncation(file) if file.is_cut() else None
        try:
            family = self._family()
            known = [i for i, path in enumerate(family) if path.stat().st_ino == file.inode]
            return self._tail(family[known[-1] + 1] if known else self.path)
        except (FileNotFoundError, IndexError):
            return None  # rotated once more meanwhile

    def _after_truncation(self, file: Tail) -> Tail:
        """Return the copy that holds what was not read yet, else the file from its beginning."""
        copy = self._copy(file.offset())
        if copy is not None:
            log.info("%s was truncated; going on in its copy", self.path)
            file.taken_rest()
            return copy
        log.warning(
            "%s was truncated, and no copy beside it holds what was read last: what was written "
            "after that is lost; reading its beginning",
            self.path,
        )
        after = self._tail(self.path)
        after.begin_with(b"")
        return after

    def _copy(self, offset: Offset) -> Tail | None:
        """Return a rotated file that holds what stands before an offset, and goes on there."""
        for path in reversed(self._family()):
            if path == self.path:
                continue
            copy = self._tail(path)
            if copy.goes_on_from(offset, by_content=True):
                copy.is_copy = True
                return copy
            copy.close()
        return None

    def _family(self) -> list[Path]:
        """Return the rotated files by age, then the file itself."""
        name = glob_escape(self.path.stem), glob_escape(self.path.suffix)
        patterns = ["{}{}[.-]*".format(*name), "{}[._-][0-9]*{}".format(*name)]
        rotated = {
            path
            for pattern in patterns
            for path in self.path.parent.glob(pattern)
            if path != self.path and path.is_file() and path.suffix not in _PACKED
        }
        aged = sorted(rotated, key=lambda path: (path.stat().st_mtime_ns, path.name))
        return [*aged, *([self.path] if self.path.exists() else [])]

    def _tail(self, path: Path) -> Tail:
        endings: dict[str, Format] = {
            **dict.fromkeys((".csv", ".tsv"), "csv"),
            **dict.fromkeys((".json", ".jsonl", ".ndjson"), "json"),
        }
        return Tail(path, self.format or endings.get(self.path.suffix, "lines"), self.fields)


def glob_escape(name: str) -> str:
    """Return a file's name as a pattern that stands for itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
