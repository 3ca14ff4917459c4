"""The pipeline of beats: files of one beat per line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.base import Stateful
from tocsin.pipeline.items import Found, ItemPipeline, PreparedItems
from tocsin.types import Detection, Explanation, Reason

NAMES = ("mean interval", "spread")


class BeatPreparer(Stateful):
    """Reads intervals from the lines of a file, or takes lists of them."""

    notes_: list[str]

    def fit_transform(self, X: Any) -> Any:
        """Return the beats of training."""
        beats, self.notes_ = self.prepare(X)
        return beats

    def prepare(self, X: Any) -> tuple[Any, list[str]]:
        """Return beats, and how many there are."""
        if isinstance(X, Path):
            X = X.read_text(encoding="utf-8").splitlines()
        beats = np.empty(len(X), dtype=object)
        for i, beat in enumerate(X):
            values = beat.split() if isinstance(beat, str) else beat
            beats[i] = np.asarray(values, dtype=np.float64)
        return beats, [f"{len(beats)} beats"]


class PulsePipeline(ItemPipeline[PreparedItems, Detection]):
    """From beats to anomalies with the feature that made them anomalous."""

    modality = "pulses"
    item = "beats"

    def _new_preparer(self) -> BeatPreparer:
        return BeatPreparer()

    def _detection(
        self, found: Found[PreparedItems], shown: Sequence[int], explained: Sequence[int]
    ) -> Detection:
        features = [
            (float(beat.mean()), float(beat.std())) for beat in found.prepared.items[explained]
        ]
        explanations = {
            place: Explanation(
                place,
                tuple(
                    Reason(name, seen, float(usual), 0.5)
                    for name, seen, usual in zip(NAMES, values, self.detector_.centre_, strict=True)
                ),
            )
            for place, values in zip(explained, features, strict=True)
        }
        return Detection(
            found.scores,
            found.decision,
            np.arange(len(found.scores)),
            explanations,
            found.notes,
            found.drift,
        )
