"""Spectral residual: what stands out of a series once its usual spectrum is taken away."""

from __future__ import annotations

import numpy as np

from tocsin.base import Stretch, Stretches
from tocsin.detectors.series._subsequences import HistoryDetector, check_counts
from tocsin.detectors.windows import smooth
from tocsin.types import Card, FloatArray, IntArray, Scores

_MIRRORED = 256
"""So many points at most are mirrored at both ends, in value and time: level and slope go on."""


class SpectralResidual(HistoryDetector):
    """Saliency of each point: the series rebuilt from its phases and log-spectral residual.

    The log amplitude spectrum less its moving mean over ``neighbours`` frequencies keeps what is
    unusual in a series; transformed back with the phases, it peaks where that happens. Each
    channel on its own; the whole series is in view, the training series before it. Saliencies,
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

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        check_counts(self, "neighbours", "width")
        self._learn_channels(X)
        self.width_ = self._smoothing(X, self.width)
        self.history_ = X.copy()

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        joined = self._join(X)
        Z = self._standardise(joined)[:, self.scored_]
        height = np.stack([saliency(z, self.neighbours) for z in Z.T], axis=1)
        height /= height[: len(self.history_)].mean(axis=0) + 1e-9
        parts = smooth(height[len(joined) - len(X) :], self.width_)
        return Scores(parts.mean(axis=1), self._by_channel(parts))

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return self._score(
            Stretch(X)
        ).values  # nothing of the training series is learned but its scale


def saliency(x: FloatArray, neighbours: int) -> FloatArray:
    """Return the saliency (n,) of a series (n,).

    >>> int(saliency(np.eye(1, 200, 50)[0], 3).argmax())
    50
    """
    more = min(len(x) - 1, _MIRRORED)
    mirrored = np.pad(x, more, mode="reflect", reflect_type="odd") if more else x
    spectrum = np.fft.rfft(mirrored)
    amplitude = np.abs(spectrum) + 1e-8
    log_amplitude = np.log(amplitude)
    residual = np.exp(log_amplitude - smooth(log_amplitude, neighbours))
    rebuilt = np.fft.irfft(spectrum / amplitude * residual, len(mirrored))
    return np.abs(rebuilt[more : more + len(x)])
