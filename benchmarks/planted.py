"""Faults planted into real normal series: how many are found at a measured 1 % of false alarms.

    python benchmarks/planted.py --data FOLDER [--half even|odd] [--detectors auto] [--no-peers]

FOLDER is what ``tocsin bench series`` takes. Of each of twelve series the longest stretch without
an anomaly is taken (at most 6,000 points): a detector learns from its first two thirds, and its
threshold is what 1 % of the last third exceed. Copies of that third get faults of one kind at
places of their own; a fault is found where one of its points exceeds the threshold. Sizes are in
deviations (sd) of the channel over the training points. Six series (even) served to choose
detectors' settings, six (odd) did not. Beside them river's half-space trees, stumpy's distance to
the nearest training window, and the distance to a rolling median.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import median_filter

from tocsin import registry
from tocsin.base import SeriesDetector
from tocsin.features.windows import autocorrelation, average_over_windows, dominant_period
from tocsin.types import FloatArray, IntArray

SERIES = (
    "multivariate/asd/omi-1",
    "multivariate/asd/omi-10",
    "univariate/mba_ecg/MBA_ECG805_data_0",
    "univariate/ucr/resperation1",
    "univariate/nab/realKnownCause__machine_temperature_system_failure.csv",
    "univariate/nab/realKnownCause__nyc_taxi.csv",
    "multivariate/smd/machine-2-2",
    "multivariate/smd/machine-2-8",
    "univariate/ucr/CIMIS44AirTemperature2",
    "univariate/ucr/InternalBleeding16",
    "univariate/wsd/117",
    "univariate/wsd/123",
)
MOST_POINTS = 6_000
RATE = 0.01
COPIES, FAULTS = 2, 6
"""How many copies each kind is planted into, and how many times into each."""

Scorer = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Kind:
    """A kind of fault: its length, and what it makes of ``x`` (length,) at ``at`` of a channel."""

    name: str
    length: int
    change: Callable[[FloatArray, int, FloatArray, float], FloatArray]


def _shifted(channel: FloatArray, at: int, length: int, by: int) -> FloatArray:
    """Return what a channel shows that many points later, or before where it ends."""
    start = at + by if at + by + length <= len(channel) else at - by
    return channel[start : start + length]


KINDS = (
    Kind("point: 1 point of 4 sd", 1, lambda x, at, own, sd: x + 4 * sd),
    Kind("level: 20 points of 3 sd", 20, lambda x, at, own, sd: x + 3 * sd),
    Kind("drift: 50 points, up to 4 sd", 50, lambda x, at, own, sd: x + np.linspace(0, 4 * sd, 50)),
    Kind("stuck: 50 points", 50, lambda x, at, own, sd: np.full_like(x, x[0])),
    Kind(
        "dropped: 5 points, 3 sd below the lowest",
        5,
        lambda x, at, own, sd: np.full_like(x, own.min() - 3 * sd),
    ),
    Kind(
        "phase: 50 points, half a period",
        50,
        lambda x, at, own, sd: _shifted(own, at, 50, max(1, dominant_period(own) // 2)),
    ),
    Kind(
        "cross-channel: 50 points mirrored at the mean",
        50,
        lambda x, at, own, sd: 2 * own.mean() - x,
    ),
)


def main() -> None:
    """Print the share of faults found, by kind and scorer, and the same for each series."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--half", choices=["even", "odd"], help="only these six series")
    parser.add_argument("--detectors", default="auto", help="ours, separated by commas")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    ours = options.detectors.split(",")
    found: dict[tuple[str, str, str], list[bool]] = {}
    for number, name in enumerate(SERIES):
        half = "odd" if number % 2 else "even"
        if options.half in (None, half):
            training, testing = normal_parts(options.data / f"{name}.npz")
            scorers = {each: detector_scorer(each, training) for each in ours}
            if not options.no_peers:
                scorers |= peers(training)
            for key, hits in measure(training, testing, scorers).items():
                found.setdefault((half, *key), []).extend(hits)
                print(name.split("/", 1)[1], *key, f"{np.mean(hits):.2f}", flush=True)
    for half in dict.fromkeys(key[0] for key in found):
        print_table({key[1:]: hits for key, hits in found.items() if key[0] == half}, half)


