"""The alarm engine: scored events become episodes of anomalies, one at a time per entity."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from tocsin.alarms.identity import digest, fingerprint
from tocsin.alarms.policy import QUIET, SEVERITIES, AlarmPolicy
from tocsin.alarms.summary import summarise
from tocsin.alarms.tracks import FIRST, LAST, Episode, Track, as_time
from tocsin.errors import ParameterError, StoreError
from tocsin.types import Alarm, BatchDecision, Reason, TimeArray

Describe = Callable[[int], tuple[tuple[Reason, ...], Mapping[str, Any], str]]
"""Gives reasons, evidence and a summary ("" for none) of the event at a position of its batch."""

OTHERS = "(others)"
"""The entity under which those share their state that exceed ``max_entities``."""

_CLOCK, _ENTITY = "clock", "entity:"
_SECOND = 1_000_000
_SET_BACK = 86_400 * _SECOND


class Episodes:
    """The alarm engine of one monitor.

    ``ordered``: whether an entity's events are samples in order, which decides the policy's
    defaults. ``budget``: the share of normal events that may be flagged; set it when the model is
    switched.

    Events count in the order in which they arrive, whatever their times. The engine's clock is the
    newest event time so far. An event more than a day older means that a clock was set back: time
    goes on from there, and an alarm stays open for at most ``close_after_time`` of elapsed time,
    however clocks jump. The same events give the same alarms, however they are cut into batches,
    and whether or not ``state`` and ``restore`` come between.

    An alarm that reopens keeps its id and its counts; ``opened`` is then the time of reopening. One
    that opened later than the one stored is notified again, whatever people made of the old one.
    """

    def __init__(
        self,
        monitor: str,
        policy: AlarmPolicy,
        *,
        ordered: bool = True,
        quiet: float = QUIET,
        budget: float = 0.001,
    ) -> None:
        if not 0 < budget < 1:
            raise ParameterError(f"The false-alarm budget must lie between 0 and 1; got {budget}.")
        self.monitor = monitor
        self.policy = policy
        self.budget = budget
        self._rule = policy.rule(ordered=ordered, quiet=quiet)
        self._lasts = round(self._rule.close_after_time * _SECOND)
        self._cooldown = round(policy.cooldown * _SECOND)
        self._tracks: dict[str, Track] = {}
        self._touched: set[str] = set()
        self._undo: dict[str, Track | None] = {}
        self._clock: int | None = None
        self._elapsed = 0
        self._position = 0
        self._before: tuple[int | None, int, int] = (None, 0, 0)
        self._next_due = math.inf
        self._changed: dict[str, tuple[str, Episode]] = {}
        self._peaks: dict[str, int] = {}

    def update(
        self,
        times: TimeArray,
        entities: Sequence[str] | None,
        decision: BatchDecision,
        describe: Describe | None = None,
    ) -> list[Alarm]:
        """Return the alarms that n events changed, in the order of their first change.

        An alarm that opened, got worse, went on or closed appears once, as it is after the last
        event. ``times``: (n,) datetime64[us]. ``describe`` is called for the most anomalous event
        of an alarm so far, at most once per alarm.
        """
        self._undo, self._before = {}, (self._clock, self._elapsed, self._position)
        stamps, elapsed = self._advance(times)
        self._changed, self._peaks = {}, {}
        found = np.flatnonzero(decision.is_anomaly)
        if found.size or self._tracks:
            for i, entity in self._concerned(len(stamps), entities, found):
                self._step(i, entity, int(stamps[i]), int(elapsed[i]), decision)
            self._sweep(self._elapsed)
        self._position += len(stamps)
        return [self._alarm(entity, item, describe) for entity, item in self._changed.values()]

    @property
    def newest(self) -> datetime | None:
        """The newest event time seen, which is the engine's clock; None before the first event."""
        return None if self._clock is None else as_time(self._clock)

    def state(self) -> dict[str, Any]:
        """Return what changed since the last call, as JSON by key; None marks what is dropped."""
        known = ((name, self._tracks.get(name)) for name in sorted(self._touched))
        changed = {
            _ENTITY + name: None if track is None else msgspec.to_builtins(track)
            for name, track in known
        }
        self._touched.clear()
        clock = {"clock": self._clock, "elapsed": self._elapsed, "position": self._position}
        return {**changed, _CLOCK: clock}

    def undo(self) -> None:
        """Undo the last ``update``, for instance because it could not be stored; only once."""
        for entity, track in self._undo.items():
            if track is None:
                self._tracks.pop(entity, None)
            else:
                self._tracks[entity] = track
        self._undo = {}
        self._clock, self._elapsed, self._position = self._before
        self._next_due = -1

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from all that ``state`` returned so far, the newest per key.

        Unknown keys are ignored. Raises StoreError for values that ``state`` cannot have returned.
        """
        try:
            clock = state.get(_CLOCK) or {"clock": None, "elapsed": 0, "position": 0}
            self._tracks = {
                key.removeprefix(_ENTITY): msgspec.convert(value, Track)
                for key, value in state.items()
                if key.startswith(_ENTITY) and value is not None
            }
            self._clock, self._elapsed = clock["clock"], clock["elapsed"]
            self._position = clock["position"]
        except (msgspec.ValidationError, KeyError, TypeError) as error:
            raise StoreError(
                f'The state of the alarms of "{self.monitor}" cannot be read: {error}. '
                "Delete it to start from scratch; open alarms must then be resolved by hand."
            ) from error
        self._touched.clear()
        self._next_due = min(map(self._due, self._tracks.values()), default=math.inf)

    def _advance(self, times: TimeArray) -> tuple[Any, Any]:
        """Return each event's time, and the time elapsed by then, in microseconds."""
        stamps = times.astype("datetime64[us]").astype(np.int64).clip(FIRST, LAST)
        if not stamps.size:
            return stamps, stamps
        start = int(stamps[0]) if self._clock is None else self._clock
        newest = np.maximum.accumulate(np.maximum(stamps, start))
        # Nearly always no clock was set back, and all events are done at once.
        if (newest - stamps).max() <= _SET_BACK:
            elapsed = newest - start + self._elapsed
            self._clock, self._elapsed = int(newest[-1]), int(elapsed[-1])
            return stamps, elapsed
        passed = []
        for stamp in stamps.tolist():
            if stamp > start or start - stamp > _SET_BACK:
                self._elapsed += max(stamp - start, 0)
                start = stamp
            passed.append(self._elapsed)
        self._clock = start
        return stamps, passed

    def _concerned(
        self, count: int, entities: Sequence[str] | None, found: Any
    ) -> Iterable[tuple[int, str]]:
        """Return the events that can change anything: of entities that are or become tracked.

        Most events are normal ones of entities without a track, so they are never looked at.
        """
        allowed = self.policy.entities
        if entities is None:
            first = 0 if "" in self._tracks else int(found[0]) if found.size else count
            return ((i, "") for i in range(first, count) if allowed is None or "" in allowed)
        new = {entities[i] for i in found}
        if allowed is not None:
            new &= allowed
        tracks = self._tracks
        return [(i, name) for i, name in enumerate(entities) if name in tracks or name in new]

    def _step(self, i: int, entity: str, time: int, elapsed: int, decision: BatchDecision) -> None:
        anomalous = bool(decision.is_anomaly[i])
        track = self._tracks.get(entity)
        # Time may have closed an episode since the entity's last event: first that, then this.
        if track is not None and elapsed > self._due(track):
            track = self._expire(entity, track, elapsed)
        if track is None:
            if not anomalous:
                return
            entity, track = self._admit(entity, elapsed)
        elif not (anomalous or track.window or track.is_open):
            return  # a closed episode that could reopen: normal events leave it as it is
        self._touch(entity)
        if track.is_open:
            self._go_on(i, entity, track, time, elapsed, decision)
        else:
            self._wait(i, entity, track, time, elapsed, decision)
        self._next_due = min(self._next_due, self._due(track))

    def _touch(self, entity: str) -> None:
        """Remember the track of an entity as it is before a change, for ``undo``."""
        self._touched.add(entity)
        if entity not in self._undo:
            track = copy.copy(self._tracks.get(entity))
            if track is not None:
                track.episode = copy.copy(track.episode)
            self._undo[entity] = track

    def _admit(self, entity: str, elapsed: int) -> tuple[str, Track]:
        """Return a new track for an entity, or the one shared by those that exceed the limit."""
        most = self.policy.max_entities
        if len(self._tracks) >= most:
            self._sweep(elapsed)
        if len(self._tracks) >= most:
            entity = OTHERS
        self._touch(entity)
        return entity, self._tracks.setdefault(entity, Track(held=elapsed))

    def _wait(
        self, i: int, entity: str, track: Track, time: int, elapsed: int, decision: BatchDecision
    ) -> None:
        """Count an event towards an episode, and open it if that is enough."""
        # After a pause longer than an episode lasts, anomalies before it no longer count.
        oldest = self._rule.of - 1 if elapsed <= track.held + self._lasts else 0
        track.window = [age + 1 for age in track.window if age < oldest]
        if not decision.is_anomaly[i]:
            if not track.window and track.episode is None:
                del self._tracks[entity]
            return
        track.window.append(0)
        track.held = elapsed
        at_once = self._decades(float(decision.p_values[i])) >= self._rule.at_once
        if at_once or len(track.window) >= self._rule.open:
            self._open(i, entity, track, time, elapsed, decision)
            self._go_on(i, entity, track, time, elapsed, decision)

    def _open(
        self, i: int, entity: str, track: Track, time: int, elapsed: int, decision: BatchDecision
    ) -> None:
        """Begin an episode, or reopen the last one while its cooldown lasts."""
        episode = track.episode
        if episode is None or elapsed > track.rests:
            mark = fingerprint(self.monitor, entity, "anomaly")
            episode = Episode(
                id=digest(mark, time, self._position + i),
                fingerprint=mark,
                opened=time,
                updated=time,
                last=time,
                threshold=float(decision.threshold),
                model=decision.model,
            )
        else:
            # Later than before in any case: by this the store knows that it reopened.
            episode.opened = max(time, episode.opened + 1)
        episode.closed = None
        episode.events += track.window[0]
        episode.anomalies += len(track.window) - 1
        track.episode, track.window = episode, []

    def _go_on(
        self, i: int, entity: str, track: Track, time: int, elapsed: int, decision: BatchDecision
    ) -> None:
        """Count an event of an open episode, and close it after enough quiet ones."""
        episode = track.episode
        assert episode is not None  # noqa: S101 - an open track has one
        self._changed[episode.id] = entity, episode
        episode.updated = max(episode.updated, time)
        episode.events += 1
        p_value, score = float(decision.p_values[i]), float(decision.scores[i])
        anomalous = bool(decision.is_anomaly[i])
        if anomalous:
            episode.anomalies += 1
            if (p_value, -score) < (episode.p_value, -episode.score):
                episode.p_value, episode.score, episode.peak = p_value, score, time
                episode.threshold, episode.model = float(decision.threshold), decision.model
                self._peaks[episode.id] = i
        # Hysteresis: what is nearly an anomaly keeps the episode open, so that it does not flap.
        if anomalous or p_value <= self.policy.hysteresis * self.budget:
            track.held, track.quiet, episode.last = elapsed, 0, time
            return
        track.quiet += 1
        if track.quiet >= self._rule.close_after:
            self._close(entity, track, episode.updated, elapsed)

    def _close(self, entity: str, track: Track, time: int, elapsed: int) -> None:
        episode = track.episode
        assert episode is not None  # noqa: S101 - an open track has one
        self._changed[episode.id] = entity, episode
        episode.closed = time
        track.quiet, track.rests = 0, elapsed + self._cooldown
        if not self._cooldown:
            del self._tracks[entity]

    def _due(self, track: Track) -> int:
        """Return the elapsed time after which an episode closes or an entity is forgotten."""
        if track.is_open:
            return track.held + self._lasts
        window = track.held + self._lasts if track.window else 0
        return max(window, track.rests)

    def _expire(self, entity: str, track: Track, elapsed: int) -> Track | None:
        """Close the episode of a track that is due; return the track if it could still reopen."""
        self._touch(entity)
        if track.is_open and track.episode is not None:
            # It ended when its time was up, not when the next event happened to come.
            ends = min(max(track.episode.last + self._lasts, track.episode.updated), LAST)
            self._close(entity, track, ends, track.held + self._lasts)
            if elapsed <= self._due(track):
                return self._tracks.get(entity)
        self._tracks.pop(entity, None)
        return None

    def _sweep(self, elapsed: int) -> None:
        if elapsed <= self._next_due:
            return
        for entity, track in list(self._tracks.items()):
            if elapsed > self._due(track):
                self._expire(entity, track, elapsed)
        self._next_due = min(map(self._due, self._tracks.values()), default=math.inf)

    def _decades(self, p_value: float) -> float:
        return max(0.0, math.log10(self.budget / p_value))

    def _alarm(self, entity: str, episode: Episode, describe: Describe | None) -> Alarm:
        peak = self._peaks.get(episode.id)
        if peak is not None:
            reasons, evidence, summary = ((), {}, "") if describe is None else describe(peak)
            episode.reasons, episode.evidence = tuple(reasons), dict(evidence)
            episode.summary = summary or summarise(entity or self.monitor, reasons, episode.score)
        decades = self._decades(episode.p_value) + math.log10(episode.anomalies)
        reached = self.policy.severity_of(decades)
        episode.severity = max(episode.severity, reached, key=SEVERITIES.index)
        closed = episode.closed
        return Alarm(
            id=episode.id,
            fingerprint=episode.fingerprint,
            monitor=self.monitor,
            entity=entity,
            kind="anomaly",
            severity=episode.severity,
            state="open" if closed is None else "resolved",
            opened=as_time(episode.opened),
            updated=as_time(episode.updated),
            closed=None if closed is None else as_time(closed),
            summary=episode.summary,
            events=episode.events,
            anomalies=episode.anomalies,
            score=episode.score,
            p_value=episode.p_value,
            threshold=episode.threshold,
            peak=as_time(episode.peak),
            model=episode.model,
            reasons=episode.reasons,
            evidence=episode.evidence,
            labels=self.policy.labels,
        )
