"""The checks that streaming detectors pass on top of those of series."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import numpy as np

from tocsin.base import StreamingDetector, Stretch
from tocsin.checks.asserting import equal, require, require_same
from tocsin.checks.subject import Subject
from tocsin.types import FloatArray


def _streaming(
    check: Callable[[Subject, StreamingDetector], None],
) -> Callable[[Subject], None]:
    """Return the check for any detector, given a trained copy; others than streaming ones pass."""

    @wraps(check)
    def checked(subject: Subject) -> None:
        if isinstance(subject.detector, StreamingDetector):
            check(subject, copy.deepcopy(subject.fitted))

    return checked


@_streaming
def check_no_look_ahead(subject: Subject, detector: StreamingDetector) -> None:
    """Check that no score changes with what comes later than the delay: to the bit."""
    X, _ = subject.testing
    whole, delay = detector.score(X).values, _delay(detector)
    for n in (1, 17, 205, 480):
        known = max(0, n - delay)
        first = detector.score(X[:n]).values[:known]
        require(
            np.array_equal(first, whole[:known]),
            f"the first {known} scores differ between {n} events and {len(X)}",
        )


@_streaming
def check_process_gives_the_scores(subject: Subject, detector: StreamingDetector) -> None:
    """Check that ``process``, event by event, gives what ``score`` says of what comes next."""
    X, _ = subject.testing
    X = X[:300]
    wanted = detector.score(Stretch(X, len(subject.normal))).values  # what comes next
    given = _processed(detector, X)
    if not _delay(detector):
        require_same(given, wanted, "scores of process and of score", rtol=1e-9, atol=1e-12)


@_streaming
def check_partial_fit(subject: Subject, detector: StreamingDetector) -> None:
    """Check that ``partial_fit`` learns as ``process`` does, and fits what is untrained."""
    X, rest = subject.unseen[:100], subject.unseen[100:200]
    other = copy.deepcopy(detector)
    require(other.partial_fit(X) is other, "partial_fit does not return the detector")
    _processed(detector, X)
    wanted = detector.score(rest).values
    require_same(other.score(rest).values, wanted, "scores after partial_fit and after process")
    new = cast("StreamingDetector", subject.new()).partial_fit(subject.normal)
    wanted = subject.fitted.score(rest).values
    require_same(new.score(rest).values, wanted, "scores after a first partial_fit and after fit")


@_streaming
def check_entities_are_apart(subject: Subject, detector: StreamingDetector) -> None:
    """Check that three entities tracked at once score as three detectors do."""
    start = copy.deepcopy(detector.get_state())
    X, _ = subject.testing
    streams = np.stack([X[:120], X[120:240], X[240:360] * 2], axis=1)
    wanted = np.stack(
        [_processed(copy.deepcopy(detector), stream) for stream in streams.swapaxes(0, 1)], axis=1
    )
    many = detector.tracking(3)
    at_once = np.stack([many.process_many(np.ascontiguousarray(events)) for events in streams])
    require_same(at_once, wanted, "scores of process_many and of single detectors", atol=1e-12)
    many = detector.tracking(3)
    in_turn = [[many.process(event, i) for i, event in enumerate(events)] for events in streams]
    require_same(np.array(in_turn), wanted, "scores of process by entity", atol=1e-12)
    require(equal(detector.get_state(), start), "tracking changes the detector it copies")


@_streaming
def check_state_is_bounded(subject: Subject, detector: StreamingDetector) -> None:
    """Check that the state does not grow with the number of events."""
    _processed(detector, subject.unseen[:500])
    before = _size(detector.get_state())
    _processed(detector, subject.unseen[500:1500])
    after = _size(detector.get_state())
    require(after <= before, f"the state grows from {before} to {after} numbers")


@_streaming
def check_resume(subject: Subject, detector: StreamingDetector) -> None:
    """Check that a saved state goes on exactly where it stopped: to the bit."""
    X, _ = subject.testing
    _processed(detector, X[:150])
    loaded = cast("StreamingDetector", subject.restored(detector))
    wanted, given = _processed(detector, X[150:300]), _processed(loaded, X[150:300])
    require(np.array_equal(given, wanted), "scores differ after loading")
    require(equal(loaded.get_state(), detector.get_state()), "the state differs after loading")


@_streaming
def check_missing_values(subject: Subject, detector: StreamingDetector) -> None:
    """Check that events with missing values, also all of them, give finite scores."""
    events = subject.unseen[:60].copy()
    events[10, 0] = events[20:30] = np.nan
    values = _processed(detector, events)
    require(bool(np.isfinite(values).all()), "scores around missing values are not all finite")
    detector.score(subject.unseen[60:100])


def _processed(detector: StreamingDetector, X: FloatArray) -> FloatArray:
    return np.array([detector.process(event) for event in X])


def _delay(detector: StreamingDetector) -> int:
    return int(getattr(detector, "delay", 0) or 0)


def _size(state: Any) -> int:
    """Return how many numbers and characters a state holds."""
    if isinstance(state, np.ndarray):
        return state.size
    if isinstance(state, dict):
        return sum(map(_size, state.values()))
    if isinstance(state, list | tuple | str):
        return len(state) if isinstance(state, str) else sum(map(_size, state))
    return 1
