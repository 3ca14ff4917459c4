"""The single lines of log sessions, and what is rare about their templates and parameters."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, NamedTuple, Self, TypeVar

import numpy as np

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.detectors.logs._counts import find
from tocsin.types import BoolArray, FloatArray, IntArray, SessionArray

_POSITIONS = 64  # parameters of a line that are looked at

_Value = TypeVar("_Value", bound=Hashable)


class Numbers(NamedTuple):
    """The numbers among the parameters of lines of known templates.

    ``line`` (m,): which line has it. ``key`` (m,): the template and the position in it.
    ``value`` (m,): the number, as a signed log.
    """

    line: IntArray
    key: IntArray
    value: FloatArray


@dataclass(frozen=True, slots=True)
class Lines:
    """The c lines of n sessions, one session after the other, of which d are distinct.

    ``starts`` (n,): the first line of each session. ``which`` (c,): the distinct line that each
    line is. Of the distinct lines: ``templates`` (d,), ``levels`` (d,) and ``texts`` (d,), the
    places in ``level_names`` and ``text_names`` (component and message; "" where a session has
    none), and their ``numbers``.
    """

    starts: IntArray
    which: IntArray
    templates: IntArray
    levels: IntArray
    texts: IntArray
    numbers: Numbers
    level_names: list[str]
    text_names: list[str]

    @classmethod
    def of(cls, X: SessionArray) -> Lines:
        """Return the lines of sessions (n,); what many of them share is looked at once."""
        number = {key: i for i, key in enumerate(dict.fromkeys(map(id, X)))}
        kind = np.fromiter(map(number.__getitem__, map(id, X)), np.int64, len(X))
        sessions = list({id(session): session for session in X}.values())
        lengths = np.fromiter(map(len, sessions), np.int64, len(sessions))
        rows = zip(
            np.concatenate([session.templates for session in sessions]).tolist(),
            chain.from_iterable(each.levels or ("",) * len(each) for each in sessions),
            chain.from_iterable(each.components or (None,) * len(each) for each in sessions),
            chain.from_iterable(each.messages or (None,) * len(each) for each in sessions),
            chain.from_iterable(each.parameters or ((),) * len(each) for each in sessions),
            strict=True,
        )
        which, distinct = _numbered(rows)
        templates = np.array([row[0] for row in distinct], dtype=np.int64)
        levels, level_names = _numbered(row[1] for row in distinct)
        texts, text_names = _numbered(_text(*row[2:4]) for row in distinct)
        numbers = _numbers(templates, [row[4] for row in distinct])
        first = np.cumsum(lengths) - lengths
        places, starts = _ranges(first[kind], lengths[kind])
        return cls(
            starts, which[places], templates, levels, texts, numbers, level_names, text_names
        )

    def take(self, sessions: BoolArray) -> Lines:
        """Return the lines of the sessions marked (n,), without distinct lines of others."""
        lengths = np.diff(self.starts, append=len(self.which))
        places, starts = _ranges(self.starts[sessions], lengths[sessions])
        kept, which = np.unique(self.which[places], return_inverse=True)
        place = np.full(len(self.templates), -1)
        place[kept] = np.arange(len(kept))
        line = place[self.numbers.line]
        here = line >= 0
        return replace(
            self,
            starts=starts,
            which=which,
            templates=self.templates[kept],
            levels=self.levels[kept],
            texts=self.texts[kept],
            numbers=Numbers(line[here], self.numbers.key[here], self.numbers.value[here]),
        )


class Rarity(Stateful):
    """How surprising templates, and levels given their templates, are.

    Surprises are −log p over log(n + 2) of n training lines: 1 is what was never seen.
    """

    templates_: Annotated[IntArray, Shape("kinds", empty=True), Within(rising=True)]
    counts_: Annotated[IntArray, Shape("kinds", empty=True), Within(0)]
    levels_: list[str]
    level_counts_: Annotated[FloatArray, Shape("kinds+1", "levels"), Within(0)]
    """(templates + 1, levels): lines of each template at each level; the last row: of any."""

    def fit(self, lines: Lines) -> Self:
        """Count lines; templates below 0 are unknown."""
        count = np.bincount(lines.which)
        known = lines.templates >= 0
        self.templates_, at = np.unique(lines.templates[known], return_inverse=True)
        self.counts_ = np.zeros(len(self.templates_), dtype=np.int64)
        np.add.at(self.counts_, at, count[known])
        self.levels_ = sorted(lines.level_names[i] for i in np.unique(lines.levels))
        level = self._level(lines)
        self.level_counts_ = np.zeros((len(self.templates_) + 1, len(self.levels_)))
        np.add.at(self.level_counts_, (at, level[known]), count[known])
        np.add.at(self.level_counts_[-1], level, count)
        return self

    def of_templates(self, lines: Lines) -> FloatArray:
        """Return the surprise (d,) of each distinct line's template."""
        count = np.append(self.counts_, 0)[find(self.templates_, lines.templates)]
        return self._surprise((count + 1) / (self._lines + 2))

    def of_levels(self, lines: Lines) -> FloatArray:
        """Return the surprise (d,) of each distinct line's level after its template.

        0 without levels. Levels that a template was not seen at back off to those of all lines,
        by Witten–Bell.
        """
        if self.levels_ in ([], [""]):
            return np.zeros(len(lines.templates))
        level = self._level(lines)
        counts = np.pad(self.level_counts_, ((0, 0), (0, 1)))  # the last column: a new level
        p = (counts[-1, level] + 1) / (self._lines + len(self.levels_) + 1)
        row = find(self.templates_, lines.templates)
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

    def _level(self, lines: Lines) -> IntArray:
        number = {level: i for i, level in enumerate(self.levels_)}
        known = [number.get(level, len(number)) for level in lines.level_names]
        return np.array(known, dtype=np.int64)[lines.levels]


