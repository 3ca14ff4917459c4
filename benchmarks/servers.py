"""Twenty simulated servers for two weeks, with faults: what a monitor finds that begins with none.

Six metrics of each server every minute: traffic with a daily and a weekly rhythm, what follows from
it, a memory that wanders, a nightly backup, rare hiccups. The monitor trains its first model after
500 events and then by its own schedule; faults are planted in the second week. Beside it, a
baseline: median and MAD per server and half-hour of working days and weekends, learned from the
whole first week.

    python benchmarks/servers.py --seed 1 --budget 0.3 --minutes 1
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin import config
from tocsin.files import write_atomically
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model_of
from tocsin.monitor.stores import Stores
from tocsin.monitor.training import is_due, train
from tocsin.types import Alarm, Batch

SERVERS, DAYS, LEARNED, DAY = 20, 14, 7, 1440
START = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
METRICS = ("cpu", "memory", "requests", "latency", "errors", "disk")
GRACE = timedelta(minutes=30)
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Fault:
    """What is wrong with which metric of a server, from a minute to another."""

    kind: str
    server: int
    metric: str
    begin: int
    end: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=0.3, help="alarms allowed per day")
    parser.add_argument("--minutes", type=int, default=1, help="between readings of a server")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    values, faults = simulate(given.seed)
    values = values[:, :: given.minutes]
    measured = {"seed": given.seed, "minutes": given.minutes, "promised per day": given.budget}
    with tempfile.TemporaryDirectory() as home:
        alarms, seconds = watch(values, given.minutes, given.budget, Path(home))
    measured |= judge(alarms, faults)
    measured["events per CPU second"] = round(np.isfinite(values).any(axis=2).sum() / seconds)
    for threshold in (4.0, 6.0, 8.0):
        found = judge(baseline(values, given.minutes, threshold), faults)
        measured |= {f"baseline {threshold:g}: {name}": each for name, each in found.items()}
    for name, each in measured.items():
        print(f"{name:46} {each}")
    if given.json:
        write_atomically(given.json, json.dumps(measured, indent=2))


def simulate(seed: int) -> tuple[Values, list[Fault]]:
    """Return the values (servers, minutes, metrics), NaN where missing, and the faults in them."""
    rng = np.random.default_rng(seed)
    values = np.stack([_server(rng) for _ in range(SERVERS)])
    faults = []
    for number, (kind, metric, hours, change) in enumerate(_plan()):
        begin = int((LEARNED + rng.uniform(0.1, DAYS - LEARNED - 1.1)) * DAY)
        fault = Fault(kind, number, metric, begin, begin + max(1, round(hours * 60)))
        part = values[number, begin : fault.end]
        change(part, METRICS.index(metric), values[number], begin, rng)
        faults.append(fault)
    return values, faults


def _server(rng: np.random.Generator) -> Values:
    n = DAYS * DAY
    minute = np.arange(n)
    weekend = minute // DAY % 7 >= 5
    wave = np.cos(2 * np.pi * (minute / DAY - rng.uniform(0.5, 0.75)))
    day = (1 + rng.uniform(0.4, 0.6) * wave) * np.where(weekend, rng.uniform(0.6, 0.85), 1.0)
    base = np.exp(rng.uniform(4, 7))
    requests = rng.poisson(base * day * np.exp(_wandering(rng, n, 0.9, 0.05))).astype(float)
    load = requests / base
    cpu = rng.uniform(3, 10) + rng.uniform(20, 35) * load + _wandering(rng, n, 0.7, 1.5)
    memory = rng.uniform(30, 60) + 3 * wave + _wandering(rng, n, 0.998, 1.2)
    hiccup = np.where(rng.random(n) < 0.0005, rng.uniform(1.5, 2.5, n), 1.0)
    latency = rng.uniform(10, 40) * (1 + 0.3 * load**2) * np.exp(rng.normal(0, 0.1, n)) * hiccup
    errors = rng.poisson(0.03 * requests).astype(float)
    backup = np.where((minute % DAY >= 180) & (minute % DAY < 200), rng.uniform(20, 40), 0.0)
    disk = 3 * np.abs(_wandering(rng, n, 0.8, 1.0)) + rng.exponential(1.0, n) + backup
    return np.column_stack([cpu, memory, requests, latency, errors, disk]).round(3)


def _wandering(rng: np.random.Generator, n: int, stays: float, spread: float) -> Values:
    from scipy.signal import lfilter

    steps = rng.normal(0, spread * np.sqrt(1 - stays**2), n)
    return np.asarray(lfilter([1.0], [1.0, -stays], steps))


def _plan() -> list[tuple[str, str, float, Callable[..., None]]]:
    """Return the kind, metric, hours and doing of each fault, for a server each."""

    def scaled(begin: float, end: float) -> Callable[..., None]:
        def change(part: Values, m: int, *_: Any) -> None:
            part[:, m] *= np.linspace(begin, end, len(part))

        return change

    def shifted(begin: float, end: float) -> Callable[..., None]:
        def change(part: Values, m: int, *_: Any) -> None:
            part[:, m] += np.linspace(begin, end, len(part))

        return change

    def stuck(part: Values, m: int, *_: Any) -> None:
        part[:, m] = part[0, m]

    def silent(part: Values, *_: Any) -> None:
        part[:] = np.nan

    def missing(part: Values, m: int, *_: Any) -> None:
        part[:, m] = np.nan

    def noisy(part: Values, m: int, _: Values, __: int, rng: np.random.Generator) -> None:
        part[:, m] += rng.normal(0, 8, len(part))

    def half_a_day_off(part: Values, m: int, whole: Values, begin: int, _: Any) -> None:
        part[:, [0, 2, 4]] = whole[begin - 720 : begin - 720 + len(part), [0, 2, 4]]

    return [
        ("level shift", "cpu", 4, shifted(20, 20)),
        ("level shift", "memory", 6, shifted(6, 6)),
        ("level shift", "latency", 3, scaled(1.6, 1.6)),
        ("spike of 5 minutes", "latency", 1 / 12, scaled(8, 8)),
        ("spike of 5 minutes", "errors", 1 / 12, scaled(10, 10)),
        ("one reading", "latency", 1 / 60, scaled(15, 15)),
        ("drift", "memory", 24, shifted(0, 25)),
        ("drift", "latency", 24, scaled(1, 3)),
        ("stuck", "cpu", 4, stuck),
        ("stuck", "latency", 4, stuck),
        ("silent", "cpu", 4, silent),
        ("field missing", "latency", 3, missing),
        ("field missing", "disk", 3, missing),
        ("rhythm broken", "requests", 6, half_a_day_off),
        ("rhythm broken", "requests", 6, half_a_day_off),
        ("relation broken", "cpu", 4, scaled(0.3, 0.3)),
        ("traffic gone", "requests", 3, scaled(0.05, 0.05)),
        ("errors tenfold", "errors", 1, scaled(10, 10)),
        ("noise", "cpu", 6, noisy),
        ("disk busy", "disk", 2, shifted(30, 30)),
    ]


def watch(values: Values, minutes: int, budget: float, home: Path) -> tuple[list[Alarm], float]:
    """Return the alarms of a monitor that sees all readings, half an hour at a time.

    Also the CPU seconds of processing, without those of training.
    """
    (home / "tocsin.yaml").write_text(
        f"store: sqlite:///{home}/tocsin.db\nmonitors:\n  web:\n"
        f"    source: {{type: socket, port: 7007}}\n    model: {home}/model\n"
        f"    training: {{modality: metrics, alarms_per_day: {budget}}}\n"
    )
    settings = config.read(home / "tocsin.yaml")
    monitor, spent, trained, seen = settings.monitor("web"), 0.0, False, 0
    with Stores.opened(settings.store.reveal()) as stores:
        processor = EventProcessor("web", monitor, stores, settings.router(), settings.storm)
        for first in range(0, values.shape[1], max(1, 30 // minutes)):
            batch = _batch(values, minutes, first, first + max(1, 30 // minutes))
            began = time.process_time()
            processor.process(batch, None)
            spent += time.process_time() - began
            seen += len(batch)
            due = is_due(monitor, processor.episodes.newest) if trained else seen >= 500
            if due:
                train(settings, "web")
                processor.use_model(open_model_of(monitor))
                trained = True
        return list(stores.alarms.list()), spent


def _batch(values: Values, minutes: int, first: int, last: int) -> Batch:
    part = values[:, first:last].swapaxes(0, 1).reshape(-1, len(METRICS))
    at = np.repeat(np.arange(first, min(last, values.shape[1])), SERVERS) * minutes
    there = ~np.isnan(part).all(axis=1)
    times = np.datetime64(START.replace(tzinfo=None), "us") + at * np.timedelta64(1, "m")
    names = np.tile([f"web-{k:02}" for k in range(SERVERS)], len(part) // SERVERS)
    frame = pd.DataFrame(part[there], columns=list(METRICS))
    return Batch(frame, times[there], entities=tuple(names[there]))


def judge(alarms: list[Alarm], faults: list[Fault]) -> dict[str, Any]:
    """Return how many faults have an alarm that names their metric, after which time, and the rest.

    An alarm belongs to a fault if it is of its server and open at any time from its begin to half
    an hour after its end; all others are false.
    """
    delays, named, mine, missed = [], 0, set(), []
    for fault in faults:
        begin, end = (START + timedelta(minutes=at) for at in (fault.begin, fault.end))
        own = [
            alarm
            for alarm in alarms
            if alarm.entity == f"web-{fault.server:02}"
            and alarm.opened <= end + GRACE
            and (alarm.closed or end) >= begin
        ]
        mine |= {alarm.id for alarm in own}
        fresh = [alarm for alarm in own if alarm.opened >= begin]
        if not fresh:
            missed.append(f"{fault.kind} of {fault.metric}")
            continue
        delays.append(min((alarm.opened - begin).total_seconds() / 60 for alarm in fresh))
        reasons = " ".join(each.name for alarm in fresh for each in alarm.reasons)
        named += fault.metric in reasons or any(alarm.kind == "no data" for alarm in fresh)
    false = [alarm.opened for alarm in alarms if alarm.id not in mine]
    weeks = [sum((at - START).days // 7 == week for at in false) / 7 for week in range(2)]
    return {
        "faults found": f"{len(delays)} of {len(faults)}",
        "with the metric named": named,
        "missed": ", ".join(missed) or "none",
        "median delay, minutes": float(np.median(delays)) if delays else None,
        "false alarms on the first day": sum(at < START + timedelta(days=1) for at in false),
        "false alarms per day, first week": round(weeks[0], 2),
        "false alarms per day, second week": round(weeks[1], 2),
    }


def baseline(values: Values, minutes: int, threshold: float) -> list[Alarm]:
    """Return the alarms of medians and MADs by half-hour: 3 of 5 readings, closed after 10."""
    at = np.arange(values.shape[1]) * minutes
    slot = at % DAY // 30 + np.where(at // DAY % 7 >= 5, 48, 0)
    known, alarms = at < LEARNED * DAY, []
    for server, own in enumerate(values):
        far = np.zeros(len(at))
        for metric in own.T:
            table = pd.Series(metric[known]).groupby(slot[known])
            middle = table.median().reindex(slot).to_numpy()
            mads = 1.4826 * table.agg(lambda x: (x - x.median()).abs().median())
            spread = np.maximum(mads.reindex(slot).to_numpy(), 0.3 * mads.median() + 1e-3)
            far = np.fmax(far, np.nan_to_num(np.abs(metric - middle) / spread))
        alarms += _episodes(f"web-{server:02}", at[~known], (far > threshold)[~known])
    return alarms


def _episodes(entity: str, at: NDArray[np.int64], odd: NDArray[np.bool_]) -> list[Alarm]:
    found: list[Alarm] = []
    opened, quiet = None, 0
    for i, minute in enumerate(at.tolist()):
        if opened is None and odd[i] and odd[max(0, i - 4) : i + 1].sum() >= 3:
            opened, quiet = minute, 0
        elif opened is not None:
            quiet = 0 if odd[i] else quiet + 1
            if quiet >= 10:
                found.append(_alarm(entity, opened, minute))
                opened = None
    return found if opened is None else [*found, _alarm(entity, opened, DAYS * DAY)]


def _alarm(entity: str, opened: int, closed: int) -> Alarm:
    begin, end = (START + timedelta(minutes=each) for each in (opened, closed))
    return Alarm(
        id=f"{entity}-{opened}",
        fingerprint="",
        monitor="web",
        entity=entity,
        kind="anomaly",
        severity="warning",
        state="resolved",
        opened=begin,
        updated=end,
        closed=end,
        summary="",
        events=0,
        anomalies=0,
    )


if __name__ == "__main__":
    main()
