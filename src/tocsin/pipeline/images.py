"""The pipeline of images: images scored, anomalies shown with the places that made them such."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from tocsin.base import Detector, check_labels
from tocsin.decide import create as create_calibration
from tocsin.decide.calibration import NEVER
from tocsin.errors import InputError
from tocsin.explain.images import explain_map, whole
from tocsin.pipeline.base import BasePipeline
from tocsin.pipeline.tables import Training
from tocsin.prepare.images import ImagePreparer, ImageReading, PreparedImages
from tocsin.progress import reporting_to
from tocsin.types import (
    Decision,
    Detection,
    Explanation,
    ImageDetection,
    IntArray,
    MapArray,
    Region,
    Scores,
)

MOST_EXPLAINED = 200
"""Anomalies explained at most in one call, the most anomalous ones; only their maps are kept."""

Maps = dict[int, MapArray | None]
"""Heat maps by the place of the image; None from a detector that has none."""


class ImagePipeline(BasePipeline):
    """From images to anomalies with the places that made them such, under a false-alarm budget.

    ``detector``: a name (see ``tocsin.detectors.names("images")``) or an untrained detector.
    ``training``: what the training images are: "clean" (good only), "mixed" (unlabelled, some
    anomalous) or "guess". ``false_alarms``: the share of good images that may be flagged; or
    ``alarms_per_day`` with ``rows_per_day``, which counts images. ``calibration``: see
    ``Pipeline``. ``reasons``: the regions named at most for each anomaly.

    Images are a path, of a folder or of an image, a list of paths and arrays, an array (n, rows,
    columns) or (n, rows, columns, channels), or a data frame with a column of paths. What cannot
    be read is skipped, and named in ``skipped``; rows and labels count it. Images are decoded a
    few at a time, so their number is not bounded by the memory.
    """

    modality = "images"
    item = "images"

    preparer_: ImagePreparer

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        training: Training = "guess",
        false_alarms: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        calibration: str = "extreme_value",
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.training = training
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.calibration = calibration
        self.reasons = reasons
        self.seed = seed

    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal from images; y is ignored.

        ``labels``, one an image given, 1 = anomaly, are used. Raises UnreadableFile for a path
        that is not there, SchemaMismatch for a frame without paths, InputError for images none of
        which can be read, and ParameterError for settings that cannot work.
        """
        self._learn(X, labels)
        return self

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the scores (n,) of the images that can be read, with all their heat maps.

        y is ignored. Raises NotFitted, UnreadableFile, SchemaMismatch and InputError.
        """
        _, scores, maps = self._scored(X)
        found = [heat for heat in maps.values() if heat is not None]
        return Scores(scores.values, np.stack(found) if found else None)

    def detect(self, X: Any, *, explain: bool = True) -> ImageDetection:
        """Return scores and decisions for new images, and where the anomalies are such.

        Explains at most the 200 most anomalous ones. Raises as ``score`` does.
        """
        prepared, scores, maps = self._scored(X, most=MOST_EXPLAINED if explain else 0)
        decision = self.decide(scores)
        maps = {place: heat for place, heat in maps.items() if decision.is_anomaly[place]}
        drift = self._drifting(decision)
        notes = prepared.notes if drift is None else (*prepared.notes, str(drift))
        found = self._detection(prepared, scores, decision, maps, notes)
        return found if drift is None else replace(found, drift=drift)

    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> ImageDetection:
        """Fit, and return the answer for the training images, each scored leaving itself out.

        Heat maps of anomalies come from a model that learned from the other images only.
        """
        prepared, known = self._learn(X, labels)
        scores = Scores(self.detector_.training_scores_)
        decision = self._decide_training(self._counted(known), scores.values, known)
        maps = self._training_maps(prepared, scores, decision, known) if explain else {}
        return self._detection(prepared, scores, decision, maps, ())

    def explain(self, X: Any, rows: Sequence[int] | IntArray | None = None) -> ImageDetection:
        """Return the answer with regions for these rows of X, or for the anomalies.

        Raises InputError for a row that is not there or cannot be read, and as ``score`` does.
        """
        if rows is None:
            return self.detect(X)
        wanted = {int(row) for row in rows}
        prepared, scores, maps = self._scored(X, wanted)
        if beyond := sorted(wanted - set(prepared.rows.tolist())):
            skipped = {each.row: each for each in prepared.skipped}
            if (bad := skipped.get(beyond[0])) is not None:
                raise InputError(f"Row {beyond[0]:,}, {bad.name}, {bad.reason}.")
            raise InputError(
                f"There are rows 0 to {prepared.given - 1:,}; there is no row {beyond[0]:,}."
            )
        return self._detection(prepared, scores, self.decide(scores), maps, prepared.notes)

    @property
    def columns(self) -> list[str]:
        """Images have no columns: an empty list."""
        return []

    @property
    def preparation_notes(self) -> list[str]:
        """What was found and skipped among the training images."""
        found = f"learned from {'; '.join(self.preparer_.notes_)}"
        return [found, *getattr(self.detector_, "warnings_", [])]

    def _learn(self, X: Any, labels: ArrayLike | None) -> tuple[PreparedImages, IntArray | None]:
        detector = self._new_detector(seed=self.seed, training=self.training)
        preparer = ImagePreparer()
        prepared = preparer.fit_transform(X)
        known = None if labels is None else check_labels(labels, prepared.given)[prepared.rows]
        self.detector_ = detector.fit(prepared.images, known)
        self.preparer_ = preparer
        # Of a handful of good images their shifted copies say more of what is usual.
        taken = getattr(self.detector_, "chosen_", self.detector_)
        if (copies := getattr(taken, "copies_scores_", None)) is not None:
            self.calibration_ = create_calibration(self.calibration).fit(copies)
        else:
            self._calibrate(prepared.images, known)
        return prepared, known

    def _scored(
        self, X: Any, wanted: set[int] | None = None, most: int = sys.maxsize
    ) -> tuple[PreparedImages, Scores, Maps]:
        """Return what was read, its scores, and the maps of the hottest.

        ``wanted``: rows whose maps alone are kept.
        """
        detector = self._fitted().detector_
        reading = ImageReading(X)
        values: list[float] = []
        maps: Maps = {}
        for rows, block in reading.blocks("scoring"):
            with reporting_to(lambda *_: None):  # the reading tells how far it is
                scores = detector.score(block)
            for i, row in enumerate(rows):
                if wanted is None or row in wanted:
                    parts = scores.parts
                    maps[len(values)] = None if parts is None else parts[i].astype(np.float32)
                values.append(float(scores.values[i]))
            for place in sorted(maps, key=lambda place: -values[place])[most:]:
                del maps[place]
        return reading.prepared(), Scores(np.array(values)), maps

    def _training_maps(
        self, prepared: PreparedImages, scores: Scores, decision: Decision, known: IntArray | None
    ) -> Maps:
        """Return the maps of the anomalies found in the training images."""
        every: IntArray = np.arange(len(scores))
        places = Detection(scores, decision, every).anomalies[:MOST_EXPLAINED]
        detector = self.detector_
        # A model that has learned from an anomaly may know it by heart, and find no place hot.
        learned = ~decision.is_anomaly if known is None else ~decision.is_anomaly & (known == 0)
        if len(places) and not (detector.uses_labels and known is not None) and learned.sum() > 1:
            detector = clone(detector).fit(prepared.images[learned])
        maps: Maps = {}
        for place in places.tolist():
            parts = detector.score(prepared.images[[place]]).parts
            maps[place] = None if parts is None else parts[0].astype(np.float32)
        return maps

    def _detection(
        self,
        prepared: PreparedImages,
        scores: Scores,
        decision: Decision,
        maps: Maps,
        notes: tuple[str, ...],
    ) -> ImageDetection:
        """Return the answer, with explanations of the images whose maps there are."""
        threshold = decision.threshold if decision.threshold < NEVER else np.inf
        explanations: dict[int, Explanation] = {}
        regions: dict[int, tuple[Region, ...]] = {}
        for place, heat in maps.items():
            row, score = int(prepared.rows[place]), float(scores.values[place])
            if heat is None:
                explanations[row] = Explanation(row, whole(score, threshold))
                continue
            size = (int(prepared.sizes[place, 0]), int(prepared.sizes[place, 1]))
            regions[row], why = explain_map(heat, size, score, threshold, self.reasons)
            explanations[row] = Explanation(row, why)
        return ImageDetection(
            scores,
            decision,
            prepared.rows,
            explanations,
            tuple(dict.fromkeys([*self.notes_, *notes])),
            images=prepared.images,
            names=prepared.names,
            sizes=prepared.sizes,
            maps={int(prepared.rows[i]): heat for i, heat in maps.items() if heat is not None},
            regions=regions,
            skipped=prepared.skipped,
        )

    def _state(self) -> dict[str, Any]:
        return {
            "detector": self.detector_.get_state(),
            "calibration": self.calibration_.get_state(),
            "preparer": self.preparer_.get_state(),
        }

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self.detector_ = self._new_detector().set_state(state["detector"])
        self.calibration_ = create_calibration(self.calibration).set_state(state["calibration"])
        self.preparer_ = ImagePreparer().set_state(state["preparer"])
