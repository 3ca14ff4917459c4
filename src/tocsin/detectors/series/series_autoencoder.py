"""Autoencoder over windows: stretches of a series that do not fit through a bottleneck."""

from __future__ import annotations

from typing import Any, Unpack

from torch import Tensor, nn
from torch.nn import functional

from tocsin.detectors.series._reconstruction import (
    LARGEST_OVER_PERIODS,
    WindowReconstruction,
    dense,
)
from tocsin.nn.series import NeuralSeriesDetector, SeriesTraining
from tocsin.types import Card


class SeriesAutoencoder(WindowReconstruction, NeuralSeriesDetector):
    """A dense autoencoder of windows; the score is how badly it reconstructs a point.

    Series (n, channels) in any units, standardised inside. The score of a point is the
    largest of its ``parts`` (n, channels): the mean absolute error of the windows over it,
    averaged over the dominant period, in units of what one in a hundred held-out points
    exceeds; 0 for flags, which are not looked at. ``expected`` (n, channels) is the mean of the
    reconstructions, in the units of the series. ``latent`` is the size of a window's code,
    ``width`` that of the hidden layers. Raises
    ParameterError for sizes below one, and TrainingFailed when the loss is not finite.
    Sakurada and Yairi, Anomaly Detection Using Autoencoders with Nonlinear Dimensionality
    Reduction, MLSDA 2014.

    >>> import numpy as np
    >>> x = np.sin(np.arange(1000) / 5)
    >>> x[800:810] = 0
    >>> scores = SeriesAutoencoder(steps=100).fit(x[:600]).score(x)
    >>> 780 < int(scores.values.argmax()) < 830
    True
    """

    card = Card(
        name="series_autoencoder",
        modality="series",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Reconstruction error of windows by a network with a bottleneck.",
        paper="Sakurada, Yairi, Anomaly Detection Using Autoencoders, MLSDA 2014",
        cost="fit O(steps · batch · window · channels · width), score O(n · window · width)",
        also_known_as=("Sub-AE",),
    )
    rule = LARGEST_OVER_PERIODS

    def __init__(
        self,
        *,
        latent: int | None = None,
        width: int | None = None,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width

    def _network(self, n_features: int) -> nn.Module:
        inputs, width, latent = self._sizes()
        return nn.Sequential(dense([inputs, width, latent]), dense([latent, width, inputs]))

    def _rebuild(self, net: Any, x: Tensor) -> Tensor:
        rebuilt: Tensor = net(x)
        return rebuilt

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        target, rebuilt = self._reconstruct(net, x)
        return functional.huber_loss(rebuilt, target)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_sizes()
