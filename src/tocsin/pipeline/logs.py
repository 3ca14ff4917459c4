"""The pipeline of logs: sessions of lines scored, anomalies shown by their raw lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.base import Detector
from tocsin.base.abilities import FindsThreshold
from tocsin.decide import Calibration
from tocsin.errors import InputError
from tocsin.explain.logs import SessionBackground, explain_session, messages_of
from tocsin.pipeline.items import Found, ItemPipeline
from tocsin.pipeline.logs_raw import Place, RawLogs, place_of, places_of
from tocsin.prepare.log_patterns import clean
from tocsin.prepare.logs import LogPreparer, PreparedLogs
from tocsin.types import (
    Decision,
    Drift,
    Explanation,
    FloatArray,
    IntArray,
    LogDetection,
    LogLine,
    Scores,
    SessionArray,
    Training,
)

MOST_SHOWN = 1_000
"""Anomalies at most whose lines are given."""

MOST_LINES = 20
"""Lines given of an anomaly at most."""

_EXAMPLE, _EACH = 5, 3
_DRIFT_P, _DRIFT_FACTOR = 1e-3, 2


@dataclass(frozen=True, slots=True)
class ReadLogs:
    """Log sessions, and the lines that they were read from."""

    source: RawLogs
    read: PreparedLogs
    notes: tuple[str, ...]

    @property
    def items(self) -> SessionArray:
        """The sessions (n,)."""
        return self.read.sessions


class LogPipeline(ItemPipeline[ReadLogs, LogDetection]):
    """From raw log lines to explained anomalies: lines, sessions or windows of time.

    ``detector``: a name (see ``tocsin.detectors.names("logs")``) or an untrained detector.
    ``format``, ``session`` and ``window``: how lines are read, and which belong together; None
    finds out, see ``tocsin.prepare.logs``. ``training``: what the training sessions are: "clean"
    (normal only), "mixed" (unlabelled, some anomalous) or "guess". ``false_alarms``: the share
    of normal sessions that may be flagged; or ``alarms_per_day`` with ``rows_per_day``, which
    counts sessions. ``own_threshold``: where training was neither clean nor labelled and the
    detector found a threshold by itself, decide by that one, not by the budget. ``examples``:
    whether training sessions are kept, to show the nearest one.

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
    explained_by = "key"
    most_explained = 100

    preparer_: LogPreparer
    background_: SessionBackground
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
        examples: bool = True,
        own_threshold: bool = True,
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__(
            detector,
            training=training,
            false_alarms=false_alarms,
            alarms_per_day=alarms_per_day,
            rows_per_day=rows_per_day,
            calibration=calibration,
            reasons=reasons,
            seed=seed,
        )
        self.format = format
        self.session = session
        self.window = window
        self.own_threshold = own_threshold
        self.examples = examples

    def _examples_kept(self) -> list[str]:
        count = len(self.background_.starts_) - 1
        sessions = [f"{count:,} training sessions to compare with"] if count else []
        return [*sessions, "the words that lines have in common"]

    def restate_budget(
        self, false_alarms: float | None = None, *, alarms_per_day: float | None = None
    ) -> Self:
        """Decide by this budget from now on, no longer by the detector's own threshold."""
        self.set_params(own_threshold=False)
        return super().restate_budget(false_alarms, alarms_per_day=alarms_per_day)

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, assumed, cut or joined in preparation."""
        return [*self.read_notes_, *super().preparation_notes]

    @property
    def detector_threshold(self) -> float | None:
        """The threshold that the detector found by itself, if decisions are made by it."""
        self._fitted()
        if not self.own_threshold or self.training == "clean" or self.labelled_:
            return None
        detector = self.detector_
        return detector.detector_threshold_ if isinstance(detector, FindsThreshold) else None

    @property
    def notes_(self) -> tuple[str, ...]:
        """What was assumed, cut or joined, and what decides, in plain words."""
        if (own := self.detector_threshold) is None:
            return super().notes_
        decides = (
            f"decided by the threshold {own:.4g} that {self.card.name} found between usual and "
            "rare training sessions, not by the false-alarm budget"
        )
        return (*super().notes_, decides)

    def _new_preparer(self) -> LogPreparer:
        return LogPreparer(format=self.format, session=self.session, window=self.window)

    def _learn_preparation(self, preparer: LogPreparer, X: Any) -> ReadLogs:
        source = RawLogs(X)
        read = preparer.fit_transform(source.lines())
        return ReadLogs(source, read, tuple(source.notes))

    def _prepare(self, X: Any) -> ReadLogs:
        source = RawLogs(X)
        read, remarks = self.preparer_.prepare(source.lines())
        return ReadLogs(source, read, (*source.notes, *remarks))

    def _places(self, prepared: ReadLogs, items: Sequence[Any] | IntArray) -> list[int]:
        place = {key: i for i, key in enumerate(prepared.read.keys)}
        if missing := [key for key in items if key not in place]:
            some = ", ".join(prepared.read.keys[:3])
            raise InputError(f'These logs have no session "{missing[0]}"; they have {some} …')
        return [place[key] for key in items]

    def _remember(self, prepared: ReadLogs, known: IntArray | None) -> None:
        self.read_notes_ = list(prepared.notes)
        self.labelled_ = known is not None
        self.background_ = SessionBackground(self.seed)
        kept = self._examples(known) if self.examples else np.empty(0, dtype=np.int64)
        self.background_.fit(prepared.items[kept])

    def _ordinary_up_to(self, scores: FloatArray) -> float:
        own = self.detector_threshold
        return super()._ordinary_up_to(scores) if own is None else own

    def _drift(self, scores: Scores, decision: Decision) -> tuple[Drift | None, list[str]]:
        """Return a warning where more new sessions are flagged than training lets expect."""
        return None, list(filter(None, [self._drift_note(scores, decision)]))

    def _drift_note(self, scores: Scores, decision: Decision) -> str | None:
        if self.detector_threshold is not None and isinstance(self.detector_, FindsThreshold):
            warning: str | None = self.detector_.drift(scores.values)
            return warning
        from scipy.stats import betabinom

        now, n, rate = int(decision.is_anomaly.sum()), len(scores.values), decision.false_alarm_rate
        known = self.calibration_.independent_
        worth = known / self.calibration_.n_
        if now <= _DRIFT_FACTOR * rate * n:
            return None
        # A threshold exceeded by `above` training scores is exceeded at a beta-distributed rate.
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
        if (own := self.detector_threshold) is None:
            return decision
        return replace(decision, threshold=own, is_anomaly=values > own)

    def _detection(
        self, found: Found[ReadLogs], shown: Sequence[int], explained: Sequence[int]
    ) -> LogDetection:
        logs = found.prepared.read
        explanations, nearest = self._explain(logs, explained)
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
            lines=self._raw_lines(found.prepared, shown[:MOST_SHOWN], explanations),
            nearest=nearest,
        )

    def _explain(
        self, logs: PreparedLogs, explained: Sequence[int]
    ) -> tuple[dict[int, Explanation], dict[int, tuple[str, ...]]]:
        explanations, nearest = {}, {}
        for row in explained:
            session = logs.sessions[row]
            near = self.background_.nearest(session)
            found = explain_session(self.detector_, session, near, self._name, self.reasons)
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
        self, found: ReadLogs, shown: Sequence[int], explanations: Mapping[int, Explanation]
    ) -> dict[int, tuple[LogLine, ...]]:
        """Return the lines of sessions as they stand in their files."""
        records = found.read.records
        known: dict[Place, str] = {}
        chosen = {}
        for row in shown:
            reasons = explanations[row].reasons if row in explanations else ()
            telling = self._telling(found.read, row, [reason.name for reason in reasons])
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
            **super()._state(),
            "background": self.background_.get_state(),
            "labelled": self.labelled_,
            "read_notes": self.read_notes_,
        }

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        super()._restore(state, about)
        self.background_ = SessionBackground(self.seed).set_state(state["background"])
        self.labelled_ = state["labelled"]
        self.read_notes_ = state["read_notes"]


def _milliseconds(seconds: FloatArray) -> NDArray[np.datetime64]:
    """Return times from seconds since 1970, NaT for nan."""
    known = ~np.isnan(seconds)
    times = np.full(len(seconds), "NaT", dtype="datetime64[ms]")
    times[known] = np.rint(seconds[known] * 1000).astype("datetime64[ms]")
    return times
