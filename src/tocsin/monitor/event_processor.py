"""What happens to a batch: rules, model, alarms, and one transaction that writes it all."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
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
from tocsin.errors import NotAllowed, StoreUnavailable
from tocsin.monitor.admission import NewestTimes, PreparedBatch, drop_known, reject_by_time
from tocsin.monitor.batches import bounded, nothing, plain, typed
from tocsin.monitor.health import Health
from tocsin.monitor.judging import judge
from tocsin.monitor.models import scorer_class
from tocsin.monitor.notifications import enqueue_notifications
from tocsin.monitor.poisoned import PASSED_ON, without_poisoned
from tocsin.monitor.reading import read_context, read_store
from tocsin.monitor.scorers import Description, Scorer
from tocsin.monitor.silences import Silences
from tocsin.monitor.stores import Stores
from tocsin.types import Alarm, Batch, BatchDecision

log = logging.getLogger(__name__)

MOST_EXPLAINED = 20
"""Alarms explained per batch at most: each takes as long as scoring hundreds of events."""

_FEWEST_MOVED = 20
"""Fewer events can lie elsewhere by chance."""

_STORM, _PROGRESS, _MEMORY = "storm", "progress", "memory/"
_RECENT = 20_000  # stored events whose times are remembered at a start


class _Rehearsed(Exception):
    """Rolls the transaction of a rehearsal back."""


class EventProcessor:
    """One monitor's events through rules, model and alarms into the store.

    It is used by one thread at a time: ``prepare`` a batch, then ``commit`` it, repeatedly while
    the store is unavailable. What a crash would lose is written in one transaction: the events, the
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
        """Set all state to what the last commit wrote."""
        name, alarms, training = self.name, self.settings.alarms, self.settings.training
        scored = scorer_class(training.modality)
        ordered = self.settings.source.ordered or scored.ordered
        self.episodes = Episodes(
            name,
            alarms,
            ordered=ordered and not scored.counts_alarms,
            quiet=scored.quiet,
            budget=training.false_alarms,
        )
        self.storm = StormControl(name, self._storm_settings, alarms.labels)
        unsettled = self.stores.alarms.open(name)
        self.health = Health(name, alarms.labels, unsettled)
        self.silences = Silences(name, alarms.labels, unsettled)
        self._newest = NewestTimes()
        if self.settings.late is not None:
            self._newest = NewestTimes(read_store(self.stores, name, newest=_RECENT))
        self._commit: str | None = None
        self._storm: dict[str, Any] | None = None
        states = self.stores.alarms.states(name)
        self.episodes.restore(states)
        if _STORM in states:
            self.storm.restore(states[_STORM])
        if _PROGRESS in states:
            progress = states[_PROGRESS]
            self._commit = progress["commit"]
            self.health.restore(progress["health"])

    def use_model(self, scorer: Scorer) -> None:
        """Score with this model from now on; its context is rebuilt from the store."""
        if self.scorer is not None:
            self.health.renew()
        self._take_over(scorer)

    def _take_over(self, scorer: Scorer) -> None:
        scorer.forget()
        if scorer.keeps_context and not scorer.restore(self._memory()):
            for batch in read_context(self.stores, self.name, self.settings.context):
                scorer.remember(batch)
        self.scorer = scorer
        self.episodes.budget = scorer.budget

    def _memory(self) -> dict[str, Any]:
        """Return what the scorer has written with the events, by its own names."""
        states = self.stores.alarms.states(self.name)
        return {
            name.removeprefix(_MEMORY): state
            for name, state in states.items()
            if name.startswith(_MEMORY)
        }

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
        error ``without_poisoned`` finds the events at fault.
        """
        prepared = PreparedBatch(bounded(batch), list(batch.rejected))
        drop_known(prepared, self._known)
        reject_by_time(prepared, self.settings, self._newest, now)
        scorer = self.scorer
        numeric = frozenset[str]() if scorer is None else scorer.numeric
        prepared.batch, prepared.counts["no number"] = typed(prepared.batch, numeric)
        if scorer is not None and len(prepared.batch):
            self._score(prepared, scorer)
        if len(prepared.batch):
            prepared.states = self.episodes.state()
            if scorer is not None:
                remembered = scorer.state().items()
                prepared.states |= {_MEMORY + name: state for name, state in remembered}
            if (storm := self.storm.state()) != self._storm:
                self._storm = prepared.states[_STORM] = storm
        return prepared

    def tick(self, alarms: Iterable[Alarm], now: datetime) -> list[Alarm]:
        """Commit alarms that no event caused, such as one about silence."""
        prepared = PreparedBatch(nothing(), [], alarms=list(alarms))
        return self.commit(prepared, now) if prepared.alarms else []

    def _known(self, ids: Sequence[str]) -> set[str]:
        with self.stores.db.read() as c:
            return self.stores.events.known(c, self.name, ids)

    def _score(self, prepared: PreparedBatch, scorer: Scorer) -> None:
        """Score a batch; quarantine the events that cannot be scored. Then look for alarms."""
        at = as_time(int(prepared.batch.times.max().astype(np.int64)))
        prepared.decision, poisoned = judge(scorer, prepared.batch)
        if poisoned:
            log.warning("%s: %d events cannot be scored: %s", self.name, *_first_of(poisoned))
            prepared.reject_each(poisoned)
        if prepared.decision is None:
            prepared.alarms = self.health.failed(*_first_of(poisoned), at)
            return
        self._raise_alarms(prepared, prepared.decision, scorer)
        if not scorer.counts_alarms:
            prepared.alarms += self.health.scored(
                len(prepared.batch),
                int(prepared.decision.is_anomaly.sum()),
                scorer.budget,
                at,
                lambda: self._moved(prepared.batch, scorer),
            )
        # Only now: a batch must not be its own context.
        scorer.remember(prepared.batch)
        newest = int(prepared.batch.times.max().astype(np.int64))
        prepared.alarms += self.silences.update(scorer.silent(newest), newest)

    def _moved(self, batch: Batch, scorer: Scorer) -> list[str]:
        """Return the columns that moved, none for too few events to tell."""
        if len(batch) < _FEWEST_MOVED:
            return []
        try:
            return scorer.moved(batch)
        except Exception as error:  # noqa: BLE001 - an alarm without columns is better than none
            log.warning("%s: cannot find out which columns moved: %r", self.name, error)
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
            except Exception as error:  # noqa: BLE001 - an alarm without reasons is better than none
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
        ``without_poisoned`` finds the events at fault.
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
            # If its answer was lost, the batch is in the store already: it is not written again.
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
        return {"commit": prepared.commit, "health": self.health.state()}

    def _is_next_commit(self, c: Connection, prepared: PreparedBatch) -> bool:
        """Return whether a batch is next: False if it is stored already and its answer was lost."""
        found = self.stores.alarms.locked_state(c, self.name, _PROGRESS)
        last = None if found is None else found["commit"]
        if last not in (self._commit, prepared.commit):
            raise NotAllowed(f"Another process has written events of {self.name}; this one stops.")
        return bool(last == self._commit)

    def _save_alarms(self, c: Connection, alarms: Sequence[Alarm], at: datetime) -> list[Alarm]:
        """Save alarms with what people have made of them, and enqueue their notifications."""
        known = self.stores.alarms.find(c, [alarm.id for alarm in alarms])
        merged = [merge_alarm(alarm, known.get(alarm.id)) for alarm in alarms]
        self.stores.alarms.save(c, merged)
        changes = [(alarm, known.get(alarm.id)) for alarm in merged]
        enqueue_notifications(c, self.stores, self.router, changes, at)
        return merged


def _first_of(poisoned: Mapping[int, str]) -> tuple[int, str]:
    """Return how many events are at fault, and why the first one is."""
    return len(poisoned), next(iter(poisoned.values()))
