"""The benchmark of image detectors: what is good is learned, what is not is found and shown.

Detectors learn from the good training images alone, or from a few of them that the seed draws.
Sets are folders as ``image_sets`` says.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tocsin.errors import InputError, MissingExtra, ParameterError
from tocsin.evaluate.image_sets import GOOD, ImageSet, read_image_sets
from tocsin.evaluate.item_suite import Row, check_detectors, created, decided, print_means
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.pixels import pixel_metrics
from tocsin.evaluate.resident import PeakMemory
from tocsin.evaluate.threads import limited_threads
from tocsin.types import FloatArray, ImageArray, Scores

if TYPE_CHECKING:
    from rich.console import Console

_COLUMNS = {
    "image_auroc": ("image ROC", 100.0),
    "image_ap": ("AP", 100.0),
    "image_f1": ("F1", 100.0),
    "pixel_auroc": ("pixel ROC", 100.0),
    "pro": ("PRO", 100.0),
    "ms_per_image": ("ms/ image", 1.0),
    "fit_seconds": ("fit s", 1.0),
    "peak_mb": ("MB", 1.0),
}


def run_images(
    data: Path,
    detectors: Sequence[str] = ("auto",),
    seeds: Sequence[int] = (0,),
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
    shots: Sequence[int | None] = (None,),
    only: Collection[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Measure detectors on every set of a folder, or those named by ``only``.

    ``shots``: from how many good images they learn, None for all. Each detector gets those
    ``parameters`` that it has. Returns a row per set, shots, seed and detector: ``dataset``,
    ``shots``, ``seed``, ``detector``; ``image_auroc``, ``image_ap``, ``image_f1`` at the threshold
    of a false-alarm budget of 1 % by the training scores, ``best_f1`` at the one that the labels
    make best, ``pixel_auroc`` and ``pro`` (fractions; None for detectors without maps and sets
    without masks); ``ms_per_image`` when scoring files, decoding included; ``fit_seconds``;
    ``peak_mb``, the highest resident memory of the whole process meanwhile; ``defects``, the
    image AUROC by kind of defect; ``chosen``, why the detector does what it does, if it says so.
    A detector that fails has None there and the reason in ``error``. ``progress`` is called with
    each row when it is done.

    Raises UnknownName, MissingExtra and ParameterError for what cannot be asked for, and as
    ``read_image_sets`` for the folder.
    """
    given = check_detectors("images", detectors, parameters)
    if not seeds:
        raise ParameterError("Give at least one seed.")
    sets = read_image_sets(data, only).values()
    _check_shots(shots, sets)
    rows = []
    with limited_threads(threads):
        for images in sets:
            for few in shots:
                for seed in seeds:
                    X = _drawn(images.train, few, seed)
                    for name in detectors:
                        row = {"dataset": images.name, "shots": few, "seed": seed, "detector": name}
                        told = {"seed": seed, "training": "clean", **given}
                        rows.append(row | _measure(images, X, name, told))
                        if progress is not None:
                            progress(rows[-1])
    return rows


def print_images(rows: Sequence[Row], console: Console) -> None:
    """Print the means over seeds by set, those over sets, and failures."""
    named = [{**row, "shots": "all" if row["shots"] is None else row["shots"]} for row in rows]
    print_means(named, console, "shots", _COLUMNS, "Means; F1 at a threshold that knows no labels")


def _check_shots(shots: Sequence[int | None], sets: Collection[ImageSet]) -> None:
    if not shots or any(few is not None and few < 1 for few in shots):
        raise ParameterError("Shots are how many good images are learned from, 1 or more.")
    most = max((few for few in shots if few is not None), default=0)
    for images in sets:
        if most > len(images.train):
            raise InputError(
                f"{images.name} has {len(images.train)} images to learn from, not {most}."
            )


def _drawn(train: ImageArray, few: int | None, seed: int) -> ImageArray:
    """Return so many of the images, in their order; fewer by a seed are among more by it."""
    if few is None:
        return train
    chosen = np.random.default_rng(seed).permutation(len(train))[:few]
    drawn: ImageArray = train[np.sort(chosen)]
    return drawn


def _measure(images: ImageSet, X: ImageArray, name: str, told: Mapping[str, Any]) -> Row:
    row: Row = dict.fromkeys((*_COLUMNS, "best_f1", "defects", "chosen", "error"))
    try:
        detector = created("images", name, told)
        with warnings.catch_warnings(), PeakMemory() as memory:
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            detector.fit(X)
            fitted = time.perf_counter()
            scores = detector.score(images.test)
            end = time.perf_counter()
        # Sets of good images are too small to count 1 % in: the tail is extrapolated.
        found = decided(detector.training_scores_, scores.values, "extreme_value").is_anomaly
        row |= _by_image(images, scores.values) | _by_pixel(images, scores)
        row["image_f1"] = classification(images.labels, found).f1
    except MissingExtra:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a detector dies of is its result here
        return row | {"error": f"{type(error).__name__}: {error}"}
    return row | {
        "ms_per_image": 1000 * (end - fitted) / len(scores),
        "fit_seconds": fitted - start,
        "peak_mb": memory.mb,
        "chosen": getattr(detector, "reason_", None),
    }


def _by_image(images: ImageSet, values: FloatArray) -> Row:
    """Return how well scores (m,) tell the images apart, in all and by kind of defect."""
    labels, kinds = images.labels, np.array(images.kinds)
    ranks = ranking(labels, values)
    defects = {}
    for kind in sorted(set(images.kinds) - {GOOD}):
        these = (kinds == kind) | (labels == 0)
        defects[kind] = ranking(labels[these], values[these]).roc_auc
    return {
        "image_auroc": ranks.roc_auc,
        "image_ap": ranks.average_precision,
        "best_f1": ranks.best_f1,
        "defects": defects,
    }


def _by_pixel(images: ImageSet, scores: Scores) -> Row:
    if scores.parts is None or not images.located:
        return {}
    maps = np.asarray(scores.parts, dtype=np.float32)
    measured = pixel_metrics(maps, map(images.mask, range(len(scores))))
    return {"pixel_auroc": measured.roc_auc, "pro": measured.pro}
