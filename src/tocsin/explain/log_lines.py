"""Log sessions as lists of lines that can be changed and put together again."""

from __future__ import annotations

from collections import Counter
from math import fsum, log
from typing import Any, NamedTuple

import numpy as np

from tocsin.types import LogSession


class Line(NamedTuple):
    """One line of a session."""

    template: int
    message: str
    level: str
    component: str
    parameters: tuple[str, ...]

    @property
    def kind(self) -> tuple[int, str]:
        """Its template; lines without a known template are distinguished by their messages."""
        return self.template, "" if self.template >= 0 else self.message


def is_line(session: LogSession) -> bool:
    """Return whether a session is a single line whose message is known."""
    return len(session) == 1 and bool(session.messages)


def lines_of(session: LogSession) -> list[Line]:
    """Return the lines of a session."""
    nothing = ("",) * len(session)
    parts = (
        session.templates.tolist(),
        session.messages or nothing,
        session.levels or nothing,
        session.components or nothing,
        session.parameters or ((),) * len(session),
    )
    return [Line(*line) for line in zip(*parts, strict=True)]


def session_of(lines: list[Line], *, bare: bool) -> LogSession:
    """Return the session of lines; ``bare``: only their templates are known."""
    templates = np.array([line.template for line in lines], dtype=np.int64)
    if bare:
        return LogSession(templates)
    _, messages, levels, components, parameters = zip(*lines, strict=True)
    return LogSession(templates, messages, levels, components, parameters)


def count_kinds(lines: list[Line]) -> Counter[Any]:
    """Return how many lines are of each kind."""
    return Counter(line.kind for line in lines)


def count_words(line: Line) -> Counter[Any]:
    """Return how often each word is in a line, its level and component among them."""
    return Counter([line.level, line.component, *line.message.split()])


def distance(a: Counter[Any], b: Counter[Any]) -> float:
    """Return the squared distance of counts on a logarithmic scale."""
    pairs = [(a.get(unit, 0), b.get(unit, 0)) for unit in a.keys() | b.keys()]
    # Exact, so that it does not matter in which order a set yields the units.
    return fsum([log((1 + here) / (1 + there)) ** 2 for here, there in pairs if here != there])
