"""What happens to a batch: rules, model, alarms, and one transaction that writes it all."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection

from tocsin import config
from tocsin.alarms.episodes import Episodes
from tocsin.alarms.lifecycle import merge as merge_alarm
from tocsin.alarms.policy import Storm
from tocsin.alarms.routing import Router
from tocsin.alarms.storm import StormControl
from tocsin.alarms.tracks import as_time
from tocsin.errors import NotAllowed, StoreUnavailable, TocsinError
from tocsin.monitor.batches import as_datetime64, bounded, chosen, nothing, plain, raw, typed
from tocsin.monitor.health import Health
from tocsin.monitor.models import scorer_class
from tocsin.monitor.notifications import enqueue_notifications
from tocsin.monitor.poisoned import PASSED_ON, without_poisoned
from tocsin.monitor.scorers import Description, Scorer
from tocsin.monitor.stores import Stores
from tocsin.store.events import EventStore
from tocsin.types import Alarm, Batch, BatchDecision, BoolArray, Rejection, RejectionKind

log = logging.getLogger(__name__)

MOST_EXPLAINED = 20
"""Alarms that one batch explains: each takes as long as scoring hundreds of events."""

EARLIEST, LATEST = np.datetime64("1900-01-01", "us"), np.datetime64("2200-01-01", "us")
"""Events of other times are malformed: no clock shows them, and few stores can hold them."""

_FEWEST_MOVED = 20
"""In fewer events a column lies elsewhere by chance."""

_STORM, _PROGRESS = "storm", "progress"
_MOST_RECENT = 200_000


class _Rehearsed(Exception):
    """Rolls the transaction of a rehearsal back."""


@dataclass
class PreparedBatch:
    """A batch on its way, and what became of it: all that one transaction writes."""

    batch: Batch
    rejected: list[Rejection]
    counts: Counter[str] = field(default_factory=Counter)
    decision: BatchDecision | None = None
    alarms: list[Alarm] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)
    commit: str = field(default_factory=lambda: secrets.token_hex(8))


class EventProcessor:
    """One monitor's events through rules, model and alarms into the store.

    It is used by one thread at a time: ``prepare`` a batch, then ``commit`` it, again and again if
    the store is away. What a crash would lose is written in one transaction: the events, the
    offset of the source, the alarms, and the state of each entity. Each transaction names the one
    before it, so that none is made twice when its answer was lost, nor on top of another
    process's.
    """

    def __init__(
        self,
        name: str,
        settings: config.Monitor,
        stores: Stores,
        router: Router,
        storm: Storm,
    ) -> None:
        self.name = name
        self.settings = settings
        self.stores = stores
        self.router = router
        self.scorer: Scorer | None = None
        self._storm_settings = storm
        self._begin_from_store()

    def _begin_from_store(self) -> None:
        """Set all state to what the last commit left."""
        name, alarms, training = self.name, self.settings.alarms, self.settings.training
        self.episodes = Episodes(
            name,
            alarms,
            ordered=self.settings.source.ordered or scorer_class(training.modality).ordered,
            budget=training.false_alarms,
        )
        self.storm = StormControl(name, self._storm_settings, alarms.labels)
        self.health = Health(name, alarms.labels, self.stores.alarms.open(name))
        self._newest = np.datetime64(0, "us")
        self._commit: str | None = None
        self._storm: dict[str, Any] | None = None
        states = self.stores.alarms.states(name)
        self.episodes.restore(states)
        if _STORM in states:
            self.storm.restore(states[_STORM])
        if _PROGRESS in states:
            progress = states[_PROGRESS]
            self._commit = progress["commit"]
            self._newest = np.datetime64(progress["newest"], "us")
            self.health.restore(progress["health"])

    def use_model(self, scorer: Scorer) -> None:
        """Score by this model from now on, its state rebuilt from the store."""
        if self.scorer is not None:
            self.health.renew()
        self._take_over(scorer)

    def _take_over(self, scorer: Scorer) -> None:
        scorer.forget()
        if scorer.keeps_context:
            for batch in recent(self.stores.events, self.name, self.settings.context):
                scorer.remember(batch)
        self.scorer = scorer
        self.episodes.budget = scorer.budget

    def process(self, batch: Batch, now: datetime | None) -> list[Alarm]:
        """Score and commit a batch, and return the alarms that changed.

        Events that cannot be processed or stored are quarantined, and the others go on. ``now``
        is the clock, None for history. Raises StoreUnavailable and NotAllowed as ``commit`` does.
        """
        try:
            return self.commit(self.prepare(batch, now), now)
        except PASSED_ON:
            raise
        except Exception as error:  # noqa: BLE001 - one event never stops the others
            log.warning("%s: events cannot be processed: %r", self.name, error)
        batch = without_poisoned(self, batch, now)
        return self.commit(self.prepare(batch, now), now)

    def rehearse(self, batch: Batch, now: datetime | None) -> None:
        """Process a batch and undo it all, in the store and here. Raises what that raises."""
        try:
            with suppress(_Rehearsed):
                at = now if now is not None else datetime.now(UTC)
                self._written(self.prepare(batch, now), at, rehearsal=True)
        finally:
            self._begin_from_store()
            if self.scorer is not None:
                self._take_over(self.scorer)

    def prepare(self, batch: Batch, now: datetime | None) -> PreparedBatch:
        """Apply the rules, the model and the alarm engine to a batch; nothing is written yet.

        Raises StoreUnavailable, after which the same batch may be given again. After any other
        error ``without_poisoned`` says which events are at fault.
        """
        prepared = PreparedBatch(bounded(batch), list(batch.rejected))
        self._refuse_known(prepared)
        self._refuse_by_time(prepared, now)
        scorer = self.scorer
        numeric = frozenset[str]() if scorer is None else scorer.numeric
        prepared.batch, prepared.counts["no number"] = typed(prepared.batch, numeric)
        if scorer is not None and len(prepared.batch):
            self._score(prepared, scorer)
        if len(prepared.batch):
            self._newest = max(self._newest, prepared.batch.times.max())
            prepared.states = self.episodes.state()
            if (storm := self.storm.state()) != self._storm:
                self._storm = prepared.states[_STORM] = storm
        return prepared

    def tick(self, alarms: Iterable[Alarm], now: datetime) -> list[Alarm]:
        """Keep alarms that no event caused, such as silence."""
        prepared = PreparedBatch(nothing(), [], alarms=list(alarms))
        return self.commit(prepared, now) if prepared.alarms else []

    def _refuse_known(self, prepared: PreparedBatch) -> None:
        """Drop events that came before, in an earlier batch or in this one."""
        ids = prepared.batch.ids
        if not ids:
            return
        with self.stores.db.read() as c:
            seen = self.stores.events.known(c, self.name, ids)
        if not seen and len(set(ids)) == len(ids):
            return
        fresh = np.ones(len(ids), dtype=bool)
        for i, each in enumerate(ids):
            fresh[i] = each not in seen
            seen.add(each)
        prepared.counts["duplicate"] += int((~fresh).sum())
        prepared.batch = chosen(prepared.batch, fresh)

    def _refuse_by_time(self, prepared: PreparedBatch, now: datetime | None) -> None:
        """Quarantine events that are too old, too far ahead, or of no time at all."""
        settings = self.settings
        if not len(prepared.batch):
            return
        self._refuse(prepared, np.isnat(prepared.batch.times), "malformed", "the event has no time")
        outside = (prepared.batch.times < EARLIEST) | (prepared.batch.times >= LATEST)
        self._refuse(prepared, outside, "malformed", "its time lies outside of 1900 to 2200")
        if now is not None and settings.future is not None:
            limit = as_datetime64(now + timedelta(seconds=settings.future))
            ahead = prepared.batch.times > limit
            self._refuse(prepared, ahead, "future", "its time is ahead of the clock")
        if settings.late is not None and len(prepared.batch):
            micros = np.concatenate(([self._newest], prepared.batch.times)).astype(np.int64)
            before = np.maximum.accumulate(micros)[:-1]
            late = micros[1:] < before - int(settings.late * 1e6)
            self._refuse(prepared, late, "late", "it is older than the newest event by too much")

    def _refuse(
        self, prepared: PreparedBatch, which: BoolArray, kind: RejectionKind, reason: str
    ) -> None:
        for i in np.flatnonzero(which).tolist():
            prepared.rejected.append(Rejection(kind, reason, raw(prepared.batch, i)))
        if which.any():
            prepared.batch = chosen(prepared.batch, ~which)

    def _score(self, prepared: PreparedBatch, scorer: Scorer) -> None:
        """Score a batch; events at fault are found and quarantined. Then look for alarms."""
        at = as_time(int(prepared.batch.times.max().astype(np.int64)))
        prepared.decision, poisoned = _judged(scorer, prepared.batch)
        if poisoned:
            first = next(iter(poisoned.values()))
            log.warning("%s: %d events cannot be scored: %s", self.name, len(poisoned), first)
            for i, reason in poisoned.items():
                prepared.rejected.append(Rejection("malformed", reason, raw(prepared.batch, i)))
            fine = np.ones(len(prepared.batch), dtype=bool)
            fine[list(poisoned)] = False
            prepared.batch = chosen(prepared.batch, fine)
        if prepared.decision is None:
            prepared.alarms = self.health.failed(len(poisoned), first, at)
            return
        self._raise_alarms(prepared, prepared.decision, scorer)
        flagged = int(prepared.decision.is_anomaly.sum())
        prepared.alarms += self.health.scored(
            len(prepared.batch),
            flagged,
            scorer.budget,
            at,
            lambda: self._moved(prepared.batch, scorer),
        )
        scorer.remember(prepared.batch)

    def _moved(self, batch: Batch, scorer: Scorer) -> list[str]:
        """Return the columns that moved, of events enough to tell."""
        if len(batch) < _FEWEST_MOVED:
            return []
        try:
            return scorer.moved(batch)
        except Exception as error:  # noqa: BLE001 - an alarm without columns beats none
            log.warning("%s: what moved cannot be told: %r", self.name, error)
            return []

    def _raise_alarms(
        self, prepared: PreparedBatch, decision: BatchDecision, scorer: Scorer
    ) -> None:
        batch = prepared.batch

        explained = 0

        def describe(i: int) -> Description:
            nonlocal explained
            explained += 1
            if explained > MOST_EXPLAINED:
                return (), {"event": plain(batch.frame.iloc[i].to_dict())}, ""
            try:
                return scorer.describe(batch, i)
            except Exception as error:  # noqa: BLE001 - an alarm without reasons beats none
                log.warning("%s: an anomaly cannot be explained: %r", self.name, error)
                return (), {}, f"not explained: {error}"

        found = self.episodes.update(batch.times, batch.entities, decision, describe)
        known: dict[str, Alarm] = {}
        if found:
            try:
                with self.stores.db.read() as c:
                    known = self.stores.alarms.find(c, [alarm.id for alarm in found])
            except StoreUnavailable:
                self.episodes.undo()
                raise
        prepared.alarms = self.storm.update(found, known, self.episodes.newest)

    def commit(self, prepared: PreparedBatch, now: datetime | None) -> list[Alarm]:
        """Write a batch with all that follows from it, or nothing; return its alarms.

        Raises StoreUnavailable; the same batch may then be given again. Raises NotAllowed when
        another process has written events of this monitor. After any other error
        ``without_poisoned`` says which events are at fault.
        """
        return self._written(prepared, now if now is not None else datetime.now(UTC))

    def _written(
        self, prepared: PreparedBatch, at: datetime, *, rehearsal: bool = False
    ) -> list[Alarm]:
        stores, name = self.stores, self.name
        counts = Counter(prepared.counts)
        counts["events"] += len(prepared.batch)
        counts.update(rejection.kind for rejection in prepared.rejected)
        if prepared.decision is not None:
            counts["anomalies"] += int(prepared.decision.is_anomaly.sum())
        alarms = prepared.alarms
        with stores.db.begin() as c:
            if self._is_next_commit(c, prepared):
                if len(prepared.batch):
                    stores.events.append(c, name, prepared.batch, prepared.decision)
                if prepared.batch.offset is not None:
                    stores.events.set_offset(c, name, prepared.batch.offset)
                if prepared.rejected:
                    stores.quarantine.add(c, name, prepared.rejected, at)
                stores.alarms.save_states(
                    c, name, {**prepared.states, _PROGRESS: self._progress(prepared)}
                )
                alarms = self._save_alarms(c, prepared.alarms, at) if prepared.alarms else []
                stores.counters.add(c, name, counts)
            if rehearsal:
                raise _Rehearsed
        self._commit = prepared.commit
        return alarms

    def _progress(self, prepared: PreparedBatch) -> dict[str, Any]:
        newest = int(self._newest.astype(np.int64))
        return {"commit": prepared.commit, "newest": newest, "health": self.health.state()}

    def _is_next_commit(self, c: Connection, prepared: PreparedBatch) -> bool:
        """Return whether a batch is next: False if it is stored already and its answer was lost."""
        found = self.stores.alarms.locked_state(c, self.name, _PROGRESS)
        last = None if found is None else found["commit"]
        if last not in (self._commit, prepared.commit):
            raise NotAllowed(f"Another process has written events of {self.name}; this one stops.")
        return bool(last == self._commit)

    def _save_alarms(self, c: Connection, alarms: Sequence[Alarm], at: datetime) -> list[Alarm]:
        """Save alarms as the engine and people have made them, and enqueue their notifications."""
        known = self.stores.alarms.find(c, [alarm.id for alarm in alarms])
        merged = [merge_alarm(alarm, known.get(alarm.id)) for alarm in alarms]
        self.stores.alarms.save(c, merged)
        changes = [(alarm, known.get(alarm.id)) for alarm in merged]
        enqueue_notifications(c, self.stores, self.router, changes, at)
        return merged


def recent(events: EventStore, monitor: str, context: int) -> Iterable[Batch]:
    """Return the newest stored events: so many for each entity that is among the last ones."""
    newest = list(events.read(monitor, newest=context))
    entities = {entity for stored in newest for entity in stored.entities or ()}
    if len(entities) > 1:
        newest = list(events.read(monitor, newest=min(context * len(entities), _MOST_RECENT)))
    return (Batch(each.frame, each.times, entities=each.entities) for each in newest)


def _judged(scorer: Scorer, batch: Batch) -> tuple[BatchDecision | None, dict[int, str]]:
    """Return the decision of what can be scored, and by position why the rest cannot."""
    try:
        return scorer.judge(batch), {}
    except Exception as error:  # noqa: BLE001 - one event never stops the others
        if len(batch) == 1:
            known = isinstance(error, TocsinError)
            return None, {0: str(error) if known else f"{type(error).__name__}: {error}"}
    half = len(batch) // 2
    first = np.arange(len(batch)) < half
    parts = [_judged(scorer, chosen(batch, which)) for which in (first, ~first)]
    poisoned = {**parts[0][1], **{i + half: why for i, why in parts[1][1].items()}}
    decisions = [decision for decision, _ in parts if decision is not None]
    if len(decisions) < 2:
        return (decisions[0] if decisions else None), poisoned
    left, right = decisions
    joined = replace(
        left,
        scores=np.concatenate([left.scores, right.scores]),
        p_values=np.concatenate([left.p_values, right.p_values]),
        is_anomaly=np.concatenate([left.is_anomaly, right.is_anomaly]),
    )
    return joined, poisoned
