"""The data for detectors of logs, and the checks that only they pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tocsin.base import Detector
from tocsin.checks import common, hostile, items
from tocsin.checks.asserting import require_same, scored
from tocsin.checks.subject import Items, ItemSubject, Subject
from tocsin.types import LogSession, SessionArray

_LINES = (
    ("INFO", "net", "connection opened from <ip>"),
    ("INFO", "auth", "user <*> logged in"),
    ("INFO", "store", "block * read"),
    ("INFO", "store", "block * written"),
    ("WARN", "store", "retrying block *"),
    ("INFO", "auth", "user <*> logged out"),
    ("INFO", "net", "connection closed after * ms"),
)
_NEW = (
    ("ERROR", "store", "checksum mismatch in block *"),
    ("FATAL", "kernel", "out of memory: killed process *"),
    ("ERROR", "net", "handshake refused: certificate expired"),
)
_RARE = 4


class LogSubject(ItemSubject):
    """Sessions from login to logout; some with lines of new kinds, or rare ones many times."""

    modality = "logs"
    shared = (common, hostile, items)
    least_area = 0.75
    shares = (0.0, 0.35)

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        rng = np.random.default_rng(7)
        usual = [_usual(rng, i) for i in range(600)]
        self.normal, self.unseen = _sessions(usual[:300]), _sessions(usual[300:])
        self.anomalies = _sessions([_odd(rng, i) for i in range(60)])

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes, by what is wrong with them."""
        return {
            "nothing at all": None,
            "an empty list": [],
            "a single text": "connection opened",
            "texts": ["connection opened", "connection closed"],
            "numbers": np.ones(40),
            "a matrix": np.ones((40, 3)),
            "a missing session": [*self.normal[:39], None],
            "a session without lines": [*self.normal[:39], LogSession(np.empty(0, dtype=int))],
        }

    def unlike(self, X: Items) -> Items:
        """Return a session with a line of a new kind."""
        return self.anomalies[:1]


def check_templates_alone(subject: Subject) -> None:
    """Check that sessions of which only the kinds of lines are known are taken, also mixed."""
    X = subject.normal[:60]
    bare = _sessions([LogSession(session.templates) for session in X])
    scored(subject.fitted, bare)
    scored(subject.fits(bare), X)
    subject.fits(np.concatenate([bare, X]))


def check_single_lines(subject: Subject) -> None:
    """Check that single lines are sessions."""
    lines = [_session([i % 3], i) for i in range(40)]
    subject.fits(_sessions(lines))


def check_unknown_templates(subject: LogSubject) -> None:
    """Check that lines of unknown kinds are learned from, also where there are no others."""
    X = subject.normal[:40].copy()
    X[::7] = subject.anomalies[:6]
    subject.fits(X)
    subject.fits(_sessions([LogSession(np.array([-1, -1])), LogSession(np.array([-1]))] * 10))


def check_any_text(subject: Subject) -> None:
    """Check that messages, levels and parameters of any characters are taken, also saved."""
    text = "\0 今日は 👩‍👧 e\u0301 \u202e"
    strange = LogSession(np.array([90, 2]), (text, ""), (text, ""), (text, ""), ((text,), ()))
    X = np.concatenate([subject.normal[:30], _sessions([strange] * 2)])
    scored(subject.fitted, X)
    detector = subject.fits(X)
    wanted, given = detector.score(X).values, subject.restored(detector).score(X).values
    require_same(given, wanted, "scores of strange lines after loading", rtol=0)


def check_long_sessions(subject: Subject) -> None:
    """Check that sessions of 10,000 lines are scored, and long ones learned from."""
    kinds = np.arange(10_000) % len(_LINES)
    scored(subject.fitted, _sessions([LogSession(kinds), LogSession(kinds[:1])]))
    subject.fits(np.concatenate([subject.normal[:30], _sessions([LogSession(kinds[:1000])])]))


def check_far_numbers(subject: Subject) -> None:
    """Check that kinds of lines may have any numbers."""
    far = LogSession(np.array([0, 2**40]))
    scored(subject.fitted, _sessions([far]))
    subject.fits(np.concatenate([subject.normal[:30], _sessions([far])]))


def _usual(rng: np.random.Generator, i: int) -> LogSession:
    work = [int(rng.choice([2, 3]))] * int(rng.integers(1, 4))
    if rng.random() < 0.02:
        work.append(_RARE)
    return _session([0, 1, *work, 5, 6], i)


def _odd(rng: np.random.Generator, i: int) -> LogSession:
    """Return a session with a new line, at every third place with a rare one three times more."""
    work = [2, -1 - i % len(_NEW), 3] + [_RARE] * (3 if i % 3 == 0 else 0)
    return _session([0, 1, *work, 5, 6], i)


def _session(templates: Sequence[int], i: int) -> LogSession:
    """Return a session; −1, −2 and −3 stand for lines of new kinds."""
    lines = [_LINES[k] if k >= 0 else _NEW[-1 - k] for k in templates]
    levels, components, messages = zip(*lines, strict=True)
    return LogSession(
        np.maximum(templates, -1).astype(np.int64),
        messages,
        levels,
        components,
        tuple((str(100 + i % 50),) if "*" in message else () for message in messages),
    )


def _sessions(sessions: Sequence[LogSession]) -> SessionArray:
    X = np.empty(len(sessions), dtype=object)
    X[:] = sessions
    return X
