"""The single lines of log sessions, and what is rare about their templates and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import numpy as np

from tocsin.base import Stateful
from tocsin.detectors.logs._counts import find
from tocsin.types import BoolArray, FloatArray, IntArray, LogSession, SessionArray

_POSITIONS = 64  # parameters of a line that are looked at


@dataclass(frozen=True, slots=True)
class Lines:
    """The c lines of n sessions, one session after the other.

    ``starts`` (n,): the first line of each session. ``templates`` (c,). ``levels``, ``texts``
    (component and message) and ``parameters``: c each, "" and () where a session has none.
    """

    starts: IntArray
    templates: IntArray
    levels: list[str]
    texts: list[str]
    parameters: list[tuple[str, ...]]

    @classmethod
    def of(cls, X: SessionArray) -> Lines:
        """Return the lines of sessions (n,)."""
        lengths = np.fromiter(map(len, X), dtype=np.int64, count=len(X))
        return cls(
            np.cumsum(lengths) - lengths,
            np.concatenate([session.templates for session in X]).astype(np.int64),
            list(chain.from_iterable(session.levels or ("",) * len(session) for session in X)),
            list(chain.from_iterable(map(_texts, X))),
            list(chain.from_iterable(session.parameters or ((),) * len(session) for session in X)),
        )


class Rarity(Stateful):
    """How surprising templates, and levels given their templates, are.

    Surprises are −log p over log(n + 2) of n training lines: 1 is what was never seen.
    """

    templates_: IntArray
    counts_: IntArray
    levels_: list[str]
    level_counts_: FloatArray
    """(templates + 1, levels): lines of each template at each level; the last row: of any."""

    def fit(self, templates: IntArray, levels: list[str]) -> Self:
        """Count lines (c,); templates below 0 are unknown."""
        known = templates >= 0
        self.templates_, at = np.unique(templates[known], return_inverse=True)
        self.counts_ = np.bincount(at, minlength=len(self.templates_))
        self.levels_ = sorted(set(levels))
        level = self._level(levels)
        self.level_counts_ = np.zeros((len(self.templates_) + 1, len(self.levels_)))
        np.add.at(self.level_counts_, (at, level[known]), 1)
        self.level_counts_[-1] = np.bincount(level, minlength=len(self.levels_))
        return self

    def of_templates(self, templates: IntArray) -> FloatArray:
        """Return the surprise (c,) of each line's template."""
        count = np.append(self.counts_, 0)[find(self.templates_, templates)]
        return self._surprise((count + 1) / (self._lines + 2))

    def of_levels(self, templates: IntArray, levels: list[str]) -> FloatArray:
        """Return the surprise (c,) of each line's level after its template; 0 without levels.

        Levels that a template was not seen at back off to those of all lines, by Witten–Bell.
        """
        if self.levels_ in ([], [""]):
            return np.zeros(len(templates))
        level = self._level(levels)
        counts = np.pad(self.level_counts_, ((0, 0), (0, 1)))  # the last column: a new level
        p = (counts[-1, level] + 1) / (self._lines + len(self.levels_) + 1)
        row = find(self.templates_, templates)
        own = counts[row]
        distinct, total = (own > 0).sum(axis=1), own.sum(axis=1)
        given = (counts[row, level] + distinct * p) / np.maximum(total + distinct, 1)
        return self._surprise(np.where(row < 0, p, given))

    @property
    def _lines(self) -> float:
        return float(self.level_counts_[-1].sum())

    def _surprise(self, p: FloatArray) -> FloatArray:
        surprise: FloatArray = -np.log(p) / np.log(self._lines + 2)
        return surprise

    def _level(self, levels: list[str]) -> IntArray:
        number = {level: i for i, level in enumerate(self.levels_)}
        return np.array([number.get(level, len(number)) for level in levels], dtype=np.int64)


class Ranges(Stateful):
    """The range of each number among the parameters of a template, in log units."""

    keys_: IntArray
    low_: FloatArray
    high_: FloatArray

    def fit(self, templates: IntArray, parameters: list[tuple[str, ...]]) -> Self:
        """Learn the ranges from lines (c,)."""
        _, keys, values = _numbers(templates, parameters)
        order = np.argsort(keys, kind="stable")
        self.keys_, starts = np.unique(keys[order], return_index=True)
        empty = np.empty(0)
        self.low_ = np.minimum.reduceat(values[order], starts) if len(starts) else empty
        self.high_ = np.maximum.reduceat(values[order], starts) if len(starts) else empty
        return self

    def excess(self, templates: IntArray, parameters: list[tuple[str, ...]]) -> FloatArray:
        """Return how far (c,), from 0 to 1, each line's worst number is outside its range.

        A number that is outside by as much as the range is wide, and a factor of e more, gets ½.
        """
        line, keys, values = _numbers(templates, parameters)
        at = find(self.keys_, keys)
        known = at >= 0
        line, at, values = line[known], at[known], values[known]
        low, high = self.low_[at], self.high_[at]
        outside = np.maximum(np.maximum(low - values, values - high), 0)
        worst = np.zeros(len(templates))
        np.maximum.at(worst, line, outside / (outside + (high - low) + 1))
        return worst


def _texts(session: LogSession) -> Any:
    if not session.messages:
        return ("",) * len(session)
    if not session.components:
        return session.messages
    return map(" ".join, zip(session.components, session.messages, strict=True))


def _numbers(
    templates: IntArray, parameters: list[tuple[str, ...]]
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the line, the key of template and position, and the signed log of each number."""
    found = [
        (line, position, number)
        for line, texts in enumerate(parameters)
        for position, text in enumerate(texts[:_POSITIONS])
        if (number := _number(text)) is not None
    ]
    line = np.array([each[0] for each in found], dtype=np.int64)
    position = np.array([each[1] for each in found], dtype=np.int64)
    values = np.array([each[2] for each in found], dtype=np.float64)
    known: BoolArray = templates[line] >= 0
    keys = templates[line] * _POSITIONS + position
    return line[known], keys[known], (np.sign(values) * np.log1p(np.abs(values)))[known]


def _number(text: str) -> float | None:
    """Return a decimal number as a float, None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None
