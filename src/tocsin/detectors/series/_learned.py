"""All that views and signs learn of training stretches, and how others look beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.base.series import BLOCKS
from tocsin.detectors.series._memory import Memory, Training, WindowMemory, memories, within
from tocsin.detectors.series._points import despiked
from tocsin.detectors.series._signs import Excess, Signs, limits_of, spike_limit
from tocsin.detectors.series._units import Units
from tocsin.detectors.series._views import (
    NearestWindows,
    SeriesContext,
    SeriesView,
    ViewScores,
    WindowView,
)
from tocsin.types import BoolArray, FloatArray, IntArray

_LEAST_CUT = 80
"""Of several stretches a shorter one is held out as a whole."""

_MOST_WINDOWS = 4000
"""Of the training series each view looks at this many windows, to learn what is usual."""


class Learned:
    """What views and signs have learned of training stretches (n, channels), in given units."""

    def __init__(self, stretches: Sequence[FloatArray], units: Units, views: Sequence[SeriesView]):
        self.stretches, self.units, self.views = stretches, units, views
        scaled = [units.scaled(X) for X in stretches]
        self.signs = Signs.of([Z[:, units.judged] for Z in scaled])
        self._spike = spike_limit(scaled)
        self.training = Training.of([self._clean(Z) for Z in scaled], units.judged)
        self.memories: list[Memory] = memories(views, self.training)
        self._short: dict[tuple[int, int], tuple[WindowMemory, FloatArray]] = {}

    def scored(
        self, X: FloatArray, scales: FloatArray, usual: float = 1.0, most: int | None = None
    ) -> list[tuple[ViewScores | None, FloatArray]]:
        """Return what each view sees of a stretch (n, channels), and the scale of its scores.

        ``scales`` (views, 2) are those of means over many windows; a stretch shorter than two of
        them is judged as single windows are, of its own length where it is shorter than one,
        which rise above the ``usual`` score as rarely.
        """
        clean = within(self._clean(self.units.scaled(X)))
        seen: list[tuple[ViewScores | None, FloatArray]] = []
        for number, (memory, scale) in enumerate(zip(self.memories, scales, strict=True)):
            own, unit = memory, scale
            if most is None and isinstance(memory, WindowMemory):
                own, unit = self._fitting(number, memory, scale, len(X), usual)
            seen.append((own.look(clean, most), unit))
        return seen

    def beyond(self, X: FloatArray, limits: FloatArray) -> Excess:
        """Return what signs beyond their limits add in a stretch (n, channels)."""
        own = Excess.of(self.magnitudes(X), limits, self.units.judged)
        return own.or_higher(self._unseen(X))

    def beyond_held_out(self, held_out: HeldOut) -> Excess:
        """Return what signs beyond the limits of the other blocks add in training."""
        unseen = [self._unseen(X) for X in self.stretches]
        return held_out.beyond().or_higher(Excess.joined(unseen))

    def magnitudes(self, X: FloatArray) -> FloatArray:
        """Return the signs' magnitudes (signs, n, judged channels) in a stretch."""
        return self.signs.look(self.units.scaled(X)[:, self.units.judged])

    def expected(self, X: FloatArray, nearest: NearestWindows) -> FloatArray:
        """Return the nearest training windows (n, channels) in place of a stretch."""
        Z = within(self._clean(self.units.scaled(X)))
        return self.units.restored(nearest.expected(Z, self.training.series))

    def held_out(self) -> HeldOut:
        """Return the training points as they look without their blocks."""
        return HeldOut.of(self.stretches, self.units, self.views)

    def _unseen(self, X: FloatArray) -> Excess:
        return Excess.unseen(self.units.unseen(X))

    def _clean(self, Z: FloatArray) -> FloatArray:
        """Return scaled values without glitches: single ones beyond all that is usual."""
        return despiked(Z, self._spike, self.units.usual)

    def _fitting(
        self, number: int, memory: WindowMemory, scale: FloatArray, n: int, usual: float
    ) -> tuple[WindowMemory, FloatArray]:
        """Return the memory and the scale for a stretch of n points."""
        if n >= 2 * memory.view.length:
            return memory, scale
        length = min(n, memory.view.length)
        if (number, length) not in self._short:
            self._short[number, length] = memory.shortened(length, usual)
        return self._short[number, length]