class Ranges(Stateful):
    """The range of each number among the parameters of a template, in log units."""

    keys_: Annotated[IntArray, Shape("keys", empty=True), Within(rising=True)]
    low_: Annotated[FloatArray, Shape("keys", empty=True)]
    high_: Annotated[FloatArray, Shape("keys", empty=True)]

    def fit(self, lines: Lines) -> Self:
        """Learn the ranges from lines."""
        _, keys, values = lines.numbers
        order = np.argsort(keys, kind="stable")
        self.keys_, starts = np.unique(keys[order], return_index=True)
        empty = np.empty(0)
        self.low_ = np.minimum.reduceat(values[order], starts) if len(starts) else empty
        self.high_ = np.maximum.reduceat(values[order], starts) if len(starts) else empty
        return self

    def excess(self, lines: Lines) -> FloatArray:
        """Return how far (d,), from 0 to 1, each distinct line's worst number is out of range.

        A number that is outside by as much as the range is wide, and a factor of e more, gets ½.
        """
        line, keys, values = lines.numbers
        at = find(self.keys_, keys)
        known = at >= 0
        line, at, values = line[known], at[known], values[known]
        low, high = self.low_[at], self.high_[at]
        outside = np.maximum(np.maximum(low - values, values - high), 0)
        worst = np.zeros(len(lines.templates))
        np.maximum.at(worst, line, outside / (outside + (high - low) + 1))
        return worst


def _text(component: str | None, message: str | None) -> str:
    if message is None:
        return ""
    return message if component is None else f"{component} {message}"


def _numbered(values: Iterable[_Value]) -> tuple[IntArray, list[_Value]]:
    """Return the number of each value, and the distinct values."""
    number: dict[_Value, int] = {}
    found = [number.setdefault(value, len(number)) for value in values]
    return np.array(found, dtype=np.int64), list(number)


def _ranges(first: IntArray, lengths: IntArray) -> tuple[IntArray, IntArray]:
    """Return the numbers of ranges one after the other, and where each range starts."""
    starts = np.cumsum(lengths) - lengths
    return np.repeat(first - starts, lengths) + np.arange(lengths.sum()), starts


def _numbers(templates: IntArray, parameters: list[tuple[str, ...]]) -> Numbers:
    lengths = np.array([min(len(texts), _POSITIONS) for texts in parameters], dtype=np.int64)
    all_texts = list(chain.from_iterable(texts[:_POSITIONS] for texts in parameters))
    number = {text: _number(text) for text in set(all_texts)}
    values = np.array([number[text] for text in all_texts], dtype=np.float64)
    line = np.repeat(np.arange(len(lengths)), lengths)
    position, _ = _ranges(np.zeros_like(lengths), lengths)
    known = np.isfinite(values) & (templates[line] >= 0)
    line, position, values = line[known], position[known], values[known]
    keys = templates[line] * _POSITIONS + position
    return Numbers(line, keys, np.sign(values) * np.log1p(np.abs(values)))


def _number(text: str) -> float:
    """Return a decimal number as a float, nan for anything else."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
