"""The one place where text leaves for a terminal: nothing that data hold can steer it.

Commands print by ``echo``, ``print_line`` and ``console``; ``guarded`` sees to what others print.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tocsin.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def echo(text: str, *, err: bool = False) -> None:
    """Print one line, to standard error with ``err``; line feeds within it are escaped."""
    write(f"{printable(text)}\n", err=err)


def write(text: str, *, err: bool = False) -> None:
    """Print lines as they are, but for what steers a terminal."""
    stream = sys.stderr if err else sys.stdout
    stream.write(_encodable(printable(text, keep="\n"), stream))
    stream.flush()


def print_line(text: str | Text, style: str = "") -> None:
    """Print one line, which a terminal may wrap but we do not."""
    from rich.text import Text

    made = console()
    line = Text(printable(text), style=style) if isinstance(text, str) else text
    pieces = [(printable(each.text), each.style or "") for each in line.render(made)]
    made.print(Text.assemble(*pieces), soft_wrap=True)


def console(*, err: bool = False, narrowest: int = 0) -> Console:
    """Return a console of rich for tables and styles, at least ``narrowest`` characters wide.

    Texts are taken as they are, without markup, and line feeds within them are escaped; only those
    in a ``Text`` end a line.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Safe(Console):
        def render_str(self, text: str, **styles: Any) -> Text:
            return super().render_str(printable(text), **styles)

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable(text, keep="\n"), style)

    stream = sys.stderr if err else sys.stdout
    made = Safe(
        file=getattr(stream, "unguarded", stream), markup=False, highlight=False, emoji=False
    )
    made.width = max(made.width, narrowest)
    return made


@contextmanager
def guarded() -> Iterator[None]:
    """Escape what steers a terminal in all that is printed inside, whoever prints it."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_Guarded, streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


class _Guarded:
    """A stream of text that lets only lines through; its bytes cannot be reached.

    ``unguarded``: the stream behind it, for what has been made safe.
    """

    def __init__(self, stream: Any) -> None:
        self.unguarded = stream

    def write(self, text: str) -> int:
        self.unguarded.write(_encodable(printable(text, keep="\n"), self.unguarded))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.unguarded, name)


def _encodable(text: str, stream: Any) -> str:
    """Return text with escapes for characters that the encoding of a stream has not."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
