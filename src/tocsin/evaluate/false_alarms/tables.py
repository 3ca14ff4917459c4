"""Promised against measured false alarms on normal rows of tables, split at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from scipy.stats import binom

from tocsin import registry
from tocsin.errors import ParameterError
from tocsin.evaluate.sets.tables import read_sets
from tocsin.evaluate.suites.base import Row, check_seeds, quiet
from tocsin.evaluate.threads import limited_threads
from tocsin.pipeline import Pipeline
from tocsin.types import Scores

if TYPE_CHECKING:
    from rich.console import Console


def run_false_alarms(
    data: Path,
    budgets: Sequence[float] = (0.01, 0.05),
    seeds: Sequence[int] = (0,),
    detectors: Sequence[str] = ("auto",),
    train_share: float = 0.8,
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
) -> list[Row]:
    """Measure how many unseen normal rows are flagged, against the budget that was set.

    Trains on a share of the normal rows (or as the set comes split) and decides on the
    others. Returns a row per set, seed, detector and budget: ``normals`` unseen, ``alarms``,
    ``rate``, the binomial 95 % band of the count as ``low`` and ``high``, and ``within``.
    Raises UnknownName, ParameterError without a detector or a seed, InputError and
    UnreadableFile for the folder.
    """
    if not detectors:
        raise ParameterError("Give at least one detector to measure.")
    for name in detectors:
        registry.find(name)
    check_seeds(seeds)
    rows = []
    with limited_threads(threads):
        for table in read_sets(data):
            for seed in seeds:
                train, unseen = table.normal(train_share, seed)
                for name in detectors:
                    pipeline = Pipeline(name, training="clean", seed=seed)
                    with quiet():
                        scores = pipeline.fit(train).score(unseen)
                    for budget in budgets:
                        row = {"dataset": table.name, "seed": seed, "detector": name}
                        row |= {"budget": budget, **_alarms(pipeline, scores, budget)}
                        rows.append(row)
                        if progress is not None:
                            progress(row)
    return rows


def summarise_false_alarms(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Return, per detector and budget, the mean rate and the share of runs within the band."""
    frame = pd.DataFrame([dict(row) for row in rows])
    grouped = frame.groupby(["detector", "budget"], sort=False)
    summary = grouped.agg(runs=("within", "size"), rate=("rate", "mean"), within=("within", "mean"))
    return [
        {str(key): value for key, value in row.items()}
        for row in summary.reset_index().to_dict(orient="records")
    ]


def print_false_alarms(rows: Sequence[Row], console: Console) -> None:
    """Print how false alarms kept to their budgets, and the runs that left the band."""
    from rich.table import Table

    table = Table(title="False alarms on unseen normal rows", title_justify="left")
    table.add_column("detector")
    for name in ("budget", "mean rate", "runs", "within the 95 % band"):
        table.add_column(name, justify="right")
    for entry in summarise_false_alarms(rows):
        shares = [f"{entry[name]:.2%}" for name in ("budget", "rate")]
        table.add_row(entry["detector"], *shares, str(entry["runs"]), f"{entry['within']:.0%}")
    console.print(table)
    for row in rows:
        if not row["within"]:
            console.print(
                f"{row['detector']}, {row['dataset']}, seed {row['seed']}: {row['alarms']} of "
                f"{row['normals']} flagged at {row['budget']:.0%}; the band is "
                f"{row['low']} to {row['high']}."
            )


def _alarms(pipeline: Pipeline, scores: Scores, budget: float) -> Row:
    decision = pipeline.set_params(false_alarms=budget).decide(scores)
    count, alarms = len(scores), int(decision.is_anomaly.sum())
    low, high = (int(edge) for edge in binom.interval(0.95, count, budget))
    return {
        "normals": count,
        "alarms": alarms,
        "rate": alarms / count,
        "low": low,
        "high": high,
        "within": low <= alarms <= high,
    }
