"""Which kinds of lines, or which words, made log sessions anomalous, beside a normal session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import pairwise
from math import fsum, log
from typing import Any, NamedTuple, Self

import numpy as np

from tocsin.base import Detector, Stateful
from tocsin.types import FloatArray, IntArray, LogSession, Reason, SessionArray

__all__ = ["Background", "explain_session", "messages_of"]

MOST_SESSIONS, MOST_LINES = 300, 30_000
"""Training sessions, and lines of them, that are kept at most."""

_DRAWN = 10_000
_MOST_WORDS = 60
_MOST_KINDS, _MOST_CHANGED_LINES = 60, 30_000

Namer = Callable[[int], str]
"""Gives the text of a template."""


class _Line(NamedTuple):
    template: int
    message: str
    level: str
    component: str
    parameters: tuple[str, ...]

    @property
    def kind(self) -> tuple[int, str]:
        """Its template; lines of no known template are told apart by their messages."""
        return self.template, "" if self.template >= 0 else self.message


class Background(Stateful):
    """A few hundred normal training sessions, in which the nearest to an anomaly is found.

    Distinct sessions, drawn by ``seed``: at most 300 of them, and of 30,000 lines in all.

    >>> sessions = np.empty(2, dtype=object)
    >>> sessions[:] = [LogSession(np.array([0, 1])), LogSession(np.array([0, 1, 1, 1, 2]))]
    >>> Background().fit(sessions).nearest(LogSession(np.array([0, 1, 1]))).templates.tolist()
    [0, 1]
    """

    starts_: IntArray
    templates_: IntArray
    text_: IntArray
    texts_: list[list[str]]
    """The distinct messages with their levels and components."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, sessions: SessionArray) -> Self:
        """Keep some of the sessions (n,), all of them normal; n may be 0."""
        order = np.random.default_rng(self.seed).permutation(len(sessions))[:_DRAWN]
        chosen: dict[Hashable, LogSession] = {}
        size = 0
        for session in sessions[order]:
            if len(chosen) == MOST_SESSIONS:
                break
            of_one = session.messages if len(session) == 1 else ()
            key = (session.templates.tobytes(), of_one)
            if key not in chosen and (not chosen or size + len(session) <= MOST_LINES):
                chosen[key] = session
                size += len(session)
        number: dict[tuple[str, str, str], int] = {}
        lines = [_lines(session) for session in chosen.values()]
        self.starts_ = np.cumsum([0, *map(len, lines)]).astype(np.int64)
        flat = [line for each in lines for line in each]
        self.templates_ = np.array([line.template for line in flat], dtype=np.int64)
        text = [
            number.setdefault((line.message, line.level, line.component), len(number))
            for line in flat
        ]
        self.text_ = np.array(text, dtype=np.int64)
        self.texts_ = [list(each) for each in number]
        self._prepare()
        return self

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self._prepare()
        return self

    def nearest(self, session: LogSession) -> LogSession | None:
        """Return the most similar session: of a single line by its words, else by its kinds.

        Counts are compared on a logarithmic scale. None where none was kept.
        """
        lines = _lines(session)
        single = _is_line(session) and any(self._words)
        own = _words(lines[0]) if single else _kinds(lines)
        known = self._words if single else self._kinds
        usable = [i for i, counts in enumerate(known) if counts]
        if not usable:
            return None
        best = min(usable, key=lambda i: (_distance(own, known[i]), i))
        return _session(self._sessions[best], bare=not session.messages)

    def _prepare(self) -> None:
        flat = [
            _Line(template, *self.texts_[text], ())  # type: ignore[call-arg]
            for template, text in zip(self.templates_.tolist(), self.text_.tolist(), strict=True)
        ]
        bounds = self.starts_.tolist()
        self._sessions = [flat[a:b] for a, b in pairwise(bounds)]
        self._kinds = [_kinds(lines) for lines in self._sessions]
        self._words: list[Counter[Any]] = [
            _words(lines[0]) if len(lines) == 1 else Counter() for lines in self._sessions
        ]


