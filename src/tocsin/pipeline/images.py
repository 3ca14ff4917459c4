"""The pipeline of images: images scored, anomalies shown with the places that are anomalous."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from tocsin.base import ImageDetector, check_labels
from tocsin.base.held_out import Relearn
from tocsin.decide import create as create_calibration
from tocsin.decide.calibration import NEVER
from tocsin.errors import InputError
from tocsin.explain.images import explain_map, explain_whole
from tocsin.pipeline.items import Found, ItemPipeline
from tocsin.prepare.images import ImagePreparer, ImageReading, PreparedImages
from tocsin.progress import reporting_to
from tocsin.types import (
    Explanation,
    ImageArray,
    ImageDetection,
    IntArray,
    MapArray,
    Region,
    Scores,
)

Maps = dict[int, MapArray | None]
"""Heat maps by the place of the image; None from a detector that has none."""


@dataclass(frozen=True, slots=True)
class ReadImages:
    """Images that could be read, and the heat maps of some."""

    read: PreparedImages
    maps: Maps = field(default_factory=dict)

    @property
    def items(self) -> ImageArray:
        """The images (n,)."""
        return self.read.images

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found and what was done."""
        return self.read.notes


class ImagePipeline(ItemPipeline[ReadImages, ImageDetection]):
    """From images to anomalies with the places that are anomalous, under a false-alarm budget.

    ``detector``: a name (see ``tocsin.detectors.names("images")``) or an untrained detector.
    ``training``: what the training images are: "clean" (good only), "mixed" (unlabelled, some
    anomalous) or "guess". ``false_alarms``: the share of good images that may be flagged; or
    ``alarms_per_day`` with ``rows_per_day``, which counts images. ``calibration``: see
    ``Pipeline``. ``reasons``: the regions named at most for each anomaly.

    Images are a path, of a folder or of an image, a list of paths and arrays, an array (n, rows,
    columns) or (n, rows, columns, channels), or a data frame with a column of paths. What cannot
    be read is skipped, and named in ``skipped``; rows and labels count it. Images are decoded a
    few at a time, so their number is not bounded by the memory. The maps of at most 200
    anomalies are kept.
    """

    modality = "images"
    item = "images"

    preparer_: ImagePreparer

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the scores (n,) of the images that can be read, with all their heat maps.

        y is ignored. Raises NotFitted, UnreadableFile, SchemaMismatch and InputError.
        """
        prepared, scores = self._scored(X, sys.maxsize)
        found = [heat for heat in prepared.maps.values() if heat is not None]
        return Scores(scores.values, np.stack(found) if found else None)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> ImageDetection:
        """Fit, and return the answer for the training images, each scored leaving itself out.

        Heat maps of anomalies come from a model that learned from the other images only.
        """
        prepared, known = self._learn(X, labels)
        found = self._training_found(prepared, known)
        if explain:
            maps = self._training_maps(found, known)
            found = replace(found, prepared=replace(prepared, maps=maps))
        return self._answer(found, explain=explain)

    def _new_preparer(self) -> ImagePreparer:
        return ImagePreparer()

    def _learn_preparation(self, preparer: ImagePreparer, X: Any) -> ReadImages:
        return ReadImages(preparer.fit_transform(X))

    def _prepare(self, X: Any) -> ReadImages:
        return self._scored(X)[0]

    def _known(self, prepared: ReadImages, labels: ArrayLike) -> IntArray:
        return check_labels(labels, prepared.read.given)[prepared.read.rows]

    @property
    def preparation_notes(self) -> list[str]:
        """What was found and skipped among the training images."""
        found = f"learned from {'; '.join(self.preparer_.notes_)}"
        return [found, *self.detector_.warnings_]

    def _calibrate(
        self,
        items: Any,
        known: IntArray | None,
        relearn: Relearn | None = None,
        *,
        novel: bool = False,
    ) -> None:
        # Of a handful of good images their shifted copies say more of what is usual.
        chosen = self.detector_.chosen
        if isinstance(chosen, ImageDetector) and (copies := chosen.copies_scores_) is not None:
            self.calibration_ = create_calibration(self.calibration).fit(copies)
        else:
            super()._calibrate(items, known, relearn, novel=novel)

    def _places(self, prepared: ReadImages, items: Sequence[Any] | IntArray) -> list[int]:
        place = {row: i for i, row in enumerate(prepared.read.rows.tolist())}
        for row in map(int, items):
            if row in place:
                continue
            skipped = {each.row: each for each in prepared.read.skipped}
            if (bad := skipped.get(row)) is not None:
                raise InputError(f"Row {row:,}, {bad.name}, {bad.reason}.")
            raise InputError(
                f"There are rows 0 to {prepared.read.given - 1:,}; there is no row {row:,}."
            )
        return [place[int(row)] for row in items]

    def _found(self, X: Any, explained: int | Sequence[Any] | IntArray = 0) -> Found[ReadImages]:
        return self._decided(*self._scored(X, explained))

    def _scored(
        self, X: Any, mapped: int | Sequence[Any] | IntArray = 0
    ) -> tuple[ReadImages, Scores]:
        """Return what was read, and its scores; ``mapped``: which maps are kept.

        A number stands for that many of the hottest images, else these rows.
        """
        detector = self._fitted().detector_
        wanted = None if isinstance(mapped, int) else {int(row) for row in mapped}
        most = mapped if isinstance(mapped, int) else len(mapped)
        reading = ImageReading(X)
        values: list[float] = []
        maps: Maps = {}
        for rows, block in reading.blocks("scoring"):
            with reporting_to(lambda *_: None):  # the reading reports its own progress
                scores = detector.score(block)
            for i, row in enumerate(rows):
                if wanted is None or row in wanted:
                    parts = scores.parts
                    maps[len(values)] = None if parts is None else parts[i].astype(np.float32)
                values.append(float(scores.values[i]))
            for place in sorted(maps, key=lambda place: -values[place])[most:]:
                del maps[place]
        return ReadImages(reading.prepared(), maps), Scores(np.array(values))

    def _training_maps(self, found: Found[ReadImages], known: IntArray | None) -> Maps:
        """Return the maps of the anomalies found in the training images."""
        images, flagged = found.prepared.items, found.decision.is_anomaly
        places = found.ranked()[: self.most_explained]
        detector = self.detector_
        # A model that has learned from an anomaly may know it by heart, and find no place hot.
        learned = ~flagged if known is None else ~flagged & (known == 0)
        if places and not (detector.uses_labels and known is not None) and learned.sum() > 1:
            detector = clone(detector).fit(images[learned])
        maps: Maps = {}
        for place in places:
            parts = detector.score(images[[place]]).parts
            maps[place] = None if parts is None else parts[0].astype(np.float32)
        return maps

    def _detection(
        self, found: Found[ReadImages], shown: Sequence[int], explained: Sequence[int]
    ) -> ImageDetection:
        read, decision = found.prepared.read, found.decision
        threshold = decision.threshold if decision.threshold < NEVER else np.inf
        maps: dict[int, MapArray] = {}
        explanations: dict[int, Explanation] = {}
        regions: dict[int, tuple[Region, ...]] = {}
        for place in explained:
            row, score = int(read.rows[place]), float(found.scores.values[place])
            if (heat := found.prepared.maps[place]) is None:
                explanations[row] = Explanation(row, explain_whole(score, threshold))
                continue
            size = (int(read.sizes[place, 0]), int(read.sizes[place, 1]))
            regions[row], why = explain_map(heat, size, score, threshold, self.reasons)
            explanations[row], maps[row] = Explanation(row, why), heat
        return ImageDetection(
            found.scores,
            decision,
            read.rows,
            explanations,
            found.notes,
            found.drift,
            images=read.images,
            names=read.names,
            sizes=read.sizes,
            maps=maps,
            regions=regions,
            skipped=read.skipped,
        )