def normal_parts(path: Path) -> tuple[FloatArray, FloatArray]:
    """Return two thirds to learn from, and one to test on, of the longest normal stretch."""
    with np.load(path) as file:
        X, y = np.atleast_2d(file["X"].astype(np.float64).T).T, file["y"]
    anomalies = np.flatnonzero(np.r_[True, y > 0, True])
    longest = np.diff(anomalies).argmax()
    start, end = anomalies[longest], anomalies[longest + 1] - 1
    X = X[start : min(end, start + MOST_POINTS)]
    return X[: 2 * len(X) // 3], X[2 * len(X) // 3 :]


def measure(
    training: FloatArray, testing: FloatArray, scorers: dict[str, Scorer]
) -> dict[tuple[str, str], list[bool]]:
    """Return for each kind and scorer which of the planted faults are found."""
    found: dict[tuple[str, str], list[bool]] = {}
    limits = {name: np.quantile(score(testing), 1 - RATE) for name, score in scorers.items()}
    for kind in KINDS:
        if kind.name.startswith("cross") and training.shape[1] == 1:
            continue
        for X, places in planted(training, testing, kind):
            for name, score in scorers.items():
                high = score(X) > limits[name]
                hits = [bool(high[at : at + kind.length].any()) for at in places]
                found.setdefault((kind.name, name), []).extend(hits)
    return found


def planted(
    training: FloatArray, testing: FloatArray, kind: Kind
) -> Iterator[tuple[FloatArray, IntArray]]:
    """Yield copies of the testing part with faults in one channel each, and where they begin."""
    rng = np.random.default_rng(KINDS.index(kind))
    channels = channels_for(training, kind)
    if not len(channels):
        return
    room = len(testing) // FAULTS
    for _ in range(COPIES):
        X = testing.copy()
        places = room * np.arange(FAULTS) + rng.integers(50, room - 50 - kind.length, FAULTS)
        for at in places:
            channel = rng.choice(channels)
            own = testing[:, channel]
            span = slice(at, at + kind.length)
            X[span, channel] = kind.change(own[span], at, own, training[:, channel].std())
        yield X, places


def channels_for(training: FloatArray, kind: Kind) -> IntArray:
    """Return the channels in which such a fault is one: its size is unusual there.

    They move at most steps, by more than 2 sd at fewer than 1 of 1,000. Only what is periodic has
    a phase, and only a channel of which the others explain half of the variance a relation.
    """
    sd = training.std(axis=0)
    steps = np.abs(np.diff(training, axis=0))
    fit = (np.mean(steps > 0, axis=0) > 0.5) & (np.mean(steps > 2 * sd, axis=0) < 0.001)
    if kind.name.startswith("phase"):
        fit &= [is_periodic(x) for x in training.T]
    if kind.name.startswith("cross"):
        Z = (training - training.mean(axis=0)) / np.where(sd > 0, sd, 1)
        fit &= 1 / np.diag(np.linalg.inv(np.cov(Z.T) + 1e-3 * np.eye(len(sd)))) < 0.5
    return np.flatnonzero(fit)


def is_periodic(x: FloatArray) -> bool:
    """Return whether x is like itself a period later, and unlike itself half a period later."""
    period = dominant_period(x)
    correlation = autocorrelation(x, period)
    return bool(correlation[period] > 0.3 and correlation[period // 2] < 0)


def detector_scorer(name: str, training: FloatArray) -> Scorer:
    """Return the scores of one of our detectors."""
    detector = registry.create(name, "series").fit(training)
    assert isinstance(detector, SeriesDetector)
    return lambda X: detector.score(X).values


def peers(training: FloatArray) -> dict[str, Scorer]:
    """Return the scores of other packages, and of a rolling median."""
    return {
        "river HalfSpaceTrees": trees(training),
        "stumpy": profile(training),
        "rolling median": rolling_median(training),
    }


def trees(training: FloatArray) -> Scorer:
    """Return river's half-space trees; values are brought to the range that they take."""
    from river.anomaly import HalfSpaceTrees

    low, width = training.min(axis=0), np.ptp(training, axis=0)
    width[width == 0] = 1

    def events(X: FloatArray) -> list[dict[int, float]]:
        unit = np.clip((X - low) / width / 2 + 0.25, 0, 1)
        return [dict(enumerate(row)) for row in unit.tolist()]

    model = HalfSpaceTrees(seed=0)
    for event in events(training):
        model.learn_one(event)  # type: ignore[no-untyped-call]
    judge: Callable[[dict[int, float]], float] = model.score_one
    return lambda X: np.array([judge(event) for event in events(X)])


def profile(training: FloatArray, length: int = 50) -> Scorer:
    """Return the distance of each window to the nearest training window, by stumpy."""
    import stumpy

    def score(X: FloatArray) -> FloatArray:
        distances = [
            stumpy.stump(x, length, known, ignore_trivial=False)[:, 0].astype(np.float64)
            for x, known in zip(X.T.copy(), training.T.copy(), strict=True)
        ]
        mean = np.mean([np.nan_to_num(distance, posinf=0.0) for distance in distances], axis=0)
        return average_over_windows(mean, np.arange(len(mean)), length, len(X))

    return score


def rolling_median(training: FloatArray, width: int = 25) -> Scorer:
    """Return the distance to the median of the points around, in its own usual unit."""

    def far(X: FloatArray) -> FloatArray:
        return np.abs(X - median_filter(X, size=(width, 1)))

    usual = np.quantile(far(training), 0.9, axis=0)
    usual[usual == 0] = training.std(axis=0)[usual == 0]
    usual[usual == 0] = 1
    return lambda X: np.asarray((far(X) / usual).max(axis=1))


def print_table(found: dict[tuple[str, str], list[bool]], half: str) -> None:
    """Print the share found, a row per kind and a column per scorer."""
    scorers = list(dict.fromkeys(scorer for _, scorer in found))
    table = Table(title=f"Found at 1 % of false alarms, {half} series", title_justify="left")
    table.add_column("fault")
    for scorer in scorers:
        table.add_column(scorer, justify="right")
    table.add_column("planted", justify="right")
    for kind in dict.fromkeys(kind for kind, _ in found):
        hits = [found[kind, scorer] for scorer in scorers]
        shares = (f"{np.mean(own):.0%}" for own in hits)
        table.add_row(kind, *shares, str(len(hits[0])))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
