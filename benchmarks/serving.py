"""How fast and in how much memory a saved autoencoder serves, in torch and in onnxruntime.

    python benchmarks/serving.py

Trains on 10,000 rows of 8 columns, then serves in a process of its own for each runtime, on one
thread: a data frame is prepared, scored and decided upon with p-values. Prints rows a second of
the processor, in the fastest of many runs, by the size of a batch; the memory in use at the end;
and the largest difference of the scores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.pipeline import BasePipeline
    from tocsin.types import Decision

BATCHES = (1, 500, 4096)
SECONDS = 3.0
Runtime = Literal["torch", "onnx"]


def main() -> None:
    """Print a line for each runtime and size of batch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--step", choices=("train", "torch", "onnx"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "train":
        train(options.folder)
    elif options.step:
        serve(options.folder, options.step)
    else:
        with tempfile.TemporaryDirectory() as folder:
            names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
            for step in ("train", "torch", "onnx"):
                words = [sys.executable, __file__, "--step", step, "--folder", folder]
                subprocess.run(words, check=True, env={**os.environ, **dict.fromkeys(names, "1")})


def train(folder: Path) -> None:
    """Fit the pipeline and keep it."""
    from tocsin.pipeline import Pipeline

    Pipeline("autoencoder", false_alarms=0.001).fit(table(10_000)).save(folder / "model")


def serve(folder: Path, runtime: Runtime) -> None:
    """Serve batches with one runtime and print what it took."""
    import tocsin

    pipeline = tocsin.load(folder / "model", runtime="onnx" if runtime == "onnx" else None)
    for size in BATCHES:
        rows = table(size, seed=1)
        seconds = fastest(partial(answer, pipeline, rows))
        print(f"{runtime:6} batches of {size:>5,}: {size / seconds:>9,.0f} rows/s", end="")
        print(f" {1000 * seconds:7.2f} ms a batch")
    print(f"{runtime:6} {resident():.0f} MB resident, torch loaded: {'torch' in sys.modules}")
    scores = pipeline.score(table(4096, seed=1)).values
    if runtime == "torch":
        np.save(folder / "scores.npy", scores)
    else:
        apart = np.abs(scores / np.load(folder / "scores.npy") - 1).max()
        print(f"scores differ by at most {apart:.1g} of the score")


def answer(pipeline: BasePipeline, rows: pd.DataFrame) -> Decision:
    """Prepare, score, decide."""
    return pipeline.decide(pipeline.score(rows))


def fastest(run: Callable[[], object]) -> float:
    """Return the processor's seconds of the fastest run; on a busy machine others say little."""
    best, start = np.inf, time.perf_counter()
    while time.perf_counter() < start + SECONDS:
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return float(best)


def resident() -> float:
    """Return the memory in use by this process, MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return rows of 8 columns that depend on 3 factors."""
    import pandas as pd

    weights = np.random.default_rng(0).normal(size=(3, 8))
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 3)) @ weights + 0.3 * rng.normal(size=(rows, 8))
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(8)])


if __name__ == "__main__":
    main()