def explain_session(
    detector: Detector, session: LogSession, near: LogSession | None, name: Namer, top: int
) -> tuple[Reason, ...]:
    """Return what made a session anomalous, the heaviest first: kinds of lines, or words.

    A kind weighs what the score falls by when its lines are as in ``near``, the nearest normal
    session, and what that one's rises by with the lines of this one; where nothing does, the
    first line that is in another place is named, or else what leaving a kind out changes. Of a
    single line, each word that ``near`` lacks weighs what the score falls by without it and
    what that of ``near`` rises by with it; so do its values, and its level, component and
    template where those of ``near`` are others. What was seen and expected of kinds and words
    is how often they occur. Bounded: 60 words, 60 kinds, and fewer of long sessions.

    >>> from tocsin.registry import create
    >>> usual = LogSession(np.array([0, 1]))
    >>> detector = create("log_rarity", "logs").fit([usual] * 50)
    >>> explain_session(detector, LogSession(np.array([0, 1, -1])), usual, "kind {}".format, 1)
    (Reason(name='kind -1', seen=1, expected=0, weight=1.0),)
    """
    if _is_line(session) and (near is None or _is_line(near)):
        found = _of_line(detector, session, near, name)
    else:
        found = _of_kinds(detector, session, near, name)
    total = sum(reason.weight for reason in found)
    found = sorted((r for r in found if r.weight > 0), key=lambda r: -r.weight)[:top]
    return tuple(Reason(r.name, r.seen, r.expected, r.weight / total) for r in found)


def messages_of(session: LogSession, name: Namer, most: int) -> tuple[str, ...]:
    """Return the first messages of a session with their levels and components."""
    told = []
    for line in _lines(session)[:most]:
        words = (line.level, line.component and f"{line.component}:", line.message)
        told.append(" ".join(filter(None, words)) or name(line.template))
    return tuple(told)


