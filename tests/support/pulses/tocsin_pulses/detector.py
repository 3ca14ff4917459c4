"""A detector of beats by their mean interval and its spread."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.base import Detector
from tocsin.errors import InputError
from tocsin.types import Card, FloatArray, IntArray, Scores


class Rhythm(Detector):
    """How far the mean interval and its spread are from those of training, in their units."""

    card = Card("auto", "pulses", "density", ("one-class",), "Mean and spread", "None", "O(n)")

    centre_: FloatArray
    scale_: FloatArray

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def _fit(self, X: Any, y: IntArray | None) -> None:
        features = _features(X)
        self.centre_ = np.median(features, axis=0)
        self.scale_ = np.abs(features - self.centre_).mean(axis=0) + 1e-9

    def _score(self, X: Any) -> Scores:
        parts = np.abs(_features(X) - self.centre_) / self.scale_
        return Scores(parts.max(axis=1), parts=parts)

    def _check_training(self, X: Any) -> Any:
        beats = self._check_scoring(X)
        if len(beats) < 2:
            raise InputError("A rhythm is learned from at least 2 beats; got 1 sample.")
        return beats

    def _check_scoring(self, X: Any) -> Any:
        if not hasattr(X, "__len__") or not len(X) or isinstance(X, str):
            raise InputError(f"Pulses are a list of beats; got {X!r:.40}.")
        beats = np.empty(len(X), dtype=object)
        beats[:] = [np.asarray(beat, dtype=np.float64) for beat in X]
        return beats


def _features(beats: Any) -> FloatArray:
    return np.array([(beat.mean(), beat.std()) for beat in beats])
