"""Train Tocsin's autoencoder and PyOD's side by side: the same network, epochs and batches.

Both get one network of the same layer sizes (SiLU in Tocsin, ReLU in PyOD, which has no SiLU)
and the same number of gradient steps of the same batch size, without early stopping, on one
thread. Each is timed from raw
training rows to the scores of those rows. The rows are a random half of the normal ones
of each set; the other half and all anomalies are the test. Needs ``pip install
"tocsin[bench]"`` and a folder of ``NAME.npz`` with X (n, d) and y (n,), 1 = anomaly::

    python benchmarks/autoencoder_training.py --data DIR
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pyod.models.auto_encoder import AutoEncoder as PyodAutoEncoder
from sklearn.metrics import average_precision_score, roc_auc_score

from tocsin.detectors.tables.autoencoder import Autoencoder
from tocsin.nn.training import Schedule
from tocsin.types import FloatArray, IntArray


class FullLength(Autoencoder):
    """An autoencoder that trains for all its steps and checks ten times on the way."""

    def _schedule(self) -> Schedule:
        steps = self.steps
        return replace(super()._schedule(), check_every=max(steps // 10, 1), patience=steps)


def tocsin(
    train: FloatArray, test: FloatArray, options: argparse.Namespace
) -> tuple[float, FloatArray]:
    steps = options.epochs * -(-len(train) // options.batch_size)
    model = FullLength(
        latent=options.latent,
        width=options.width,
        members=1,
        steps=steps,
        batch_size=options.batch_size,
        device="cpu",
        seed=options.seed,
    )
    start = time.perf_counter()
    model._check_training(train)
    model._fit(train, None)  # ``fit`` would add refits for honest training scores
    model._score(train)
    return time.perf_counter() - start, model._score(test).values


def pyod(
    train: FloatArray, test: FloatArray, options: argparse.Namespace
) -> tuple[float, FloatArray]:
    model = PyodAutoEncoder(
        epoch_num=options.epochs,
        batch_size=options.batch_size,
        hidden_neuron_list=[options.width, options.width // 2, options.latent],
        hidden_activation_name="relu",
        batch_norm=False,
        dropout_rate=0.0,
        device="cpu",
        random_state=options.seed,
        verbose=0,
    )
    start = time.perf_counter()
    model.fit(train)
    return time.perf_counter() - start, np.asarray(model.decision_function(test), dtype=np.float64)


def clean_split(
    X: FloatArray, y: IntArray, options: argparse.Namespace
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return at most ``--rows`` normal rows to train on, and test rows with their labels."""
    normal = np.random.default_rng(options.seed).permutation(np.flatnonzero(y == 0))
    half = len(normal) // 2
    test = np.concatenate([normal[half:][: options.rows], np.flatnonzero(y == 1)])
    return X[normal[:half][: options.rows]], X[test], y[test]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", help="names of sets; all when left out")
    parser.add_argument("--rows", type=int, default=5000, help="most rows to train on")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--latent", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(1)
    warm_up = np.random.default_rng(0).normal(size=(2 * options.batch_size, 4))
    rows: list[list[float]] = []
    print(f"{'':16}{'Tocsin':>24}{'PyOD':>24}")
    print(f"{'set':16}" + f"{'s':>8}{'ROC AUC':>8}{'AP':>8}" * 2 + f"{'ratio':>8}")
    for model in (tocsin, pyod):
        model(warm_up, warm_up, options)
    for path in sorted(options.data.glob("*.npz")):
        if options.sets and path.stem not in options.sets:
            continue
        with np.load(path) as file:
            X, y = file["X"].astype(np.float64), file["y"].astype(np.int64)
        train, test, labels = clean_split(X, y, options)
        row: list[float] = []
        for model in (tocsin, pyod):
            seconds, scores = model(train, test, options)
            row += [seconds, roc_auc_score(labels, scores), average_precision_score(labels, scores)]
        rows.append([*row, row[3] / row[0]])
        show(path.stem, rows[-1])
    total = np.array(rows)
    show("mean", [*total[:, :6].mean(axis=0), total[:, 3].sum() / total[:, 0].sum()])


def show(name: str, row: list[float]) -> None:
    ours, theirs = (
        f"{s:8.2f}{100 * roc:8.1f}{100 * pr:8.1f}" for s, roc, pr in (row[:3], row[3:6])
    )
    print(f"{name:16}{ours}{theirs}{row[6]:8.1f}", flush=True)


if __name__ == "__main__":
    main()
