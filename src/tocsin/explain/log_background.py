"""Normal log sessions beside which anomalous ones are explained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from itertools import pairwise
from typing import Annotated, Any, Self

import numpy as np

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.explain.log_lines import (
    Line,
    count_kinds,
    count_words,
    distance,
    is_line,
    lines_of,
    session_of,
)
from tocsin.types import IntArray, LogSession, SessionArray

MOST_SESSIONS, MOST_LINES = 300, 30_000
"""Training sessions, and lines of them, that are kept at most."""

_DRAWN = 10_000


class SessionBackground(Stateful):
    """A few hundred normal training sessions, in which the nearest to an anomaly is found.

    Distinct sessions, drawn by ``seed``: at most 300 of them, and of 30,000 lines in all.

    >>> sessions = np.empty(2, dtype=object)
    >>> sessions[:] = [LogSession(np.array([0, 1])), LogSession(np.array([0, 1, 1, 1, 2]))]
    >>> background = SessionBackground().fit(sessions)
    >>> background.nearest(LogSession(np.array([0, 1, 1]))).templates.tolist()
    [0, 1]
    """

    starts_: Annotated[IntArray, Shape("m+1", empty=True), Within(0, "lines", rising=True)]
    templates_: Annotated[IntArray, Shape("lines", empty=True)]
    text_: Annotated[IntArray, Shape("lines", empty=True), Within(0)]
    texts_: list[list[str]]
    """The distinct messages with their levels and components."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, sessions: SessionArray) -> Self:
        """Keep some of the sessions (n,), all of them normal; n may be 0."""
        number: dict[tuple[str, str, str], int] = {}
        lines = [lines_of(session) for session in self._draw(sessions)]
        self.starts_ = np.cumsum([0, *map(len, lines)]).astype(np.int64)
        flat = [line for each in lines for line in each]
        self.templates_ = np.array([line.template for line in flat], dtype=np.int64)
        text = [
            number.setdefault((line.message, line.level, line.component), len(number))
            for line in flat
        ]
        self.text_ = np.array(text, dtype=np.int64)
        self.texts_ = [list(each) for each in number]
        self._derive()
        return self

    def nearest(self, session: LogSession) -> LogSession | None:
        """Return the most similar session: of a single line by its words, else by its kinds.

        Counts are compared on a logarithmic scale. None where none was kept.
        """
        lines = lines_of(session)
        single = is_line(session) and any(self._words)
        own = count_words(lines[0]) if single else count_kinds(lines)
        known = self._words if single else self._kinds
        usable = [i for i, counts in enumerate(known) if counts]
        if not usable:
            return None
        best = min(usable, key=lambda i: (distance(own, known[i]), i))
        return session_of(self._sessions[best], bare=not session.messages)

    def _draw(self, sessions: SessionArray) -> list[LogSession]:
        """Return distinct sessions, as many as are kept."""
        order = np.random.default_rng(self.seed).permutation(len(sessions))[:_DRAWN]
        drawn: dict[Hashable, LogSession] = {}
        size = 0
        for session in sessions[order]:
            if len(drawn) == MOST_SESSIONS:
                break
            key = (session.templates.tobytes(), session.messages if len(session) == 1 else ())
            if key not in drawn and (not drawn or size + len(session) <= MOST_LINES):
                drawn[key] = session
                size += len(session)
        return list(drawn.values())

    def _derive(self) -> None:
        flat = [
            Line(template, *self.texts_[text], ())  # type: ignore[call-arg]
            for template, text in zip(self.templates_.tolist(), self.text_.tolist(), strict=True)
        ]
        bounds = self.starts_.tolist()
        self._sessions = [flat[a:b] for a, b in pairwise(bounds)]
        self._kinds = [count_kinds(lines) for lines in self._sessions]
        self._words: list[Counter[Any]] = [
            count_words(lines[0]) if len(lines) == 1 else Counter() for lines in self._sessions
        ]
