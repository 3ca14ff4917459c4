"""What happens to a batch: rules, model, alarms, and one transaction that writes it all."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
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
from tocsin.errors import StoreUnavailable, TocsinError
from tocsin.monitor.scoring import Description, Scorer
from tocsin.monitor.stores import Stores
from tocsin.types import Alarm, Batch, BoolArray, Judgement, Rejection, RejectionKind

log = logging.getLogger(__name__)

_RAW = 2_000
_STORM = "storm"


@dataclass
class Work:
    """A batch on its way, and what became of it: all that one transaction writes."""

    batch: Batch
    rejected: list[Rejection]
    counts: Counter[str] = field(default_factory=Counter)
    judgement: Judgement | None = None
    alarms: list[Alarm] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)


class Process:
    """One monitor's events through rules, model and alarms into the store.

    It is used by one thread at a time: ``prepare`` a batch, then ``keep`` it, again and again if
    the store is away. What a crash would lose is written in one transaction: the events, the
    offset of the source, the alarms, and the state of each entity.
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
        self.episodes = Episodes(
            name,
            settings.alarms,
            ordered=settings.source.ordered or settings.training.modality == "series",
            budget=settings.training.false_alarms,
        )
        self.storm = StormControl(name, storm, settings.alarms.labels)
        states = stores.alarms.states(name)
        self.episodes.restore(states)
        if _STORM in states:
            self.storm.restore(states[_STORM])
        self._newest = _newest(stores, name)

    def serve(self, scorer: Scorer) -> None:
        """Score by this model from now on, its state rebuilt from the store."""
        if scorer.keeps_context:
            newest = self.settings.context
            for stored in self.stores.events.read(self.name, newest=newest):
                scorer.remember(Batch(stored.frame, stored.times, entities=stored.entities))
        self.scorer = scorer

    def take(self, batch: Batch, now: datetime | None) -> list[Alarm]:
        """Score and keep a batch, and return the alarms that changed.

        ``now`` is the clock, None for history. Raises StoreUnavailable when nothing was kept.
        """
        return self.keep(self.prepare(batch, now), now)

    def prepare(self, batch: Batch, now: datetime | None) -> Work:
        """Apply the rules, the model and the alarm engine to a batch; nothing is written yet.

        Raises StoreUnavailable, after which the same batch may be given again.
        """
        work = Work(batch, list(batch.rejected))
        self._refuse_known(work)
        self._refuse_by_time(work, now)
        scorer = self.scorer
        if scorer is not None and len(work.batch):
            self._judge(work, scorer)
            if work.judgement is not None:
                self._ring(work, scorer)
            scorer.remember(work.batch)
        if len(work.batch):
            self._newest = max(self._newest, work.batch.times.max())
            work.states = {**self.episodes.state(), _STORM: self.storm.state()}
        return work

    def tick(self, alarms: Iterable[Alarm], now: datetime) -> list[Alarm]:
        """Keep alarms that no event caused: silence, a model that fails."""
        work = Work(_nothing(), [], alarms=list(alarms))
        return self.keep(work, now) if work.alarms else []

    def _refuse_known(self, work: Work) -> None:
        """Drop events that came before, in an earlier batch or in this one."""
        ids = work.batch.ids
        if ids is None:
            return
        with self.stores.db.read() as c:
            known = self.stores.events.known(c, self.name, ids)
        fresh = np.ones(len(ids), dtype=bool)
        seen = set(known)
        for i, each in enumerate(ids):
            fresh[i] = each not in seen
            seen.add(each)
        work.counts["duplicate"] += int((~fresh).sum())
        work.batch = _chosen(work.batch, fresh)

    def _refuse_by_time(self, work: Work, now: datetime | None) -> None:
        """Quarantine events that are too old, too far ahead, or of no time at all."""
        times, settings = work.batch.times, self.settings
        if not len(times):
            return
        unknown = np.isnat(times)
        self._refuse(work, unknown, "malformed", "the event has no time")
        times = work.batch.times
        if now is not None and settings.future is not None:
            limit = np.datetime64(
                (now + timedelta(seconds=settings.future)).astimezone(UTC).replace(tzinfo=None)
            )
            self._refuse(work, times > limit, "future", "its time is ahead of the clock")
        times = work.batch.times
        if settings.late is not None and len(times):
            micros = np.concatenate(([self._newest], times)).astype(np.int64)
            before = np.maximum.accumulate(micros)[:-1]
            late = micros[1:] < before - int(settings.late * 1e6)
            self._refuse(work, late, "late", "it is older than the newest event by too much")

    def _refuse(self, work: Work, which: BoolArray, kind: RejectionKind, reason: str) -> None:
        for i in np.flatnonzero(which).tolist():
            work.rejected.append(Rejection(kind, reason, _raw(work.batch, i)))
        if which.any():
            work.batch = _chosen(work.batch, ~which)

    def _judge(self, work: Work, scorer: Scorer) -> None:
        """Score a batch; where that fails, find the events at fault and quarantine them."""
        work.judgement, poisoned = _judged(scorer, work.batch)
        if poisoned:
            for i, reason in poisoned.items():
                work.rejected.append(Rejection("malformed", reason, _raw(work.batch, i)))
            fine = np.ones(len(work.batch), dtype=bool)
            fine[list(poisoned)] = False
            work.batch = _chosen(work.batch, fine)

    def _ring(self, work: Work, scorer: Scorer) -> None:
        batch, judgement = work.batch, work.judgement
        assert judgement is not None  # noqa: S101 - ``take`` has checked

        def describe(i: int) -> Description:
            try:
                return scorer.describe(batch, i)
            except TocsinError as error:
                return (), {}, f"not explained: {error}"

        found = self.episodes.update(batch.times, batch.entities, judgement, describe)
        try:
            with self.stores.db.read() as c:
                known = self.stores.alarms.find(c, [alarm.id for alarm in found])
        except StoreUnavailable:
            self.episodes.undo()
            raise
        work.alarms = self.storm.update(found, known, self.episodes.newest)

    def keep(self, work: Work, now: datetime | None) -> list[Alarm]:
        """Write a batch with all that follows from it, or nothing; return its alarms.

        Raises StoreUnavailable; the same work may then be given again.
        """
        stores, name = self.stores, self.name
        at = now if now is not None else datetime.now(UTC)
        counts = Counter(work.counts)
        counts["events"] += len(work.batch)
        counts.update(rejection.kind for rejection in work.rejected)
        if work.judgement is not None:
            counts["anomalies"] += int(work.judgement.is_anomaly.sum())
        with stores.db.begin() as c:
            if len(work.batch):
                stores.events.append(c, name, work.batch, work.judgement)
            if work.batch.offset is not None:
                stores.events.set_offset(c, name, work.batch.offset)
            if work.rejected:
                stores.quarantine.add(c, name, work.rejected, at)
            if work.states:
                stores.alarms.save_states(c, name, work.states)
            alarms = self._announce(c, work.alarms, at) if work.alarms else []
            stores.counters.add(c, name, counts)
        return alarms

    def _announce(self, c: Connection, alarms: Sequence[Alarm], at: datetime) -> list[Alarm]:
        """Save alarms as they and people have made them, and put notices into the outbox."""
        stores = self.stores
        known = stores.alarms.find(c, [alarm.id for alarm in alarms])
        merged = [merge_alarm(alarm, known.get(alarm.id)) for alarm in alarms]
        stores.alarms.save(c, merged)
        for alarm in merged:
            for route in self.router.route(alarm, known.get(alarm.id)):
                sent = stores.outbox.last_sent(c, route.responder, route.group)
                due = route.due(at, sent)
                stores.outbox.enqueue(c, route.responder, route.group, route.kind, [alarm.id], due)
        return merged


