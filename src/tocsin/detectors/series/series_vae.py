"""Variational autoencoder over windows: stretches that a probabilistic decoder does not expect."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from tocsin.detectors.series._reconstruction import (
    LARGEST_OVER_PERIODS,
    WindowReconstruction,
    dense,
)
from tocsin.errors import ParameterError
from tocsin.nn.series import NeuralSeriesDetector, SeriesTraining
from tocsin.types import Card

_LOG_DEVIATION = (math.log(0.02), 2.0)
"""Bounds of the decoder's learned log-deviations: no channel becomes infinitely sure."""

_LOG_VARIANCE = 8.0
"""Bound of a code's log-variance, either way."""

_SPEED = 10.0
"""How much faster than the weights the decoder's log-deviations move."""


class SeriesVae(WindowReconstruction, NeuralSeriesDetector):
    """A β-variational autoencoder of windows with a Gaussian decoder.

    Series (n, channels) in any units, standardised inside. The decoder's deviation is learned,
    one per channel, and balances errors with what a code may hold, of which a larger ``beta``
    leaves less; the decoder sees the mean code when scoring, so nothing about a score is
    random. The score of a point is the
    largest of its ``parts`` (n, channels): the mean absolute error of the windows over it,
    averaged over the dominant period, in units of what one in a hundred held-out points
    exceeds; 0 for flags, which are not looked at. ``expected`` (n, channels) is the mean of the
    reconstructions, in the units of the series. ``latent`` is the size of a window's code,
    ``width`` that of the hidden layers. Raises ParameterError
    for sizes below one or a β below 0, and TrainingFailed when the loss is not finite.
    Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014; Xu et al., Unsupervised
    Anomaly Detection via Variational Auto-Encoder for Seasonal KPIs, WWW 2018.

    >>> import numpy as np
    >>> x = np.sin(np.arange(1000) / 5)
    >>> x[800:810] = 0
    >>> scores = SeriesVae(steps=100).fit(x[:600]).score(x)
    >>> 780 < int(scores.values.argmax()) < 830
    True
    """

    card = Card(
        name="series_vae",
        modality="series",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Reconstruction error of windows by a variational autoencoder.",
        paper="Xu et al., Unsupervised Anomaly Detection via Variational Auto-Encoder, WWW 2018",
        cost="fit O(steps · batch · window · channels · width), score O(n · window · width)",
        also_known_as=("Donut",),
    )
    rule = LARGEST_OVER_PERIODS

    def __init__(
        self,
        *,
        beta: float = 0.3,
        latent: int | None = None,
        width: int | None = None,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width
        self.beta = beta

    def _network(self, n_features: int) -> nn.Module:
        return _Vae(*self._sizes(), channels=len(self.scored_))

    def _rebuild(self, net: Any, x: Tensor) -> Tensor:
        mean, log_variance = net.encode(x)
        if net.training:
            mean = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        rebuilt: Tensor = net.decoder(mean)
        return rebuilt

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        target, rebuilt = self._reconstruct(net, x)
        log_deviation = net.bounded_log_deviation()
        error = ((target - rebuilt) / log_deviation.exp()).square() / 2 + log_deviation
        mean, log_variance = net.encode((target - target.mean(1, keepdim=True)).flatten(1))
        divergence = (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean() / 2
        loss: Tensor = error.mean() + self.beta * divergence / target[0].numel()
        return loss

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_sizes()
        if not self.beta >= 0:
            raise ParameterError(f"beta must be at least 0; got {self.beta}.")


class _Vae(nn.Module):
    """Encoder, decoder, and the decoder's deviation per channel."""

    def __init__(self, inputs: int, width: int, latent: int, channels: int) -> None:
        super().__init__()
        self.encoder = dense([inputs, width, 2 * latent])
        self.decoder = dense([latent, width, inputs])
        self.log_deviation = nn.Parameter(torch.zeros(channels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance (batch, latent) of the windows' codes."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(-_LOG_VARIANCE, _LOG_VARIANCE)

    def bounded_log_deviation(self) -> Tensor:
        """Return the decoder's log-deviations (channels,)."""
        return (_SPEED * self.log_deviation).clamp(*_LOG_DEVIATION)
