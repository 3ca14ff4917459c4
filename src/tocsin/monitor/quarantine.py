"""Events taken out of quarantine, and processed again."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import numpy as np

from tocsin import config
from tocsin.errors import NotAllowed, NotAModel, NotInStore
from tocsin.monitor.batches import as_datetime64
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model_of
from tocsin.monitor.stores import Stores
from tocsin.progress import report
from tocsin.sources._records import Fields, batch_of
from tocsin.store.leases import Lease
from tocsin.store.quarantine import Quarantined
from tocsin.types import Batch

_LEASE = 60.0


@dataclass(frozen=True, slots=True)
class ReprocessResult:
    """What became of events that were ``taken`` out of quarantine."""

    taken: int
    events: int
    anomalies: int
    duplicates: int
    refused: int


def reprocess_quarantined(
    settings: config.Config,
    stores: Stores,
    name: str | None,
    numbers: Sequence[int] | None = None,
) -> ReprocessResult:
    """Take events of one monitor or of all out of quarantine, and process them as if new.

    ``numbers``: those, or None for all. How late they are does not matter; all else does, and
    what is refused once more goes back with its reason. After a crash, what was processed counts
    once. Raises NotInStore for numbers that are not there, and NotAllowed while another process
    serves the store.
    """
    held = _held(settings, stores, name, numbers)
    counts: Counter[str] = Counter()
    with _leased(stores) as lease:
        for monitor in dict.fromkeys(each.monitor for each in held):
            mine = [each for each in reversed(held) if each.monitor == monitor]
            for part in _reprocess(settings, stores, monitor, mine):
                counts.update(part)
                report("events", counts["taken"], len(held))
                if not lease.renew():
                    raise NotAllowed("Another process has taken over the store; the rest stays.")
    return ReprocessResult(**{field: counts[field] for field in ReprocessResult.__slots__})


def _held(
    settings: config.Config, stores: Stores, name: str | None, numbers: Sequence[int] | None
) -> list[Quarantined]:
    """Return the events that are meant, the newest first."""
    known = settings.monitors if name is None else [name]
    held = [
        each
        for each in stores.quarantine.list(name)
        if each.monitor in known and (numbers is None or each.number in numbers)
    ]
    if missing := set(numbers or ()) - {each.number for each in held}:
        listed = ", ".join(map(str, sorted(missing)))
        raise NotInStore(
            f"There is no {listed} in quarantine; `tocsin events --quarantine` lists it."
        )
    return held


@contextmanager
def _leased(stores: Stores) -> Iterator[Lease]:
    """Serve the store alone. Raises NotAllowed while another process does."""
    lease = Lease(stores.db, "up", f"{socket.gethostname()}:{os.getpid()}", _LEASE)
    if not lease.acquire():
        raise NotAllowed(
            "Events are taken out of quarantine when nothing else serves the store: end "
            "`tocsin up` first. After it was killed that takes some seconds."
        )
    try:
        yield lease
    finally:
        lease.release()


def _reprocess(
    settings: config.Config, stores: Stores, name: str, held: Sequence[Quarantined]
) -> Iterator[dict[str, int]]:
    """Process events of one monitor, and yield what became of those of each transaction."""
    monitor = settings.monitor(name)
    # An event that was too late is let in on purpose; one ahead of the clock would make all
    # others late.
    eased = monitor.model_copy(update={"late": None})
    processor = EventProcessor(name, eased, stores, settings.router(), settings.storm)
    with suppress(NotAModel):
        processor.use_model(open_model_of(monitor))
    fields = getattr(monitor.source, "fields", Fields())
    size = monitor.batch.events
    for some in (held[i : i + size] for i in range(0, len(held), size)):
        now = datetime.now(UTC)
        for batch in _decoded(some, fields):
            prepared = processor.prepare(batch, now)
            # What was refused before says nothing of how the model does today.
            prepared.alarms = [alarm for alarm in prepared.alarms if alarm.kind != "model"]
            processor.commit(prepared, now)
            decision = prepared.decision
            yield {
                "events": len(prepared.batch),
                "anomalies": 0 if decision is None else int(decision.is_anomaly.sum()),
                "duplicates": prepared.counts["duplicate"],
                "refused": len(prepared.rejected),
            }
        # Only now: what a crash leaves in quarantine comes again, and counts as a duplicate.
        yield {"taken": len(stores.quarantine.take([each.number for each in some]))}


def _decoded(held: Sequence[Quarantined], fields: Fields) -> Iterator[Batch]:
    """Yield events as they came; those that a monitor wrote down have fields of the usual names.

    Their ids keep them apart from what was taken out of quarantine before.
    """
    usual = Fields(largest=fields.largest)
    named = [name for name in (fields.time, fields.entity) if name is not None]
    as_it_came = [not named or _has_field(each.raw, named) for each in held]
    for wanted in (True, False):
        some = [each for each, own in zip(held, as_it_came, strict=True) if own is wanted]
        if some:
            known = [each.known or {} for each in some]
            columns = dict.fromkeys(name for each in known for name in each.get("columns", ()))
            yield batch_of(
                [each.raw.encode("utf-8", "replace") for each in some],
                fields if wanted else usual,
                times=np.array([_time(each) for each in some]),
                entities=[each.get("entity") for each in known],
                known={n: [each.get("columns", {}).get(n) for each in known] for n in columns},
                ids=[f"quarantine {each.number}" for each in some],
            )


def _time(held: Quarantined) -> np.datetime64:
    """Return the time that an event has if it says none: its source's, else that of arrival."""
    if held.known and "time" in held.known:
        return np.datetime64(held.known["time"], "us")
    return as_datetime64(held.at)


def _has_field(raw: str, names: Sequence[str]) -> bool:
    """Return whether a JSON object has one of the fields; True for what is not a JSON object."""
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return True
    return not isinstance(event, dict) or any(name in event for name in names)
