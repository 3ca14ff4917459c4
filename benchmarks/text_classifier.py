"""F1 of a detector that learns from labelled texts, on a part that it has not seen.

    python benchmarks/text_classifier.py --data FILE.csv --seeds 0,1,2

FILE.csv has columns ``text,label`` (1 = anomaly). A stratified fifth is held out, by each seed.
The threshold is in the gap that is best, by F1, between the scores that the training texts get
from models which have not seen them; beside it stands that of even odds. No threshold is chosen
on the fifth. Texts of both parts may be the same: real messages repeat.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from tocsin import registry
from tocsin.evaluate.metrics import classification, ranking
from tocsin.types import FloatArray, IntArray, TextArray


def main() -> None:
    """Print a line a detector and seed, and the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--detectors", default="text_few_labels,text_classifier")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["TOCSIN_CACHE"] = "off"
    texts, labels = read(options.data)
    columns = ("F1 chosen", "F1 even", "ROC AUC", "average precision", "CPU s", "wall s")
    print(f"{'':24}{'seed':>5}" + "".join(f"{column:>11}" for column in columns))
    for name in options.detectors.split(","):
        rows = []
        for seed in map(int, options.seeds.split(",")):
            rows.append(measured(name, texts, labels, seed))
            print(f"{name:24}{seed:>5}" + "".join(f"{v:>11.3f}" for v in rows[-1]), flush=True)
        print(f"{name:24} mean" + "".join(f"{v:>11.3f}" for v in np.mean(rows, axis=0)))


def measured(name: str, X: TextArray, y: IntArray, seed: int) -> tuple[float, ...]:
    """Return F1 at the chosen threshold and at even odds, ROC AUC, average precision, seconds."""
    rows = np.arange(len(y))
    train, test = train_test_split(rows, test_size=0.2, stratify=y, random_state=seed)
    cpu, wall = time.process_time(), time.perf_counter()
    detector = registry.create(name, "text", seed=seed).fit(X[train], y[train])
    spent = time.process_time() - cpu, time.perf_counter() - wall
    scores = detector.score(X[test]).values
    chosen = best_threshold(y[train], detector.training_scores_)
    f1 = [classification(y[test], scores >= cut).f1 or 0.0 for cut in (chosen, 0.0)]
    ranks = ranking(y[test], scores)
    return (*f1, ranks.roc_auc or 0.0, ranks.average_precision or 0.0, *spent)


def best_threshold(y: IntArray, scores: FloatArray) -> float:
    """Return the middle of the gap between scores at which F1 is highest."""
    lowest = ranking(y, scores).best_f1_threshold or 0.0
    below = scores[scores < lowest]
    return (lowest + below.max()) / 2 if len(below) else lowest


def read(file: Path) -> tuple[TextArray, IntArray]:
    """Return the texts (n,) of a file and their labels (n,)."""
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    texts = np.empty(len(rows), dtype=object)
    texts[:] = [row["text"] for row in rows]
    return texts, np.array([int(row["label"]) for row in rows])


if __name__ == "__main__":
    main()
