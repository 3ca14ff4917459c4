"""The benchmark of text detectors: three protocols over labelled texts.

A folder holds one set per file: ``NAME.csv`` with the columns ``text`` and ``label``,
1 = anomaly.

- normal_only: train on a random half of the normal texts, test on the others.
- unlabelled: fit on all texts, and rank them by their training scores.
- five_labels: as normal_only, with five anomalies among the training texts, labelled.

Embeddings that are kept on disk are not computed again, which makes the items per second look
better: set ``TOCSIN_CACHE=off`` where these matter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tocsin.errors import InputError
from tocsin.evaluate.suites.items import ItemSuite, ItemTask, read_labelled
from tocsin.types import IntArray, TextArray

PROTOCOLS = ("normal_only", "unlabelled", "five_labels")
LABELLED = 5


@dataclass(frozen=True)
class TextSuite(ItemSuite):
    """Measures detectors on every set of a folder, or those named by ``only``."""

    modality = "text"
    known_protocols = PROTOCOLS

    def tasks(self) -> Iterator[ItemTask]:
        """Yield every set by every protocol and seed; raises as ``read_texts`` does."""
        for name, (X, labels) in read_texts(self.data, self.only).items():
            for protocol in self.chosen:
                for seed in self.seeds:
                    yield text_task(name, protocol, seed, X, labels)


def read_texts(
    data: Path, only: Collection[str] | None = None
) -> dict[str, tuple[TextArray, IntArray]]:
    """Return the texts (n,) and labels (n,) of each set of a folder, or of those named.

    Raises InputError when there is none, UnreadableFile naming a file that is not a set.
    """
    paths = sorted(Path(data).glob("*.csv"), key=lambda path: path.name.lower())
    chosen = [path for path in paths if only is None or path.stem in only]
    if not chosen:
        known = ", ".join(path.stem for path in paths) or "none"
        raise InputError(f"{data} holds none of these sets (NAME.csv); it has: {known}.")
    return {path.stem: read_labelled(path, "text", "label") for path in chosen}


def text_task(dataset: str, protocol: str, seed: int, X: TextArray, labels: IntArray) -> ItemTask:
    """Return what a protocol makes of texts X (n,) and their labels (n,).

    Raises InputError for fewer than six anomalies where five are to be learned from.
    """
    if protocol == "unlabelled":
        return ItemTask(dataset, protocol, seed, X, labels, training="mixed")
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(labels == 0))
    learned = np.sort(normal[: len(normal) // 2])
    if protocol == "five_labels":
        anomalies = rng.permutation(np.flatnonzero(labels == 1))
        if len(anomalies) <= LABELLED:
            raise InputError(f"{dataset} has {len(anomalies)} anomalies; more than 5 are needed.")
        learned = np.sort(np.concatenate([learned, anomalies[:LABELLED]]))
    tested = np.setdiff1d(np.arange(len(X)), learned)
    task = ItemTask(dataset, protocol, seed, X[learned], labels[tested], X[tested])
    if protocol == "five_labels":
        return replace(task, y=labels[learned])
    return replace(task, training="clean")
