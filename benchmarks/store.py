"""How fast the store takes events, and how large it becomes.

    python benchmarks/store.py [--url postgresql://…] [--batches 400] [--events 500]

Batches of random numbers in eight columns, with entities, scores and an offset, one transaction
each, synchronous=FULL. Events a second are those of one processor's time (of this process alone,
so that a server's is not in it), from the median over the batches. The size is that of the file
after all, or of the database.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from hashlib import md5
from pathlib import Path

import numpy as np
import pandas as pd

from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.types import Batch, BatchDecision

COLUMNS = 8


def batches(kind: str, count: int, events: int) -> list[Batch]:
    rng = np.random.default_rng(0)
    start = np.datetime64("2026-01-01", "us")
    entities = tuple(f"machine {row % 10}" for row in range(events))
    made = []
    for number in range(count):
        ids = None
        if kind == "growing ids":
            ids = tuple(f"topic-0-{number * events + row:012d}" for row in range(events))
        elif kind == "random ids":
            ids = tuple(
                md5(b"%d %d" % (number, row), usedforsecurity=False).hexdigest()
                for row in range(events)
            )
        frame = pd.DataFrame(rng.normal(size=(events, COLUMNS))).add_prefix("x")
        times = start + np.arange(number * events, (number + 1) * events).astype("timedelta64[ms]")
        made.append(Batch(frame, times, ids, entities))
    return made


def measure(url: str, kind: str, count: int, events: int) -> None:
    rng = np.random.default_rng(1)
    decision = BatchDecision(
        rng.normal(size=events), rng.uniform(size=events), np.zeros(events, bool), 3, "m"
    )
    with Database(url) as db:
        store = EventStore(db)
        before, spent = size(db), []
        made = batches(kind, count, events)
        started = time.perf_counter()
        for number, batch in enumerate(made):
            begun = time.process_time()
            with db.begin() as c:
                if batch.ids is not None:
                    assert not store.known(c, kind, batch.ids)
                store.append(c, kind, batch, decision)
                store.set_offset(c, kind, {"batch": number})
            spent.append(time.process_time() - begun)
        elapsed = time.perf_counter() - started
        if db.is_sqlite:
            with db.read() as c:
                c.rollback()
                c.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        grown = (size(db) - before) / (count * events)
        typical = statistics.median(spent)
    print(
        f"{kind:12s} {typical * 1e3:6.2f} ms CPU a batch (mean {statistics.mean(spent) * 1e3:.2f})"
        f", {events / typical:9,.0f} events a CPU-second"
        f", {count / elapsed:6.1f} transactions a second, {grown:6.1f} MB a million events"
    )


def size(db: Database) -> int:
    query = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if db.is_sqlite
        else "SELECT pg_database_size(current_database())"
    )
    with db.read() as c:
        return int(c.exec_driver_sql(query).scalar_one())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--url", help="of an empty PostgreSQL database; SQLite without")
    parser.add_argument("--batches", type=int, default=400)
    parser.add_argument("--events", type=int, default=500)
    given = parser.parse_args()
    for kind in ("no ids", "growing ids", "random ids"):
        with tempfile.TemporaryDirectory() as folder:
            url = given.url or f"sqlite:///{Path(folder) / 'tocsin.db'}"
            measure(url, kind, given.batches, given.events)


if __name__ == "__main__":
    main()