@dataclass(frozen=True)
class HeldOut:
    """Training points as models see them that have not learned from their block.

    ``raw`` (views, n): each view's scores; ``magnitudes`` (signs, n, judged channels);
    ``block`` (n,); ``judged``: which of all channels.
    """

    raw: FloatArray
    magnitudes: FloatArray
    block: IntArray
    judged: BoolArray

    @classmethod
    def of(
        cls, stretches: Sequence[FloatArray], units: Units, views: Sequence[SeriesView]
    ) -> HeldOut:
        """Return how each fifth looks beside the others: of every stretch, or of short ones.

        Up to a window around a block is left out with it; its windows reach into that.
        """
        reach = max(view.length for view in views if isinstance(view, WindowView))
        n = sum(map(len, stretches))
        most = max(1, _MOST_WINDOWS // (BLOCKS * len(stretches)))
        block = np.empty(n, dtype=np.int64)
        pieces: list[tuple[slice, FloatArray, FloatArray]] = []
        for number in range(BLOCKS):
            others, own = _without(stretches, number, reach)
            learned = Learned(others or stretches, units, views)
            none = np.zeros((len(learned.memories), 2))
            for place, piece, inner in own:
                scored = learned.scored(piece, none, most=most)
                scores = [np.zeros(len(piece)) if s is None else s.values for s, _ in scored]
                block[place] = number
                magnitudes = learned.magnitudes(piece)[:, inner]
                pieces.append((place, np.stack(scores)[:, inner], magnitudes))
        return cls._joined(pieces, block, units.judged)

    @classmethod
    def _joined(
        cls,
        pieces: Sequence[tuple[slice, FloatArray, FloatArray]],
        block: IntArray,
        judged: BoolArray,
    ) -> HeldOut:
        n = len(block)
        raw = np.empty((len(pieces[0][1]), n))
        magnitudes = np.empty((len(pieces[0][2]), n, int(judged.sum())))
        for place, scores, signs in pieces:
            raw[:, place], magnitudes[:, place] = scores, signs
        return cls(raw, magnitudes, block, judged)

    def beyond(self) -> Excess:
        """Return what exceeds the limits of the other blocks."""
        values, channel = np.empty(len(self.block)), np.empty(len(self.block), dtype=np.int64)
        for number in np.unique(self.block):
            own = self.block == number
            others = self.magnitudes[:, ~own] if not own.all() else self.magnitudes
            seen = Excess.of(self.magnitudes[:, own], limits_of(others), self.judged)
            values[own], channel[own] = seen.values, seen.channel
        return Excess(values, channel)


def training_context(stretches: Sequence[FloatArray], units: Units) -> SeriesContext:
    """Return the context of the training series alone, without single spikes."""
    scaled = [units.scaled(X) for X in stretches]
    limit = spike_limit(scaled)
    clean = Training.of([despiked(Z, limit, units.usual) for Z in scaled], units.judged)
    return SeriesContext(clean.series, units.unit, len(clean.series), clean.ends, units.judged)


def _without(
    stretches: Sequence[FloatArray], number: int, reach: int
) -> tuple[list[FloatArray], list[tuple[slice, FloatArray, slice]]]:
    """Return the stretches without a block and its surroundings, and the block of each stretch.

    Of each block: its place among all points, the piece with its surroundings, and which points
    of the piece are the block's.
    """
    others, own, first = [], [], 0
    total = sum(map(len, stretches))
    for X in stretches:
        n = len(X)
        start, end = round(number * n / BLOCKS), round((number + 1) * n / BLOCKS)
        if n < _LEAST_CUT and len(stretches) > 1:
            start, end = 0, n if (2 * first + n) * BLOCKS // (2 * total) == number else 0
        margin = min(reach, n // (2 * BLOCKS)) if end > start else 0
        low, high = max(0, start - margin), min(n, end + margin)
        others += [part for part in (X[:low], X[high:]) if len(part)]
        if end > start:
            inner = slice(start - low, end - low)
            own.append((slice(first + start, first + end), X[low:high], inner))
        first += n
    return others, own
