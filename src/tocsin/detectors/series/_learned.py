"""All that views and signs learn of training stretches, and how others look beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tocsin.base.series import BLOCKS
from tocsin.detectors.series._memory import Memory, Training, WindowMemory, memories, within
from tocsin.detectors.series._points import despiked
from tocsin.detectors.series._signs import Excess, Signs, limits_of, spike_limit
from tocsin.detectors.series._units import Units
from tocsin.detectors.series._views import Scene, Sight, View, WindowView
from tocsin.types import BoolArray, FloatArray, IntArray

_MOST_WINDOWS = 4000
"""Of the training series each view looks at so many windows, to learn what is usual."""


class Learned:
    """What views and signs have learned of training stretches (n, channels), in given units."""

    def __init__(self, stretches: Sequence[FloatArray], units: Units, views: Sequence[View]):
        self.stretches, self.units, self.views = stretches, units, views
        scaled = [units.scaled(X) for X in stretches]
        self.signs = Signs.of([Z[:, units.judged] for Z in scaled])
        self._spike = spike_limit(scaled)
        self.training = Training.of([self._clean(Z) for Z in scaled], units.judged)
        self.memories: list[Memory] = memories(views, self.training)
        self._short: dict[tuple[int, int], tuple[WindowMemory, FloatArray]] = {}

    def sights(
        self, X: FloatArray, scales: FloatArray, usual: float = 1.0, most: int | None = None
    ) -> list[tuple[Sight | None, FloatArray]]:
        """Return what each view sees of a stretch (n, channels), and the scale of its scores.

        ``scales`` (views, 2) are those of means over many windows; a stretch shorter than two of
        them is judged as single windows are, of its own length where it is shorter than one,
        which rise above the ``usual`` score as rarely.
        """
        clean = within(self._clean(self.units.scaled(X)))
        seen: list[tuple[Sight | None, FloatArray]] = []
        for number, (memory, scale) in enumerate(zip(self.memories, scales, strict=True)):
            if isinstance(memory, WindowMemory) and len(X) < 2 * memory.view.length and most is None:
                length = min(len(X), memory.view.length)
                memory, scale = self._shortened(number, memory, length, usual)
            seen.append((memory.look(clean, most), scale))
        return seen

    def beyond(self, X: FloatArray, limits: FloatArray) -> Excess:
        """Return what signs beyond their limits add in a stretch (n, channels)."""
        return Excess.of(self.magnitudes(X), limits, self.units.judged)

    def magnitudes(self, X: FloatArray) -> FloatArray:
        """Return the signs' magnitudes (signs, n, judged channels) in a stretch."""
        return self.signs.look(self.units.scaled(X)[:, self.units.judged])

    def expected(self, X: FloatArray, sight: Sight) -> FloatArray:
        """Return the nearest training windows (n, channels) in place of a stretch."""
        assert sight.match is not None
        Z = within(self._clean(self.units.scaled(X)))
        return self.units.restored(sight.match.expected(Z, self.training.series))

    def held_out(self) -> HeldOut:
        """Return the training points as they look without their blocks."""
        return HeldOut.of(self.stretches, self.units, self.views)

    def _clean(self, Z: FloatArray) -> FloatArray:
        """Return scaled values without glitches: single ones beyond all that is usual."""
        return despiked(Z, self._spike, self.units.usual)

    def _shortened(
        self, number: int, memory: WindowMemory, length: int, usual: float
    ) -> tuple[WindowMemory, FloatArray]:
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
        cls, stretches: Sequence[FloatArray], units: Units, views: Sequence[View]
    ) -> HeldOut:
        """Return how each fifth of every stretch looks beside the others.

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
                seen = [
                    np.zeros(len(piece)) if sight is None else sight.values
                    for sight, _ in learned.sights(piece, none, most=most)
                ]
                block[place] = number
                pieces.append((place, np.stack(seen)[:, inner], learned.magnitudes(piece)[:, inner]))
        raw = np.empty((len(pieces[0][1]), n))
        magnitudes = np.empty((len(pieces[0][2]), n, int(units.judged.sum())))
        for place, seen, signs in pieces:
            raw[:, place], magnitudes[:, place] = seen, signs
        return cls(raw, magnitudes, block, units.judged)

    def beyond(self) -> Excess:
        """Return what exceeds the limits of the other blocks."""
        values, channel = np.empty(len(self.block)), np.empty(len(self.block), dtype=np.int64)
        for number in np.unique(self.block):
            own = self.block == number
            others = self.magnitudes[:, ~own] if not own.all() else self.magnitudes
            seen = Excess.of(self.magnitudes[:, own], limits_of(others), self.judged)
            values[own], channel[own] = seen.values, seen.channel
        return Excess(values, channel)


def training_scene(stretches: Sequence[FloatArray], units: Units) -> Scene:
    """Return the scene of the training series alone, without single spikes."""
    scaled = [units.scaled(X) for X in stretches]
    limit = spike_limit(scaled)
    clean = Training.of([despiked(Z, limit, units.usual) for Z in scaled], units.judged)
    return Scene(clean.series, units.unit, len(clean.series), clean.ends, units.judged)


def _without(
    stretches: Sequence[FloatArray], number: int, reach: int
) -> tuple[list[FloatArray], list[tuple[slice, FloatArray, slice]]]:
    """Return the stretches without a block and its surroundings, and the block of each stretch.

    Of each block: its place among all points, the piece with its surroundings, and which points
    of the piece are the block's.
    """
    others, own, first = [], [], 0
    for X in stretches:
        n = len(X)
        start, end = round(number * n / BLOCKS), round((number + 1) * n / BLOCKS)
        margin = min(reach, n // (2 * BLOCKS))
        low, high = max(0, start - margin), min(n, end + margin)
        others += [part for part in (X[:low], X[high:]) if len(part)]
        if end > start:
            inner = slice(start - low, end - low)
            own.append((slice(first + start, first + end), X[low:high], inner))
        first += n
    return others, own
