"""The pipeline of beats: files of one beat per line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tocsin.base import Stateful
from tocsin.pipeline.items import Found, ItemPipeline, PreparedItems
from tocsin.types import Detection, Reason

NAMES = ("mean interval", "spread")


class BeatPreparer(Stateful):
    """Takes lists of intervals, or lines of them."""

    notes_: list[str]

    def fit_transform(self, X: Any) -> Any:
        """Return the beats of training."""
        beats, self.notes_ = self.prepare(X)
        return beats

    def prepare(self, X: Any) -> tuple[Any, list[str]]:
        """Return beats, and how many there are."""
        beats = np.empty(len(X), dtype=object)
        for i, beat in enumerate(X):
            values = beat.split() if isinstance(beat, str) else beat
            beats[i] = np.asarray(values, dtype=np.float64)
        return beats, [f"{len(beats)} beats"]


class PulsePipeline(ItemPipeline[PreparedItems, Detection]):
    """From beats to anomalies with the feature that made them anomalous."""

    modality = "pulses"
    item = "beats"

    def read(self, path: str | Path) -> list[str]:
        """Return the lines of a file."""
        return Path(path).read_text(encoding="utf-8").splitlines()

    def _new_preparer(self) -> BeatPreparer:
        return BeatPreparer()

    def _reasons(self, found: Found[PreparedItems], place: int) -> tuple[Reason, ...]:
        beat, usual = found.prepared.items[place], self.detector_.centre_
        parts = found.scores.parts[place] / found.scores.parts[place].sum()
        reasons = [
            Reason(name, float(seen), float(expected), float(weight))
            for name, seen, expected, weight in zip(
                NAMES, (beat.mean(), beat.std()), usual, parts, strict=True
            )
        ]
        return tuple(sorted(reasons, key=lambda reason: -reason.weight))
