"""The pipeline of logs: sessions of lines scored, anomalies shown by their raw lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.base import Detector, check_labels
from tocsin.decide import Calibration
from tocsin.decide import create as create_calibration
from tocsin.errors import InputError
from tocsin.explain.logs import Background, explain_session, messages_of
from tocsin.pipeline.base import BasePipeline
from tocsin.pipeline.raw_logs import Place, RawLogs, place_of, places_of
from tocsin.pipeline.tables import Training
from tocsin.prepare.log_patterns import clean
from tocsin.prepare.logs import LogPreparer, PreparedLogs
from tocsin.types import (
    Decision,
    Detection,
    Explanation,
    FloatArray,
    IntArray,
    LogDetection,
    LogLine,
    Scores,
)

MOST_EXPLAINED = 100
"""Anomalies explained at most in one call, the most anomalous ones."""

MOST_SHOWN = 1_000
"""Anomalies at most whose lines are given."""

MOST_LINES = 20
"""Lines given of an anomaly at most."""

_EXAMPLE, _EACH = 5, 3
_DRIFT_P, _DRIFT_FACTOR = 1e-3, 2
_ORDINARY = 0.9
"""The share of unlabelled training sessions, those of the lowest scores, taken as examples."""


class LogPipeline(BasePipeline):
    """From raw log lines to explained anomalies: lines, sessions or windows of time.

    ``detector``: a name (see ``tocsin.detectors.names("logs")``) or an untrained detector.
    ``format``, ``session`` and ``window``: how lines are read, and which belong together; None
    finds out, see ``tocsin.prepare.logs``. ``training``: what the training sessions are: "clean"
    (normal only), "mixed" (unlabelled, some anomalous) or "guess". ``false_alarms``: the share
    of normal sessions that may be flagged; or ``alarms_per_day`` with ``rows_per_day``, which
    counts sessions. ``own_threshold``: where training was neither clean nor labelled and the
    detector found a threshold by itself, decide by that one, not by the budget.

    Logs are a file's path, a folder's or several, lines as a list of str, lines of files with
    their numbers, or sessions of event numbers. A str is a path, a list of str is lines.

    >>> day = [f"job {i} started" for i in range(200)]
    >>> pipeline = LogPipeline(training="clean").fit(day)
    >>> detection = pipeline.detect(["job 7 started", "kernel panic in job 8"])
    >>> [detection.keys[i] for i in detection.anomalies]
    ['line 2']
    >>> detection.lines[1][0].text
    'kernel panic in job 8'
    """

    modality = "logs"
    item = "sessions"

    preparer_: LogPreparer
    background_: Background
    labelled_: bool
    read_notes_: list[str]

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        format: str | None = None,
        session: str | None = None,
        window: float | None = None,
        training: Training = "guess",
        false_alarms: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        calibration: str = "extreme_value",
        own_threshold: bool = True,
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.format = format
        self.session = session
        self.window = window
        self.training = training
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.calibration = calibration
        self.own_threshold = own_threshold
        self.reasons = reasons
        self.seed = seed

    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal from logs; y is ignored, labels (sessions,), 1 = anomaly, are used.

        Raises UnreadableFile, InputError for logs that cannot be learned from, and
        ParameterError for settings that cannot work.
        """
        self._learn(RawLogs(X), labels)
        return self

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the score of each session, in the order of their first lines; y is ignored.

        Raises NotFitted, UnreadableFile, and SchemaMismatch for lines after numbers.
        """
        return self.detector_.score(self._fitted().preparer_.transform(RawLogs(X).lines()).sessions)

    def detect(self, X: Any, *, explain: bool = True) -> LogDetection:
        """Return scores and decisions for new logs; lines of and reasons for the anomalies.

        Explains at most the 100 most anomalous ones. Raises as ``score`` does.
        """
        found = self._found(X)
        return self._detection(found, _ranked(found), self.reasons if explain else 0)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> LogDetection:
        """Fit, and return the answer for the training logs, each session leaving itself out."""
        source = RawLogs(X)
        logs = self._learn(source, labels)
        scores = Scores(self.detector_.training_scores_)
        decision = self._decide_training(self._counted(labels), scores.values, labels)
        found = _Found(source, logs, scores, decision, self.notes_)
        return self._detection(found, _ranked(found), self.reasons if explain else 0)

    def explain(self, X: Any, keys: Sequence[str] | None = None) -> LogDetection:
        """Return the answer with lines and reasons for the sessions of these keys.

        None stands for the anomalies. Raises InputError for a key that is not there.
        """
        found = self._found(X)
        if keys is None:
            return self._detection(found, _ranked(found), self.reasons)
        place = {key: i for i, key in enumerate(found.logs.keys)}
        if missing := [key for key in keys if key not in place]:
            some = ", ".join(found.logs.keys[:3])
            raise InputError(f'There is no session "{missing[0]}" in these logs, but {some} …')
        wanted: IntArray = np.array([place[key] for key in keys], dtype=np.int64)
        return self._detection(found, wanted, self.reasons)

    @property
    def columns(self) -> list[str]:
        """Logs have no columns: an empty list."""
        return []

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, guessed, cut or joined in preparation."""
        return [*self.read_notes_, *self.preparer_.notes_]

    @property
    def threshold_found(self) -> float | None:
        """The threshold that the detector found by itself, if decisions are made by it."""
        self._fitted()
        if not self.own_threshold or self.training == "clean" or self.labelled_:
            return None
        found: float | None = getattr(self.detector_, "detector_threshold_", None)
        return found

    @property
    def notes_(self) -> tuple[str, ...]:
        """What was guessed, cut or joined, and what decides, in plain words."""
        if (own := self.threshold_found) is None:
            return super().notes_
        told = (
            f"decided by the threshold {own:.4g} that {self.card.name} found between usual and "
            "rare training sessions, not by the false-alarm budget"
        )
        return (*super().notes_, told)

    def _learn(self, source: RawLogs, labels: ArrayLike | None) -> PreparedLogs:
        detector = self._new_detector(seed=self.seed, training=self.training)
        preparer = LogPreparer(format=self.format, session=self.session, window=self.window)
        logs = preparer.fit_transform(source.lines())
        known = None if labels is None else check_labels(labels, len(logs))
        self.preparer_, self.read_notes_ = preparer, source.notes
        self.labelled_ = known is not None
        self.detector_ = detector.fit(logs.sessions, known)
        self._calibrate(logs.sessions, known)
        scores = self.detector_.training_scores_
        self.background_ = Background(self.seed)
        self.background_.fit(logs.sessions[self._examples(scores, known)])
        return logs

    def _examples(self, scores: FloatArray, known: IntArray | None) -> IntArray:
        """Return which training sessions may stand for normal ones."""
        if known is not None:
            return np.flatnonzero(known == 0)
        if self.training == "clean":
            return np.arange(len(scores))
        limit = self.threshold_found
        limit = float(np.quantile(scores, _ORDINARY)) if limit is None else limit
        return np.flatnonzero(scores <= limit)

    def _found(self, X: Any) -> _Found:
        source = RawLogs(X)
        logs, remarks = self._fitted().preparer_.prepare(source.lines())
        scores = self.detector_.score(logs.sessions)
        decision = self.decide(scores)
        drift = self._drift(scores, decision)
        notes = filter(None, [*self.notes_, *source.notes, *remarks, drift])
        return _Found(source, logs, scores, decision, tuple(dict.fromkeys(notes)))

    def _drift(self, scores: Scores, decision: Decision) -> str | None:
        """Return a warning where more new sessions are flagged than training lets expect."""
        if self.threshold_found is not None:
            drift = getattr(self.detector_, "drift", None)
            warning: str | None = None if drift is None else drift(scores.values)
            return warning
        from scipy.stats import betabinom

        now, n, rate = int(decision.is_anomaly.sum()), len(scores.values), decision.false_alarm_rate
        known = self.calibration_.independent_
        worth = known / self.calibration_.n_
        if now <= _DRIFT_FACTOR * rate * n:
            return None
        # A threshold that so many training scores exceed is exceeded with a beta-distributed rate.
        above = rate * (known + 1)
        alarms, items = round(now * worth), max(round(n * worth), 1)
        if betabinom.sf(alarms - 1, items, above, known + 1 - above) >= _DRIFT_P:
            return None
        return (
            f"{now / n:.1%} of these {n:,} sessions are flagged, and the budget is {rate:.2%} of "
            "normal ones: they hold many anomalies, or what is normal has changed since training"
        )

    def _decide(self, calibration: Calibration, values: FloatArray) -> Decision:
        return self._by_own_threshold(super()._decide(calibration, values), values)

    def _decide_training(
        self, calibration: Calibration, values: FloatArray, labels: ArrayLike | None
    ) -> Decision:
        decision = super()._decide_training(calibration, values, labels)
        return self._by_own_threshold(decision, values)

    def _by_own_threshold(self, decision: Decision, values: FloatArray) -> Decision:
        if (own := self.threshold_found) is None:
            return decision
        return replace(decision, threshold=own, is_anomaly=values > own)

    def _detection(self, found: _Found, wanted: IntArray, reasons: int) -> LogDetection:
        logs = found.logs
        explanations, nearest = self._explain(logs, wanted[:MOST_EXPLAINED], reasons)
        firsts = [logs.records[lines[0]] if len(lines) else None for lines in logs.lines]
        times = np.array(
            [np.nan if first is None or first.time is None else first.time for first in firsts]
        )
        return LogDetection(
            found.scores,
            found.decision,
            np.arange(len(logs)),
            explanations,
            found.notes,
            keys=tuple(map(clean, logs.keys)),
            files=tuple("" if first is None else clean(first.file) for first in firsts),
            numbers=np.array([0 if x is None else x.number for x in firsts], dtype=np.int64),
            times=_milliseconds(times),
            sizes=np.array([len(session) for session in logs.sessions], dtype=np.int64),
            lines=self._raw_lines(found, wanted[:MOST_SHOWN], explanations),
            nearest=nearest,
        )

    def _explain(
        self, logs: PreparedLogs, wanted: IntArray, reasons: int
    ) -> tuple[dict[int, Explanation], dict[int, tuple[str, ...]]]:
        explanations, nearest = {}, {}
        for row in wanted.tolist() if reasons else []:
            session = logs.sessions[row]
            near = self.background_.nearest(session)
            found = explain_session(self.detector_, session, near, self._name, reasons)
            explanations[row] = Explanation(row, found)
            if near is not None:
                nearest[row] = messages_of(near, self._name, _EXAMPLE)
        return explanations, nearest

    def _name(self, template: int) -> str:
        """Return the text of a template, or the number that it was given as."""
        templates, events = self.preparer_.miner_.templates_, self.preparer_.events_
        if template < 0:
            return "unknown"
        return templates[template] if events is None else f"event {events[template]}"

    def _raw_lines(
        self, found: _Found, wanted: IntArray, explanations: Mapping[int, Explanation]
    ) -> dict[int, tuple[LogLine, ...]]:
        """Return the lines of sessions as they stand in their files."""
        records = found.logs.records
        known: dict[Place, str] = {}
        chosen = {}
        for row in wanted.tolist():
            reasons = explanations[row].reasons if row in explanations else ()
            telling = self._telling(found.logs, row, [reason.name for reason in reasons])
            known |= {place_of(records[i]): records[i].message for i in telling}
            places = [place for i in telling for place in places_of(records, i)]
            chosen[row] = places[:MOST_LINES]
        known |= found.source.texts({place for places in chosen.values() for place in places})
        return {
            row: tuple(
                LogLine(clean(place[0]), place[1], known[place])
                for place in places
                if place in known
            )
            for row, places in chosen.items()
        }

    def _telling(self, logs: PreparedLogs, row: int, names: Sequence[str]) -> list[int]:
        """Return the records of a session to show: some of each kind named, and the first."""
        session = logs.sessions[row]
        records: list[int] = logs.lines[row].tolist()
        if len(records) <= MOST_LINES:
            return records
        of_name: dict[str, list[int]] = {}
        for i, template in enumerate(session.templates.tolist()):
            kind = self._name(template) if template >= 0 else session.messages[i]
            of_name.setdefault(kind, []).append(records[i])
        named = [place for name in names for place in of_name.get(name, [])[:_EACH]]
        return sorted(list(dict.fromkeys([*named, *records]))[:MOST_LINES])

    def _state(self) -> dict[str, Any]:
        return {
            "detector": self.detector_.get_state(),
            "calibration": self.calibration_.get_state(),
            "preparer": self.preparer_.get_state(),
            "background": self.background_.get_state(),
            "labelled": self.labelled_,
            "read_notes": self.read_notes_,
        }

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.detector_ = self._new_detector().set_state(state["detector"])
        self.calibration_ = create_calibration(self.calibration).set_state(state["calibration"])
        preparer = LogPreparer(format=self.format, session=self.session, window=self.window)
        self.preparer_ = preparer.set_state(state["preparer"])
        self.background_ = Background(self.seed).set_state(state["background"])
        self.labelled_ = state["labelled"]
        self.read_notes_ = state["read_notes"]


@dataclass(frozen=True, slots=True)
class _Found:
    """The answer before the anomalies are shown and explained."""

    source: RawLogs
    logs: PreparedLogs
    scores: Scores
    decision: Decision
    notes: tuple[str, ...]


def _ranked(found: _Found) -> IntArray:
    """Return the anomalies, the most anomalous first."""
    return Detection(found.scores, found.decision, np.arange(len(found.logs))).anomalies


def _milliseconds(seconds: FloatArray) -> NDArray[np.datetime64]:
    """Return times since 1970; nan is no time."""
    known = ~np.isnan(seconds)
    times = np.full(len(seconds), "NaT", dtype="datetime64[ms]")
    times[known] = np.rint(seconds[known] * 1000).astype("datetime64[ms]")
    return times
