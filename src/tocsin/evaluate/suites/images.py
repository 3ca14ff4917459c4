"""The benchmark of image detectors: trained on good images, tested on good and defective ones.

Detectors learn from the good training images alone, or from a few of them that the seed draws.
Sets are folders as ``evaluate.sets.images`` describes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from tocsin.base import Detector
from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.metrics.pixels import pixel_metrics
from tocsin.evaluate.resident import PeakMemory
from tocsin.evaluate.sets.images import GOOD, ImageSet, read_image_sets
from tocsin.evaluate.suites.base import Column, Row, Stopwatch, Suite, check_seeds, decide_by
from tocsin.types import FloatArray, ImageArray, Scores

if TYPE_CHECKING:
    from rich.console import Console


class ImageTask(NamedTuple):
    """A set, and the good images X (n,) to learn from: ``shots`` of them, or all for None."""

    images: ImageSet
    shots: int | None
    seed: int
    X: ImageArray


@dataclass(frozen=True)
class ImageSuite(Suite[ImageTask]):
    """Measures detectors on every set of a folder, or those named by ``only``.

    ``shots``: from how many good images they learn, None for all. Each detector gets those
    ``parameters`` that it has. Measured are ``roc_auc`` and ``average_precision`` of the images;
    ``f1`` at the threshold of a false-alarm budget of 1 % by the training scores, ``best_f1`` at
    the one that the labels make best; ``pixel_roc_auc`` and ``pro`` (fractions; None for detectors
    without maps and sets without masks); ``ms_per_image`` when scoring files, decoding included;
    ``fit_seconds``; ``peak_mb``, the highest resident memory of the whole process meanwhile;
    ``defects``, the ROC AUC of images by kind of defect; ``chosen``, why the detector does what it
    does, if it states that.

    Raises ParameterError without a seed, or for shots below 1.
    """

    modality: ClassVar[str] = "images"
    title: ClassVar[str] = "Means; F1 at a threshold set without labels"
    by: ClassVar[str] = "shots"
    columns: ClassVar[Mapping[str, Column]] = {
        "roc_auc": Column("image ROC AUC"),
        "average_precision": Column("average precision"),
        "f1": Column("F1"),
        "pixel_roc_auc": Column("pixel ROC AUC"),
        "pro": Column("PRO"),
        "ms_per_image": Column("ms/ image", 1.0, 0),
        "fit_seconds": Column("fit s", 1.0, 0),
        "peak_mb": Column("MB", 1.0, 0),
    }
    measures: ClassVar[tuple[str, ...]] = (*columns, "best_f1", "defects", "chosen")

    data: Path
    seeds: Sequence[int] = (0,)
    shots: Sequence[int | None] = (None,)
    only: Collection[str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        if not self.shots or any(few is not None and few < 1 for few in self.shots):
            raise ParameterError("Shots are how many good images are learned from, 1 or more.")

    def tasks(self) -> Iterator[ImageTask]:
        """Yield every set with every number of shots and seed.

        Raises as ``read_image_sets`` does, and InputError for a set with fewer images than shots.
        """
        sets = read_image_sets(self.data, self.only).values()
        most = max((few for few in self.shots if few is not None), default=0)
        for images in sets:
            if most > len(images.train):
                raise InputError(
                    f"{images.name} has {len(images.train)} images to learn from, not {most}."
                )
        for images in sets:
            for few in self.shots:
                for seed in self.seeds:
                    yield ImageTask(images, few, seed, _draw_shots(images.train, few, seed))

    def describe(self, task: ImageTask) -> Row:
        """Return set, shots and seed."""
        return {"dataset": task.images.name, "shots": task.shots, "seed": task.seed}

    def measure(self, task: ImageTask, detector: str | Detector) -> Row:
        """Return measures of a new detector; see the class."""
        made, watch = self.create(detector, seed=task.seed, training="clean"), Stopwatch()
        with PeakMemory() as memory:
            made.fit(task.X)
            fit_seconds = watch.lap()
            scores = made.score(task.images.test)
            seconds = watch.lap()
        # Sets of good images are too small to count 1 % in: the tail is extrapolated.
        found = decide_by(made.training_scores_, scores.values, "extreme_value").is_anomaly
        return {
            **_by_image(task.images, scores.values),
            **_by_pixel(task.images, scores),
            "f1": classification(task.images.labels, found).f1,
            "ms_per_image": 1000 * seconds / len(scores),
            "fit_seconds": fit_seconds,
            "peak_mb": memory.mb,
            "chosen": made.reason_ or None,
        }

    def print(self, rows: Sequence[Row], console: Console) -> None:
        """Print means by shots and set, and the failures."""
        super().print([row | {"shots": row["shots"] or "all"} for row in rows], console)


def _draw_shots(train: ImageArray, few: int | None, seed: int) -> ImageArray:
    """Return ``few`` of the images, in their order; by one seed, fewer are among more."""
    if few is None:
        return train
    chosen = np.random.default_rng(seed).permutation(len(train))[:few]
    drawn: ImageArray = train[np.sort(chosen)]
    return drawn


def _by_image(images: ImageSet, values: FloatArray) -> Row:
    """Return how well scores (m,) rank the images, over all and by kind of defect."""
    labels, kinds = images.labels, np.array(images.kinds)
    ranks = ranking(labels, values)
    defects = {}
    for kind in sorted(set(images.kinds) - {GOOD}):
        these = (kinds == kind) | (labels == 0)
        defects[kind] = ranking(labels[these], values[these]).roc_auc
    return {
        "roc_auc": ranks.roc_auc,
        "average_precision": ranks.average_precision,
        "best_f1": ranks.best_f1,
        "defects": defects,
    }


def _by_pixel(images: ImageSet, scores: Scores) -> Row:
    if scores.parts is None or not images.located:
        return {}
    maps = np.asarray(scores.parts, dtype=np.float32)
    measured = pixel_metrics(maps, map(images.mask, range(len(scores))))
    return {"pixel_roc_auc": measured.roc_auc, "pro": measured.pro}
