"""How many events a second a monitor takes, durably, and how long an alarm takes to be kept.

Every part is real: JSON is parsed, an autoencoder scores in onnxruntime, alarms are decided, and
each batch is one SQLite transaction with synchronous=FULL.

    python benchmarks/monitor.py --events 500000 --rate 10000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tocsin.files import write_atomically

FEATURES = 8
BATCH = 500
ENTITIES = 50
ANOMALIES = 0.0001  # as many as the model's false-alarm budget


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300_000, help="events of the throughput run")
    parser.add_argument("--rate", type=int, default=10_000, help="events a second, latency run")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the latency run")
    parser.add_argument("--members", type=int, default=3, help="networks of the autoencoder")
    parser.add_argument("--width", type=int, default=128, help="units of its first layer")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        print(json.dumps(serve(Path(given.serve), given)))
        return
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder) / "model", given.members, given.width)
        command = [sys.executable, __file__, "--serve", folder]
        options = ["--events", str(given.events), "--rate", str(given.rate)]
        options += ["--seconds", str(given.seconds)]
        done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
        measured = json.loads(done.stdout.splitlines()[-1])
    for name, value in measured.items():
        print(f"{name:40} {value:,.4g}" if isinstance(value, float) else f"{name:40} {value}")
    if given.json:
        write_atomically(given.json, json.dumps(measured, indent=2))


def train(model: Path, members: int, width: int) -> None:
    import pandas as pd

    from tocsin import Pipeline
    from tocsin.registry import create

    rows = np.random.default_rng(0).normal(size=(5_000, FEATURES))
    frame = pd.DataFrame(rows, columns=[f"x{i}" for i in range(FEATURES)])
    detector = create("autoencoder", members=members, width=width)
    pipeline = Pipeline(detector, training="clean", false_alarms=0.0001)
    pipeline.fit(frame).save(model)


def serve(folder: Path, given: argparse.Namespace) -> dict[str, float | str | bool]:
    """Measure in a process that has never loaded torch."""
    measured = throughput(folder, given.events, ids=True)
    measured |= throughput(folder, given.events, ids=False)
    measured |= asyncio.run(latency(folder, given.rate, given.seconds))
    import psutil

    memory = psutil.Process().memory_info().rss / 1e6
    return {**measured, "resident MB": memory, "torch loaded": "torch" in sys.modules}


def throughput(folder: Path, events: int, *, ids: bool) -> dict[str, float | str | bool]:
    """Take events as fast as it goes: those of pushing clients have ids, those of files none."""
    from tocsin.sources._records import Fields, batch_of

    process = _process(folder, f"throughput-{ids}")
    batches = list(_batches(events, ids=ids))
    for raw in batches[:20]:
        process.process(batch_of(raw, Fields()), None)
    gc.freeze()  # as a running monitor does
    wall, cpu = time.perf_counter(), time.process_time()
    for raw in batches[20:]:
        process.process(batch_of(raw, Fields()), None)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n = sum(map(len, batches[20:]))
    process.stores.db.close()
    which = "with ids" if ids else "known by their offset"
    return {
        f"events a second, {which}": n / wall,
        f"events a CPU-second, {which}": n / cpu,
    }


async def latency(folder: Path, rate: int, seconds: float) -> dict[str, float | str | bool]:
    """Send events by TCP at a rate, and time each alarm from sending to its commit."""
    from tocsin.monitor.runner import MonitorRunner

    process = _process(folder, "latency")
    took: dict[str, float] = {}
    commit = process.commit

    def timed(work, now):  # type: ignore[no-untyped-def]
        alarms = commit(work, now)
        at = datetime.now(UTC)
        for (
            alarm
        ) in alarms:  # when it is first committed; it changes as long as its entity is heard of
            took.setdefault(alarm.id, (at - alarm.opened).total_seconds())
        return alarms

    process.commit = timed

    async def never(name: str) -> bool:
        return False

    watch = MonitorRunner(process, never)
    run = asyncio.create_task(watch.run())
    await asyncio.sleep(1.0)
    sender = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SENDER,
        str(process.settings.source.port),
        str(rate),
        str(seconds),
    )
    await sender.wait()
    await asyncio.sleep(2.0)
    watch.stop()
    await run
    kept = process.stores.counters.read()["latency"]["events"]
    process.stores.db.close()
    ranked = np.sort(list(took.values()))
    return {
        "sent a second": kept / seconds,
        "alarms": float(len(ranked)),
        "event to alarm, median ms": 1e3 * float(np.quantile(ranked, 0.5)),
        "event to alarm, p99 ms": 1e3 * float(np.quantile(ranked, 0.99)),
    }


SENDER = """
import json, random, socket, sys, threading, time
port, rate, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
peer = socket.create_connection(("127.0.0.1", port))
def listen():
    while peer.recv(65536): pass
threading.Thread(target=listen, daemon=True).start()
draw = random.Random(0)
start, step, n = time.time(), 0.01, 0
while (now := time.time()) < start + seconds:
    lines = []
    while n < (now - start) * rate:
        n += 1
        far = 12.0 if n % 500 == 0 else 0.0
        values = {f"x{i}": draw.gauss(far, 1.0) for i in range(8)}
        event = {"time": time.time(), "id": f"l{n}", "entity": f"e{n // 500}" if far else "e"}
        lines.append(json.dumps({**event, **values}))
    peer.sendall(("\\n".join(lines) + "\\n").encode() if lines else b"")
    time.sleep(step)
time.sleep(1)
"""


def _process(folder: Path, name: str):  # type: ignore[no-untyped-def]
    import socket

    from tocsin import config
    from tocsin.alarms.routing import Router
    from tocsin.monitor.event_processor import EventProcessor
    from tocsin.monitor.models import open_model
    from tocsin.monitor.stores import Stores
    from tocsin.store.database import Database

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (
        f"store: sqlite:///{name}.db\n"
        f"monitors: {{{name}: {{source: {{type: socket, port: {port}}}, model: model, "
        "batch: {events: 500, wait: 10ms}, "
        "training: {false_alarms: 0.0001}, alarms: {open: 1, of: 1}}}\n"
    )
    settings = config.parse(text, folder / "tocsin.yaml")
    stores = Stores.of(Database(settings.store.reveal()))
    process = EventProcessor(name, settings.monitors[name], stores, Router(), settings.storm)
    process.use_model(open_model(folder / "model", 1))
    return process


def _batches(events: int, *, ids: bool) -> Iterator[list[bytes]]:
    """Yield JSON events in batches."""
    rng = np.random.default_rng(1)
    for start in range(0, events, BATCH):
        rows = rng.normal(size=(BATCH, FEATURES))
        rows[rng.random(BATCH) < ANOMALIES] += 12.0
        yield [
            json.dumps(
                {
                    "time": 1.7e9 + start + i,
                    **({"id": f"t{start + i}"} if ids else {}),
                    "entity": f"e{i % ENTITIES}",
                    **{f"x{j}": row[j] for j in range(FEATURES)},
                }
            ).encode()
            for i, row in enumerate(rows)
        ]


if __name__ == "__main__":
    main()
