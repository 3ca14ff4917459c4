"""Which kinds of lines, or which words, made log sessions anomalous, beside a normal session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tocsin.base import Detector
from tocsin.explain.log_background import SessionBackground
from tocsin.explain.log_lines import (
    Line,
    count_kinds,
    is_line,
    lines_of,
    session_of,
)
from tocsin.types import FloatArray, LogSession, Reason

__all__ = ["SessionBackground", "explain_session", "messages_of"]

_MOST_WORDS = 60
_MOST_KINDS, _MOST_CHANGED_LINES = 60, 30_000

Namer = Callable[[int], str]
"""Gives the text of a template, by its number."""


def explain_session(
    detector: Detector, session: LogSession, near: LogSession | None, name: Namer, top: int
) -> tuple[Reason, ...]:
    """Return what made a session anomalous, the heaviest first: kinds of lines, or words.

    A kind weighs what the score falls by when its lines are as in ``near``, the nearest normal
    session, and what that one's rises by with the lines of this one; where nothing does, the
    first line that is in another place is named, or else what leaving a kind out changes. Of a
    single line, each word that ``near`` lacks weighs what the score falls by without it and
    what that of ``near`` rises by with it; so do its values, and its level, component and
    template where they differ from those of ``near``. What was seen and expected of kinds and words
    is how often they occur. Bounded: 60 words, 60 kinds, and fewer of long sessions.

    >>> from tocsin.registry import create
    >>> usual = LogSession(np.array([0, 1]))
    >>> detector = create("log_rarity", "logs").fit([usual] * 50)
    >>> explain_session(detector, LogSession(np.array([0, 1, -1])), usual, "kind {}".format, 1)
    (Reason(name='kind -1', seen=1, expected=0, weight=1.0),)
    """
    if is_line(session) and (near is None or is_line(near)):
        found = _explain_line(detector, session, near, name)
    else:
        found = _explain_kinds(detector, session, near, name)
    total = sum(reason.weight for reason in found)
    found = sorted((r for r in found if r.weight > 0), key=lambda r: -r.weight)[:top]
    return tuple(Reason(r.name, r.seen, r.expected, r.weight / total) for r in found)


def messages_of(session: LogSession, name: Namer, most: int) -> tuple[str, ...]:
    """Return the first messages of a session with their levels and components."""
    messages = []
    for line in lines_of(session)[:most]:
        words = (line.level, line.component and f"{line.component}:", line.message)
        messages.append(" ".join(filter(None, words)) or name(line.template))
    return tuple(messages)


def _explain_kinds(
    detector: Detector, session: LogSession, near: LogSession | None, name: Namer
) -> list[Reason]:
    own, normal = lines_of(session), [] if near is None else lines_of(near)
    seen, expected = count_kinds(own), count_kinds(normal)
    longest = max(len(own), len(normal))
    most = max(4, min(_MOST_KINDS, _MOST_CHANGED_LINES // longest))
    kinds = _most_different(seen, expected)[:most]

    def scores(variants: Iterable[list[Line]], of_none: float) -> FloatArray:
        return _scores(detector, variants, bare=not session.messages, of_none=of_none)

    score = float(detector.score([session]).values[0])
    usual = 0.0 if near is None else float(detector.score([near]).values[0])
    fall = score - scores([_changed(own, normal, kind) for kind in kinds], usual)
    rise = scores([_changed(normal, own, kind) for kind in kinds], usual) - usual
    weights = np.maximum(fall, 0) + np.maximum(rise, 0)
    if not weights.any() and seen == expected:
        return _explain_order(own, normal, name)
    if not weights.any():
        weights = np.maximum(score - scores([_changed(own, [], k) for k in kinds], score), 0)
    return [
        Reason(kind[1] or name(kind[0]), seen[kind], expected[kind], float(weight))
        for kind, weight in zip(kinds, weights, strict=True)
    ]


def _most_different(seen: Counter[Any], expected: Counter[Any]) -> list[tuple[int, str]]:
    """Return kinds of lines, first those whose numbers differ most on a logarithmic scale."""
    return sorted(
        seen | expected,
        key=lambda kind: (-abs(np.log1p(seen[kind]) - np.log1p(expected[kind])), kind),
    )


def _explain_order(own: list[Line], normal: list[Line], name: Namer) -> list[Reason]:
    """Return the first line that is in another place than in a session of the same lines."""
    moved = (pair for pair in zip(own, normal, strict=True) if pair[0].kind != pair[1].kind)
    if (pair := next(moved, None)) is None:
        return []
    here, there = (each.kind[1] or name(each.template) for each in pair)
    return [Reason("order", here, there, 1.0)]


def _explain_line(
    detector: Detector, session: LogSession, near: LogSession | None, name: Namer
) -> list[Reason]:
    line = lines_of(session)[0]
    normal = line._replace(message="") if near is None else lines_of(near)[0]
    differences = list(_differences(line, normal, name))
    if not differences:
        return []
    reasons, without, beside = zip(*differences, strict=True)
    score, usual = detector.score([session, session_of([normal], bare=False)]).values
    fall = score - _scores(detector, ([x] for x in without), bare=False, of_none=score)
    rise = _scores(detector, ([x] for x in beside), bare=False, of_none=usual) - usual
    weights = np.maximum(fall, 0) + (np.maximum(rise, 0) if near is not None else 0)
    return [
        Reason(reason.name, reason.seen, reason.expected, float(weight))
        for reason, weight in zip(reasons, weights, strict=True)
    ]


def _differences(line: Line, normal: Line, name: Namer) -> Iterator[tuple[Reason, Line, Line]]:
    """Yield what only a line has, the line without it, and the normal one with it."""
    seen, expected = Counter(line.message.split()), Counter(normal.message.split())
    for word in [each for each in seen if seen[each] > expected[each]][:_MOST_WORDS]:
        rest = " ".join(each for each in line.message.split() if each != word)
        reason = Reason(word, seen[word], expected[word], 0.0)
        more = f"{normal.message} {word}"
        yield reason, line._replace(message=rest), normal._replace(message=more)
    if line.parameters:
        reason = Reason("values", ", ".join(line.parameters), None, 0.0)
        yield reason, line._replace(parameters=()), normal
    for part in ("level", "component"):
        here, there = getattr(line, part), getattr(normal, part)
        if here != there:
            without, beside = line._replace(**{part: there}), normal._replace(**{part: here})
            yield Reason(part, here, there, 0.0), without, beside
    if line.template != normal.template:
        kind = name(line.template) if line.template >= 0 else "new"
        reason = Reason("kind of message", kind, name(normal.template), 0.0)
        without = line._replace(template=normal.template)
        yield reason, without, normal._replace(template=line.template)


def _changed(lines: list[Line], others: list[Line], kind: tuple[int, str]) -> list[Line]:
    """Return lines with those of one kind as they are among the others."""
    new = iter([line for line in others if line.kind == kind])
    changed: list[Line] = []
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
    detector: Detector, variants: Iterable[list[Line]], *, bare: bool, of_none: float
) -> FloatArray:
    """Return the scores of variants of a session, ``of_none`` for those without lines."""
    lines = list(variants)
    scores = np.full(len(lines), of_none)
    filled = [i for i, each in enumerate(lines) if each]
    if filled:
        sessions = [session_of(lines[i], bare=bare) for i in filled]
        scores[filled] = detector.score(sessions).values
    return scores
