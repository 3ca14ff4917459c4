"""How long and how much memory tables of a size take: fitting, scoring, streaming.

    python benchmarks/scale.py --rows 1000000

Runs each step in a process of its own, on one thread, and prints seconds and peak memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tocsin.types import FloatArray

COLUMNS = 20


def main() -> None:
    """Print a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        start = time.perf_counter()
        STEPS[options.step](options.folder, options.rows)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{options.step:40} {options.rows:>10,} rows {seconds:8.1f} s {peak:7.0f} MB peak")
        return
    with tempfile.TemporaryDirectory() as folder:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        plan = [("small", 10_000), ("write", options.rows)]
        plan += [("fit", options.rows), ("score", options.rows)]
        for step, rows in plan:
            words = [sys.executable, __file__, "--step", step, "--rows", str(rows)]
            subprocess.run([*words, "--folder", folder], check=True, env={**os.environ, **threads})


def small(_: Path, rows: int) -> None:
    """Fit and score as many rows with auto."""
    from tocsin.pipeline import Pipeline

    X = _table(rows)
    Pipeline("auto", training="clean").fit(X).score(X)


def write(folder: Path, rows: int) -> None:
    """Write the table as Parquet."""
    import pandas as pd

    columns = [f"x{i}" for i in range(COLUMNS)]
    pd.DataFrame(_table(rows), columns=columns).to_parquet(folder / "table.parquet")


def fit(folder: Path, _: int) -> None:
    """Fit auto on the whole table and keep the model."""
    import pandas as pd

    from tocsin.pipeline import Pipeline

    frame = pd.read_parquet(folder / "table.parquet")
    Pipeline("auto", training="clean").fit(frame).save(folder / "model")


def score(folder: Path, _: int) -> None:
    """Score the file in chunks, as ``tocsin score`` does."""
    from tocsin.cli import score as command

    command.score(folder / "model", folder / "table.parquet", folder / "scores.parquet")


def _table(rows: int) -> FloatArray:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(rows, 5)) @ rng.normal(size=(5, COLUMNS))
    return factors + rng.normal(size=(rows, COLUMNS))


STEPS = {"small": small, "write": write, "fit": fit, "score": score}

if __name__ == "__main__":
    main()