def _judged(scorer: Scorer, batch: Batch) -> tuple[Judgement | None, dict[int, str]]:
    """Return the judgement of what can be scored, and by position why the rest cannot."""
    try:
        return scorer.judge(batch), {}
    except TocsinError as error:
        if len(batch) == 1:
            return None, {0: str(error)}
    half = len(batch) // 2
    first = np.arange(len(batch)) < half
    parts = [_judged(scorer, _chosen(batch, which)) for which in (first, ~first)]
    poisoned = {**parts[0][1], **{i + half: why for i, why in parts[1][1].items()}}
    judgements = [judgement for judgement, _ in parts if judgement is not None]
    if len(judgements) < 2:
        return (judgements[0] if judgements else None), poisoned
    left, right = judgements
    joined = replace(
        left,
        scores=np.concatenate([left.scores, right.scores]),
        p_values=np.concatenate([left.p_values, right.p_values]),
        is_anomaly=np.concatenate([left.is_anomaly, right.is_anomaly]),
    )
    return joined, poisoned


def merge(batches: Sequence[Batch]) -> Batch:
    """Return batches of one source, one after the other, as one; the last one's offset holds."""
    if len(batches) == 1:
        return batches[0]
    import pandas as pd

    waiting = [batch.acknowledge for batch in batches if batch.acknowledge is not None]

    async def acknowledge() -> None:
        for each in waiting:
            await each()

    def joined(name: str) -> tuple[str, ...] | None:
        parts = [getattr(batch, name) for batch in batches if len(batch)]
        if all(part is None for part in parts):
            return None
        blank = [("",) * len(batch) for batch in batches if len(batch)]
        return tuple(x for part, fill in zip(parts, blank, strict=True) for x in part or fill)

    held = [batch for batch in batches if len(batch)] or batches[:1]
    offsets = [batch.offset for batch in batches if batch.offset is not None]
    return Batch(
        held[0].frame if len(held) == 1 else pd.concat([b.frame for b in held], ignore_index=True),
        np.concatenate([batch.times for batch in batches]),
        joined("ids"),
        joined("entities"),
        offsets[-1] if offsets else None,
        tuple(rejection for batch in batches for rejection in batch.rejected),
        acknowledge if waiting else None,
    )


def _chosen(batch: Batch, which: BoolArray) -> Batch:
    """Return the events of a batch that are chosen, (n,) bool."""
    if which.all():
        return batch
    at = np.flatnonzero(which).tolist()
    return replace(
        batch,
        frame=batch.frame[which].reset_index(drop=True),
        times=batch.times[which],
        ids=None if batch.ids is None else tuple(batch.ids[i] for i in at),
        entities=None if batch.entities is None else tuple(batch.entities[i] for i in at),
        rejected=(),
    )


def _raw(batch: Batch, i: int) -> str:
    """Return an event as JSON text that can be given again, cut if it is large."""
    row = batch.frame.iloc[[i]].assign(time=str(batch.times[i]))
    if batch.entities is not None:
        row = row.assign(entity=batch.entities[i])
    return str(row.to_json(orient="records", lines=True)).strip()[:_RAW]


def _newest(stores: Stores, name: str) -> np.datetime64:
    newest = np.datetime64(0, "us")
    for stored in stores.events.read(name, newest=1):
        newest = max(newest, stored.times.max())
    return newest


def _nothing() -> Batch:
    import pandas as pd

    return Batch(pd.DataFrame(), np.empty(0, dtype="datetime64[us]"))
