"""Detectors of series whose channels are standardised, and what their windows are like."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Self

import numpy as np
from sklearn.base import clone

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.base.faults import FaultAware
from tocsin.base.likely_past import REMEMBERED, likely_past
from tocsin.base.series import blocks_of
from tocsin.errors import InputError, ParameterError
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.features.windows import dominant_period
from tocsin.types import FloatArray, IntArray

_MOST_CHANNELS = 2_000  # whose products with each other take 0.5 GB

LIMIT = 20.0
"""Standardised values are clipped here, so that one spike does not dominate all windows."""

USUAL_WINDOW = 100
"""The least window where none is set: long enough to hold a shape in most series."""


class StandardisedChannels(FaultAware):
    """A series detector that standardises channels by training and scores some of them.

    Channels of at most two distinct training values (commands, flags) are not scored unless
    there are no others: their jumps are as large as their range, and would drown the rest. Where
    a channel is constant in training, any other value is as far out as values can be.

    It stands before ``SeriesDetector`` among the bases of a detector, which learns in ``_choose``
    how long its windows and lags are, and in ``_learn_values`` all else: models that calibrate on
    blocks have the former in common.
    """

    n_features_in_: Annotated[int, Within(1)]
    scored_: Annotated[IntArray, Shape("s"), Within(0, "d-1", rising=True)]
    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    remembered_: Annotated[FloatArray, Shape("kept", "d")]

    @abstractmethod
    def _choose(self, stretches: Stretches) -> None:
        """Set lengths from the stretches, standardised; raise ParameterError for bad ones."""

    @abstractmethod
    def _learn_values(self, stretches: Stretches) -> None:
        """Learn from stretches, standardised."""

    def _learn(self, stretches: Stretches) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        low, high = X.min(axis=0), X.max(axis=0)
        several = ((low != X) & (high != X)).any(axis=0)
        varied = several if several.any() else low != high
        self.scored_ = np.flatnonzero(varied if varied.any() else np.ones(len(low), dtype=bool))
        self._learn_scale(stretches)
        self._choose([self._standardise(stretch) for stretch in stretches])
        self._learn_values([self._standardise(stretch) for stretch in stretches])

    def _refitted(self, stretches: Stretches) -> Self:
        copy: Self = clone(self).set_state(self.get_state())
        copy._learn_faults(stretches)
        clean = [copy._without_glitches(stretch)[0] for stretch in stretches]
        copy._learn_scale(clean)
        copy._learn_values([copy._standardise(stretch) for stretch in clean])
        return copy

    def _learn_scale(self, stretches: Stretches) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.mean_, self.scale_ = location_and_scale(X)
        constant = X.min(axis=0) == X.max(axis=0)
        self.scale_[constant] = 1e-6 * np.where(X[0] == 0, 1.0, np.abs(X[0]))[constant]
        longest = max(stretches, key=len)
        self.remembered_ = self._standardise(longest).values[-REMEMBERED:]

    def _standardise(self, stretch: Stretch) -> Stretch:
        """Return a stretch with all channels standardised and clipped."""
        Z = standardise(stretch.values, self.mean_, self.scale_).clip(-LIMIT, LIMIT)
        return Stretch(Z, stretch.at)

    def _likely_past(self, Z: FloatArray, length: int) -> FloatArray:
        """Return points (length, c) that may have come before a standardised series Z (n, c)."""
        return likely_past(self.remembered_, Z, length, self.scored_)

    def _in_units(self, Z: FloatArray, X: FloatArray) -> FloatArray:
        """Return X with its scored channels replaced by standardised values Z (n, scored)."""
        own = self.scored_
        expected = X.copy()
        with np.errstate(over="ignore"):
            expected[:, own] = Z * self.scale_[own] + self.mean_[own]
        largest = np.finfo(np.float64).max
        return expected.clip(-largest, largest)

    def _by_channel(self, parts: FloatArray) -> FloatArray:
        """Return parts (n, c) from those of the scored channels; 0 for the others."""
        everywhere = np.zeros((len(parts), self.n_features_in_))
        everywhere[:, self.scored_] = parts
        return everywhere

    def _leave_out_edges(self, stretches: Stretches, window: int) -> None:
        """Leave the ends of blocks, which few windows cover, out of what calibrates."""
        held_out = []
        for stretch in stretches:
            own = np.ones(len(stretch), dtype=np.bool_)
            for start, end in blocks_of(len(stretch)):
                if end - start > 3 * window:
                    own[start : start + window] = own[end - window : end] = False
            held_out.append(own)
        self.held_out_ = np.concatenate(held_out)

    def _usual_width(self, stretches: Stretches, width: int | None) -> int:
        """Return the width, or the period of a single channel, over which scores are smoothed."""
        several = self.n_features_in_ > 1
        return width or (USUAL_WINDOW if several else max(16, self._period(stretches)))

    def _period(self, stretches: Stretches) -> int:
        """Return the dominant period of the first scored channel in the longest stretch."""
        return dominant_period(max(stretches, key=len).values[:, self.scored_[0]])

    def _usual_window(self, stretches: Stretches, window: int | None) -> int:
        """Return the window, or the usual one, at most a quarter of the longest stretch."""
        usual = USUAL_WINDOW
        if len(self.scored_) == 1:
            usual = max(usual, self._period(stretches))
        return max(2, min(window or usual, max(map(len, stretches)) // 4))


def check_channels(channels: int) -> None:
    """Raise InputError for more channels than may be compared with all others."""
    if channels > _MOST_CHANNELS:
        raise InputError(
            f"The series has {channels:,} channels; each is compared with all others, of at most "
            f"{_MOST_CHANNELS:,}. Leave some out, or give them as entities: one column of values, "
            "and one that names the channel."
        )


def check_counts(detector: SeriesDetector, *names: str, least: int = 1) -> None:
    """Raise ParameterError unless the parameters of these names are None, or at least so much."""
    for name in names:
        if (value := getattr(detector, name)) is not None and value < least:
            raise ParameterError(f"{name} is {value}; it must be {least} or more.")
