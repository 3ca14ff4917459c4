"""Spectral residual: what stands out of a series once its usual spectrum is taken away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tocsin.base import Stretch, Stretches
from tocsin.detectors.series._residuals import ResidualDetector
from tocsin.detectors.series._subsequences import check_counts
from tocsin.detectors.windows import smooth
from tocsin.types import Card, FloatArray, IntArray, Scores

ComplexArray = NDArray[np.complex128]

_SHORTEST, _LONGEST = 64, 512
"""Spectra are of windows of four periods, but of so many points."""

_AT_ONCE = 4_096
"""Windows."""

_MIRRORED = 256
"""So many points at most are mirrored at both ends, in value and time: level and slope go on."""


class SpectralResidual(ResidualDetector):
    """Saliency of each point: the series rebuilt from its phases and log-spectral residual.

    The log amplitude spectrum less its moving mean over ``neighbours`` frequencies keeps what is
    unusual in a series; transformed back with the phases, it peaks where that happens. Each
    channel on its own, each point in the window around it: four dominant periods, 64 to 512
    points. ``score_together`` has the whole series in view instead. Saliencies,
    in units of their mean in training and smoothed over ``width`` points (None: the dominant
    period, at least 16; 100 for several channels), are ``parts`` (n, channels); the score is
    their mean over the channels. Raises ParameterError for a width or neighbours below 1.
    Ren et al., Time-Series Anomaly Detection Service at Microsoft, KDD 2019.

    >>> wave = np.sin(np.arange(1000) / 5) + np.random.default_rng(0).normal(size=1000) / 9
    >>> broken = wave.copy()
    >>> broken[700:710] = 0
    >>> abs(int(SpectralResidual().fit(wave[:500]).score(broken).values.argmax()) - 700) < 20
    True
    """

    card = Card(
        name="spectral_residual",
        modality="series",
        family="reconstruction",
        learning=("unlabelled", "zero-shot"),
        summary="What stands out of a series once its usual spectrum is taken away.",
        paper="Ren et al., Time-Series Anomaly Detection Service at Microsoft, KDD 2019",
        cost="fit and score O(n log n) a channel",
    )

    def __init__(self, neighbours: int = 15, width: int | None = None, seed: int = 0) -> None:
        self.neighbours = neighbours
        self.width = width
        self.seed = seed

    window_: int
    learned_: int

    def _choose(self, stretches: Stretches) -> None:
        check_counts(self, "neighbours", "width")
        self.width_ = self._usual_width(stretches, self.width)
        window = int(np.clip(4 * self._period(stretches), _SHORTEST, _LONGEST))
        self.window_ = max(4, 2 * (min(window, max(map(len, stretches)) // 5) // 2))

    def _learn_values(self, stretches: Stretches) -> None:
        self.learned_ = sum(map(len, stretches))
        heights = np.concatenate([self._heights(stretch.values) for stretch in stretches])
        self._learn_residuals(heights, heights.mean(axis=0))

    def _residuals(self, stretch: Stretch) -> tuple[FloatArray, None]:
        return self._heights(self._standardise(stretch).values), None

    @property
    def _pointed(self) -> bool:
        return False

    def _together(self, residuals: FloatArray) -> FloatArray:
        return np.asarray(residuals.mean(axis=1))

    def _heights(self, Z: FloatArray) -> FloatArray:
        n, half = len(Z), self.window_ // 2
        if n <= half:
            Z = np.concatenate([self._likely_past(Z, half), Z])
        own = Z[:, self.scored_].T
        heights = [local_saliency(z, self.window_, self.neighbours) for z in own]
        return np.stack(heights, axis=1)[-n:]

    def _judge_together(
        self, stretches: Stretches, severities: Sequence[FloatArray]
    ) -> list[Scores]:
        heights = []
        for stretch in stretches:
            own = self._standardise(stretch).values[:, self.scored_].T
            heights.append(np.stack([saliency(z, self.neighbours) for z in own], axis=1))
        known = np.concatenate(heights)[: self.learned_]
        usual = self._usual_of(known, known.mean(axis=0))
        each = zip(heights, stretches, severities, strict=True)
        return [self._scores(own, None, usual, stretch, sev) for own, stretch, sev in each]


def local_saliency(x: FloatArray, window: int, neighbours: int) -> FloatArray:
    """Return the saliency (n,) of each point of a series (n,) in the window (even) around it.

    >>> int(local_saliency(np.eye(1, 200, 50)[0], 64, 3).argmax())
    50
    """
    half = window // 2
    mirrored = np.pad(x, half, mode="reflect", reflect_type="odd")
    views = sliding_window_view(mirrored, window)[: len(x)]
    # The middle of the inverse transform alone: its terms have alternating signs.
    terms = np.where(np.arange(half + 1) % 2, -2.0, 2.0) / window
    terms[[0, -1]] /= 2
    heights = np.empty(len(x))
    for first in range(0, len(x), _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        heights[rows] = np.abs((_residual(np.fft.rfft(views[rows]).T, neighbours).T @ terms).real)
    return heights


def _residual(spectrum: ComplexArray, neighbours: int) -> ComplexArray:
    """Return spectra (frequencies, …) with what is usual in their amplitudes taken away."""
    amplitude = np.abs(spectrum) + 1e-8
    log_amplitude = np.log(amplitude)
    residual = np.exp(log_amplitude - smooth(log_amplitude, neighbours))
    return np.asarray(spectrum / amplitude * residual)


def saliency(x: FloatArray, neighbours: int) -> FloatArray:
    """Return the saliency (n,) of a series (n,).

    >>> int(saliency(np.eye(1, 200, 50)[0], 3).argmax())
    50
    """
    more = min(len(x) - 1, _MIRRORED)
    mirrored = np.pad(x, more, mode="reflect", reflect_type="odd") if more else x
    rebuilt = np.fft.irfft(_residual(np.fft.rfft(mirrored), neighbours), len(mirrored))
    return np.abs(rebuilt[more : more + len(x)])
