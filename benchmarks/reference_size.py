"""What a bounded reference set costs ``local_geometry`` in accuracy.

    python benchmarks/reference_size.py --data FOLDER

On each set of FOLDER with more than 20,000 rows it learns from half of the normal rows, bounded
to several sizes, and ranks 10,000 of the other rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from tocsin.detectors.tables.local_geometry import LocalGeometry
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.sets.tables import TableSet, cut, read_sets
from tocsin.evaluate.threads import limited_threads

SIZES = (2_500, 5_000, 10_000, 20_000, 40_000)


def main() -> None:
    """Print ROC AUC and average precision ×100 of every set and size, and their means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    print("set".ljust(16), *(f"{size:>12,}" for size in SIZES))
    results = []
    with limited_threads(1):
        for table in read_sets(options.data):
            if len(table.X) > 20_000:
                results.append([measure(table, size) for size in SIZES])
                _print(table.name, results[-1])
    _print("mean", np.mean(results, axis=0).tolist())


def measure(table: TableSet, size: int) -> tuple[float, float]:
    """Return ROC AUC and average precision with a reference of this size."""
    normal = np.random.default_rng(0).permutation(np.flatnonzero(table.y == 0))
    train, rest = normal[: len(normal) // 2], normal[len(normal) // 2 :]
    test = np.concatenate([rest, np.flatnonzero(table.y == 1)])
    test = test[cut(table.y[test], seed=0)]
    detector = LocalGeometry(max_reference=size)
    detector._check_training(table.X[train[:2]])
    detector._fit(table.X[train], None)  # ``fit`` would score the training rows too
    result = ranking(table.y[test], detector._score(table.X[test]).values)
    assert result.roc_auc is not None
    assert result.average_precision is not None
    return result.roc_auc, result.average_precision


def _print(name: str, results: list[tuple[float, float]]) -> None:
    cells = (f"{100 * roc:.1f} / {100 * pr:.1f}" for roc, pr in results)
    print(name.ljust(16), *(f"{cell:>12}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