def _of_kinds(
    detector: Detector, session: LogSession, near: LogSession | None, name: Namer
) -> list[Reason]:
    own, normal = _lines(session), [] if near is None else _lines(near)
    seen, expected = _kinds(own), _kinds(normal)
    kinds = sorted(
        seen | expected,
        key=lambda kind: (-abs(np.log1p(seen[kind]) - np.log1p(expected[kind])), kind),
    )
    longest = max(len(own), len(normal))
    kinds = kinds[: max(4, min(_MOST_KINDS, _MOST_CHANGED_LINES // longest))]

    def scores(variants: Iterable[list[_Line]], of_none: float) -> FloatArray:
        return _scores(detector, variants, bare=not session.messages, of_none=of_none)

    score = float(detector.score(_array([session])).values[0])
    usual = 0.0 if near is None else float(detector.score(_array([near])).values[0])
    fall = score - scores([_changed(own, normal, kind) for kind in kinds], usual)
    rise = scores([_changed(normal, own, kind) for kind in kinds], usual) - usual
    weights = np.maximum(fall, 0) + np.maximum(rise, 0)
    if not weights.any() and seen == expected:
        moved = next((i for i in range(len(own)) if own[i].kind != normal[i].kind), None)
        if moved is None:
            return []
        here, there = (each.kind[1] or name(each.template) for each in (own[moved], normal[moved]))
        return [Reason("order", here, there, 1.0)]
    if not weights.any():
        weights = np.maximum(score - scores([_changed(own, [], k) for k in kinds], score), 0)
    return [
        Reason(kind[1] or name(kind[0]), seen[kind], expected[kind], float(weight))
        for kind, weight in zip(kinds, weights, strict=True)
    ]


def _of_line(
    detector: Detector, session: LogSession, near: LogSession | None, name: Namer
) -> list[Reason]:
    line = _lines(session)[0]
    normal = line._replace(message="") if near is None else _lines(near)[0]
    seen, expected = Counter(line.message.split()), Counter(normal.message.split())
    reasons, without, beside = [], [], []  # the line without what a reason names, near with it

    def add(what: str, seen: float | str, expected: float | str | None, **parts: Any) -> None:
        reasons.append(Reason(what, seen, expected, 0.0))
        without.append([line._replace(**{part: pair[0] for part, pair in parts.items()})])
        beside.append([normal._replace(**{part: pair[1] for part, pair in parts.items()})])

    for word in [each for each in seen if seen[each] > expected[each]][:_MOST_WORDS]:
        rest = " ".join(each for each in line.message.split() if each != word)
        add(word, seen[word], expected[word], message=(rest, f"{normal.message} {word}"))
    if line.parameters:
        add("values", ", ".join(line.parameters), None, parameters=((), normal.parameters))
    for part in ("level", "component"):
        here, there = getattr(line, part), getattr(normal, part)
        if here != there:
            add(part, here, there, **{part: (there, here)})
    if line.template != normal.template:
        kind = name(line.template) if line.template >= 0 else "new"
        parts = (normal.template, line.template)
        add("kind of message", kind, name(normal.template), template=parts)
    if not reasons:
        return []
    score, usual = detector.score(_array([session, _session([normal], bare=False)])).values
    fall = score - _scores(detector, without, bare=False, of_none=score)
    rise = _scores(detector, beside, bare=False, of_none=usual) - usual
    weights = np.maximum(fall, 0) + (np.maximum(rise, 0) if near is not None else 0)
    return [
        Reason(reason.name, reason.seen, reason.expected, float(weight))
        for reason, weight in zip(reasons, weights, strict=True)
    ]


def _changed(lines: list[_Line], others: list[_Line], kind: tuple[int, str]) -> list[_Line]:
    """Return lines with those of one kind as they are among the others."""
    new = iter([line for line in others if line.kind == kind])
    changed: list[_Line] = []
    place = next((i for i, line in enumerate(others) if line.kind == kind), 0)
    for line in lines:
        if line.kind != kind:
            changed.append(line)
        elif (other := next(new, None)) is not None:
            changed.append(other)
            place = len(changed)
    changed[place:place] = new
    return changed


def _scores(
    detector: Detector, variants: Iterable[list[_Line]], *, bare: bool, of_none: float
) -> FloatArray:
    """Return the scores of variants of a session, ``of_none`` for those without lines."""
    sessions = [_session(lines, bare=bare) if lines else None for lines in variants]
    scores = np.full(len(sessions), of_none)
    filled = [i for i, session in enumerate(sessions) if session is not None]
    if filled:
        scores[filled] = detector.score(_array(filter(None, sessions))).values
    return scores


def _is_line(session: LogSession) -> bool:
    return len(session) == 1 and bool(session.messages)


def _lines(session: LogSession) -> list[_Line]:
    nothing = ("",) * len(session)
    parts = (
        session.templates.tolist(),
        session.messages or nothing,
        session.levels or nothing,
        session.components or nothing,
        session.parameters or ((),) * len(session),
    )
    return [_Line(*line) for line in zip(*parts, strict=True)]


def _session(lines: list[_Line], *, bare: bool) -> LogSession:
    """Return the session of lines; ``bare``: only their templates are known."""
    templates = np.array([line.template for line in lines], dtype=np.int64)
    if bare:
        return LogSession(templates)
    _, messages, levels, components, parameters = zip(*lines, strict=True)
    return LogSession(templates, messages, levels, components, parameters)


def _array(sessions: Iterable[LogSession]) -> SessionArray:
    items = list(sessions)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _kinds(lines: list[_Line]) -> Counter[Any]:
    return Counter(line.kind for line in lines)


def _words(line: _Line) -> Counter[Any]:
    return Counter([line.level, line.component, *line.message.split()])


def _distance(a: Counter[Any], b: Counter[Any]) -> float:
    pairs = [(a.get(unit, 0), b.get(unit, 0)) for unit in a.keys() | b.keys()]
    # Exact, so that it does not matter in which order a set yields the units.
    return fsum([log((1 + here) / (1 + there)) ** 2 for here, there in pairs if here != there])
