"""Log sessions, and what detection gives for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tocsin.types.detections import Detection, IntArray

SessionArray = NDArray[np.object_]
"""Log sessions (n,), each a LogSession."""


@dataclass(frozen=True, slots=True)
class LogSession:
    """Log lines that belong together: of one session, of one window of time, or a single line.

    ``templates``: (k,) int64, the kind of each line in the order of the lines, -1 for a kind
    that was not known when templates were learned. ``messages``, ``levels`` and ``components``:
    k texts each, the masked message, the level ("" for none) and the part of the program; a
    session of which only the kinds are known has none. ``parameters``: k tuples, what the mask
    or the template left out of each message.
    """

    templates: IntArray
    messages: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    parameters: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return int(self.templates.size)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line as it stands in its file, numbered from 1; ``file`` is "" for a list of lines."""

    file: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class LogDetection(Detection):
    """The whole answer for n log sessions, in the order of their first lines.

    ``rows`` numbers the sessions from 0. ``keys``: n texts, the session's key, the beginning of
    its window of time, or its line as ``file:number``. ``files`` and ``numbers``: n, where its
    first line stands, ``""`` and 0 for sessions of numbers. ``times``: (n,) datetime64[ms], UTC,
    of its first line, NaT for none. ``sizes``: (n,), its records. ``lines``: by session, for the
    anomalies, lines as they stand in the file, those that matter if there are many.
    ``nearest``: by session, for those explained, the messages of the most similar normal session.
    """

    keys: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    numbers: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    times: NDArray[np.datetime64] = field(default_factory=lambda: np.empty(0, "datetime64[ms]"))
    sizes: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    lines: Mapping[int, tuple[LogLine, ...]] = field(default_factory=dict)
    nearest: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
