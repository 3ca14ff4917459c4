"""What streaming detectors cost and reach, beside river's half-space trees, in one run.

    python benchmarks/streaming.py --data DIR

Prints the events a second of a Python call an event, and the seconds a tick and the memory of
10,000 entities; with ``--data``, a folder of series with ``index.csv``, also the mean VUS-PR on
its univariate series (``--exact``: those compared with published figures alone).
"""

from __future__ import annotations

import argparse
import csv
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tocsin import registry
from tocsin.base import StreamingDetector
from tocsin.detectors.series.recursive_ar import RecursiveAr
from tocsin.evaluate.metrics.ranges import buffer_period, vus
from tocsin.types import FloatArray, IntArray

DETECTORS: dict[str, dict[str, Any]] = {
    "recursive_ar": {},
    "recursive_ar, delay 100": {"delay": 100},
    "streaming_forest": {},
    "streaming_autoencoder": {},
}
LEAST = 16


def main() -> None:
    """Print speed, then memory, then accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--series", type=int, help="measure at most N series, drawn at random")
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--entities", type=int, default=10_000)
    options = parser.parse_args()
    many_entities(options.entities)
    speed(options.events)
    if options.data:
        accuracy(list(read(options.data, options.exact, options.series)))


def new(name: str) -> StreamingDetector:
    """Return the detector of a line of the tables."""
    detector = registry.create(name.partition(",")[0], "series", **DETECTORS[name])
    assert isinstance(detector, StreamingDetector)
    return detector


def speed(events: int) -> None:
    """Print the events a second through a Python call an event, on the same series."""
    series = np.cumsum(np.random.default_rng(0).normal(size=(events, 1)), axis=0)
    seconds = {"river HalfSpaceTrees": timed(half_space_trees, series[:, 0])}
    for name in DETECTORS:
        seconds[name] = timed(process_each, new(name).fit(series[:1000]), series)
    print(f"\n{'a call an event':28}{'events/s':>12}")
    for name, taken in seconds.items():
        print(f"{name:28}{events / taken:>12,.0f}")


def process_each(detector: StreamingDetector, series: FloatArray) -> None:
    """Let the detector process event after event."""
    for event in series:
        detector.process(event)


def many_entities(entities: int, ticks: int = 300) -> None:
    """Print seconds per tick, one event of each of N entities, and peak memory."""
    rng = np.random.default_rng(0)
    detector = RecursiveAr().fit(rng.normal(size=(1000, 1))).tracking(entities)
    taken = [timed(detector.process_many, rng.normal(size=(entities, 1))) for _ in range(ticks)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"recursive_ar, {entities:,} entities: {np.mean(taken):.3f} s a tick "
        f"(the longest {np.max(taken):.3f} s), {peak:.0f} MB peak"
    )


def accuracy(series: list[tuple[FloatArray, IntArray, int]]) -> None:
    """Print the mean VUS-PR of every detector; training series are run through first."""
    print(f"\n{f'{len(series)} series':28}{'VUS-PR':>12}{'seconds':>12}")
    for name in ("river HalfSpaceTrees", *DETECTORS):
        start, volumes = time.process_time(), []
        for x, y, end in series:
            scores = streamed(new(name), x, end) if name in DETECTORS else half_space_trees(x)
            volumes.append(vus(y, scores, buffer_period(x)).vus_pr)
        known = [volume for volume in volumes if volume is not None]
        print(f"{name:28}{np.mean(known):>12.3f}{time.process_time() - start:>12.0f}", flush=True)


def streamed(detector: StreamingDetector, x: FloatArray, train_end: int) -> FloatArray:
    """Return the scores of a series, those of its training part being the ones on the way."""
    if not LEAST <= train_end < len(x):
        return detector.fit(x).training_scores_
    detector.fit(x[:train_end])
    return np.concatenate([detector.training_scores_, detector.score(x[train_end:]).values])


def half_space_trees(x: FloatArray) -> FloatArray:
    """Return river's scores, of values brought into [0, 1], as it wants them, by their range."""
    # Imported here so that the memory measured before is Tocsin's own.
    from river.anomaly import HalfSpaceTrees

    trees: Any = HalfSpaceTrees(seed=0)
    scores = np.empty(len(x))
    for t, value in enumerate((x - x.min()) / max(np.ptp(x), 1e-300)):
        event = {"x": float(value)}
        scores[t] = trees.score_one(event)
        trees.learn_one(event)
    return scores


def read(folder: Path, exact: bool, most: int | None) -> Iterator[tuple[FloatArray, IntArray, int]]:
    """Yield values, labels and the end of the training part of the univariate series."""
    with (folder / "index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "univariate"]
    rows = [row for row in rows if not exact or row["tsb_ad_exact"] == "True"]
    order = np.random.default_rng(0).permutation(len(rows))[:most]
    for row in (rows[i] for i in sorted(order)):
        with np.load(folder / row["kind"] / row["family"] / f"{row['name']}.npz") as arrays:
            x, y = arrays["X"][:, 0].astype(np.float64), arrays["y"].astype(np.int64)
            yield x, y, int(arrays["train_end"])


def timed(call: Callable[..., object], *arguments: object) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
