"""Spectral residual: what stands out of a series once its usual spectrum is taken away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tocsin.base import Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.detectors.series._channels import check_counts
from tocsin.detectors.series._residuals import ResidualDetector
from tocsin.features.windows import smooth
from tocsin.types import Card, FloatArray, Scores

_SHORTEST, _LONGEST = 64, 512
"""Spectra are of windows of four periods, within these numbers of points."""

_AT_ONCE = 4_096
"""Windows."""

_SILENT = 1e-8
_FAINT = 1e-2
"""Of the mean amplitude: frequencies that are hardly there are not blown up further."""

_MIRRORED = 256
"""So many points at most are mirrored at both ends, in value and time: level and slope go on."""


class SpectralResidual(ResidualDetector):
    """Saliency of each point: its series rebuilt from what is unusual of its spectrum.

    The log amplitude spectrum less the usual one keeps what is unusual in a series; transformed
    back with the phases, it peaks where that happens. Each channel on its own, each point in the
    window around it: four dominant periods, 64 to 512 points, but at most a fifth of the training
    series. What is usual is the mean log spectrum of all training windows. ``score_together``
    has the whole series in view, and takes the moving mean over ``neighbours`` frequencies of its
    own spectrum instead, as the paper does. Saliencies, in units of their mean in training and
    smoothed over ``width`` points (None: the dominant period, at least 16; 100 for several
    channels), are ``parts`` (n, channels); the score is their mean over the channels. Raises
    ParameterError for a width or neighbours below 1.
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
        cost="fit and score O(n log n) per channel",
        also_known_as=("SR",),
    )

    def __init__(self, neighbours: int = 15, width: int | None = None, seed: int = 0) -> None:
        self.neighbours = neighbours
        self.width = width
        self.seed = seed

    window_: Annotated[int, Within(1)]
    learned_: Annotated[int, Within(1)]
    filters_: Annotated[FloatArray, Shape("s", "window_")]

    def _check_parameters(self) -> None:
        check_counts(self, "neighbours", "width")

    def _choose(self, stretches: Stretches) -> None:
        self.width_ = self._usual_width(stretches, self.width)
        window = int(np.clip(4 * self._period(stretches), _SHORTEST, _LONGEST))
        self.window_ = max(4, 2 * (min(window, max(map(len, stretches)) // 5) // 2))

    def _learn_values(self, stretches: Stretches) -> None:
        self.learned_ = sum(map(len, stretches))
        columns = [[stretch.values[:, own] for stretch in stretches] for own in self.scored_]
        self.filters_ = np.stack([whitening(xs, self.window_) for xs in columns])
        heights = np.concatenate([self._heights(stretch.values) for stretch in stretches])
        self._learn_residuals(heights, heights.mean(axis=0))

    def _residuals(self, stretch: Stretch) -> tuple[FloatArray, None]:
        heights = self._heights(self._standardise(stretch).values)
        # What is mirrored at an end breaks the phase: little is known of the points there.
        edge = self.window_ // 4
        for end in (heights[:edge], heights[-edge:]):
            np.minimum(end, self.usual_, out=end)
        return heights, None

    @property
    def _pointed(self) -> bool:
        return False

    def _together(self, residuals: FloatArray) -> FloatArray:
        return np.asarray(residuals.mean(axis=1))

    def _heights(self, Z: FloatArray) -> FloatArray:
        n, half = len(Z), self.window_ // 2
        if n <= half:
            Z = np.concatenate([self._likely_past(Z, half), Z])
        pairs = zip(Z[:, self.scored_].T, self.filters_, strict=True)
        white = [
            np.convolve(_mirrored(z, half), kernel, mode="valid")[: len(Z)] for z, kernel in pairs
        ]
        return np.asarray(np.abs(np.stack(white, axis=1))[-n:])

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


def whitening(xs: Sequence[FloatArray], window: int) -> FloatArray:
    """Return the filter (window,) that gives all frequencies of these series one amplitude.

    >>> x = np.sin(np.arange(400) * 2 * np.pi / 20) + np.random.default_rng(0).normal(size=400) / 9
    >>> float(np.abs(np.convolve(x, whitening([x], 80), "valid")).max() / np.abs(x).max()) < 5
    True
    """
    taper = np.hanning(window)
    total, count = np.zeros(window // 2 + 1), 0
    for x in xs:
        views = sliding_window_view(_mirrored(x, window // 2), window)
        for first in range(0, len(views), _AT_ONCE):
            amplitude = np.abs(np.fft.rfft(views[first : first + _AT_ONCE] * taper))
            total += np.log(amplitude + _SILENT).sum(axis=0)
        count += len(views)
    usual = np.exp(total / count)
    kernel = np.fft.irfft(1 / (usual + _FAINT * usual.mean()), window)
    return np.asarray(np.fft.fftshift(kernel) * taper)


def _mirrored(x: FloatArray, more: int) -> FloatArray:
    """Return a series with points before and after it, mirrored in value and time."""
    return np.pad(x, more, mode="reflect", reflect_type="odd") if len(x) > 1 else x.repeat(2 * more)


def saliency(x: FloatArray, neighbours: int) -> FloatArray:
    """Return the saliency (n,) of a series (n,), all of which is in view.

    >>> int(saliency(np.eye(1, 200, 50)[0], 3).argmax())
    50
    """
    more = min(len(x) - 1, _MIRRORED)
    mirrored = np.pad(x, more, mode="reflect", reflect_type="odd") if more else x
    spectrum = np.fft.rfft(mirrored)
    amplitude = np.abs(spectrum) + _SILENT
    log_amplitude = np.log(amplitude)
    residual = np.exp(log_amplitude - smooth(log_amplitude, neighbours))
    rebuilt = np.fft.irfft(spectrum / amplitude * residual, len(mirrored))
    return np.abs(rebuilt[more : more + len(x)])
