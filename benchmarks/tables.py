"""Tocsin's detectors beside PyOD's, on the same sets, splits and machine, in one run.

    python benchmarks/tables.py --data FOLDER --seeds 0,1,2 --json out/tables.json

FOLDER holds NAME.npz files with X (n, d) and y (n,). Every detector sees the same prepared
rows on one thread. ``--most-rows`` leaves out sets with more rows, which PyOD's neural
detectors need; the sets that are left out are named.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from tocsin.errors import InputError
from tocsin.evaluate.compare import compare, print_comparison
from tocsin.evaluate.sets.tables import Protocol, read_sets
from tocsin.evaluate.suites.tables import TableSuite
from tocsin.files import write_atomically

FAST: dict[Protocol, list[str]] = {
    "clean": [
        "auto", "neighbours", "isolation_forest", "gaussian_mixture", "pca", "ecod", "copod",
        "hbos", "lof", "ocsvm", "mcd", "pyod:KNN", "pyod:LOF", "pyod:IForest", "pyod:GMM",
        "pyod:PCA", "pyod:ECOD", "pyod:COPOD", "pyod:HBOS", "pyod:OCSVM", "pyod:MCD",
    ],
    "mixed": [
        "auto", "neighbours", "isolation_forest", "gaussian_mixture", "pca", "ecod", "copod",
        "hbos", "pyod:KNN", "pyod:IForest", "pyod:PCA", "pyod:ECOD", "pyod:COPOD", "pyod:HBOS",
    ],
}  # fmt: skip
NEURAL = [
    "autoencoder", "vae", "gan", "deep_svdd", "denoising", "pca",
    "pyod:AutoEncoder", "pyod:VAE", "pyod:ALAD", "pyod:DeepSVDD",
]  # fmt: skip


def main() -> None:
    """Run the suites and print the means, ranks and Wilcoxon tests against auto."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--protocol", choices=["clean", "mixed"], default="clean")
    parser.add_argument("--detectors", help="names separated by commas, instead of the defaults")
    parser.add_argument("--neural", action="store_true", help="the neural detectors")
    parser.add_argument("--most-rows", type=int, default=10**9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    names = options.detectors.split(",") if options.detectors else None
    detectors = names or (NEURAL if options.neural else FAST[options.protocol])
    small = [table.name for table in read_sets(options.data) if len(table.X) <= options.most_rows]
    seeds = [int(seed) for seed in options.seeds.split(",")]
    console = Console()
    console.print(f"{len(small)} sets: {', '.join(small)}")
    suite = TableSuite(options.data, options.protocol, seeds, frozenset(small))
    rows = suite.run(detectors, _print_row)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.json, json.dumps(rows, indent=1))
    suite.print(rows, console)
    for ours, theirs in PAIRS.items():
        if {ours, theirs} <= set(detectors):
            pair = [row for row in rows if row["detector"] in (ours, theirs)]
            try:
                print_comparison(compare(pair, "roc_auc", baseline=theirs), console)
            except InputError as error:
                console.print(f"{ours} and {theirs}: {error}")


PAIRS = {
    "autoencoder": "pyod:AutoEncoder",
    "vae": "pyod:VAE",
    "gan": "pyod:ALAD",
    "deep_svdd": "pyod:DeepSVDD",
    "neighbours": "pyod:KNN",
    "lof": "pyod:LOF",
    "isolation_forest": "pyod:IForest",
    "gaussian_mixture": "pyod:GMM",
    "pca": "pyod:PCA",
    "ecod": "pyod:ECOD",
    "copod": "pyod:COPOD",
    "hbos": "pyod:HBOS",
    "ocsvm": "pyod:OCSVM",
    "mcd": "pyod:MCD",
}


def _print_row(row: dict[str, Any]) -> None:
    roc = "failed" if row["error"] else f"{row['roc_auc']:.3f}"
    print(row["dataset"], row["seed"], row["detector"], roc, flush=True)


if __name__ == "__main__":
    main()
