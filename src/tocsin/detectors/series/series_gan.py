"""Adversarially regularised autoencoder over windows: stretches no generator would make."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from tocsin.detectors.series._reconstruction import (
    LARGEST_OVER_PERIODS,
    WindowReconstruction,
    dense,
)
from tocsin.errors import ParameterError
from tocsin.nn.series import NeuralSeriesDetector, SeriesTraining
from tocsin.types import Card


class SeriesGan(WindowReconstruction, NeuralSeriesDetector):
    """A generator that rebuilds windows, trained against a discriminator.

    Series (n, channels) in any units, standardised inside. The discriminator tells windows
    from rebuilt windows; the generator, an autoencoder, learns to rebuild both the windows and
    the discriminator's hidden features of them, the latter with the weight ``adversarial``.
    The score of a point is the
    largest of its ``parts`` (n, channels): the mean absolute error of the windows over it,
    averaged over the dominant period, in units of what one in a hundred held-out points
    exceeds; 0 for flags, which are not looked at. ``expected`` (n, channels) is the mean of the
    reconstructions, in the units of the series. ``latent`` is the size of a window's code,
    ``width`` that of the hidden layers. Raises ParameterError
    for sizes below one or a weight below 0, and TrainingFailed when the loss is not finite.
    Zhou et al., BeatGAN: Anomalous Rhythm Detection using Adversarially Generated Time Series,
    IJCAI 2019.

    >>> import numpy as np
    >>> x = np.sin(np.arange(1000) / 5)
    >>> x[800:810] = 0
    >>> scores = SeriesGan(steps=100).fit(x[:600]).score(x)
    >>> 780 < int(scores.values.argmax()) < 830
    True
    """

    card = Card(
        name="series_gan",
        modality="series",
        family="adversarial",
        learning=("one-class", "unlabelled"),
        summary="Reconstruction error of windows by an adversarially trained generator.",
        paper="Zhou et al., BeatGAN: Anomalous Rhythm Detection, IJCAI 2019",
        cost="fit O(steps · batch · window · channels · width), score O(n · window · width)",
        also_known_as=("BeatGAN", "USAD"),
    )
    rule = LARGEST_OVER_PERIODS

    def __init__(
        self,
        *,
        adversarial: float = 0.1,
        latent: int | None = None,
        width: int | None = None,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width
        self.adversarial = adversarial

    def _network(self, n_features: int) -> nn.Module:
        return _Gan(*self._sizes())

    def _rebuild(self, net: Any, x: Tensor) -> Tensor:
        rebuilt: Tensor = net.generator(x)
        return rebuilt

    def _objectives(self, net: Any) -> list[Any]:
        return [
            (net.generator, lambda x: self._loss(net, x)),
            (net.discriminator, lambda x: self._tell_apart(net, x)),
        ]

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        target, rebuilt = self._reconstruct(net, x)
        features = net.features(target.flatten(1)) - net.features(rebuilt.flatten(1))
        error = functional.huber_loss(rebuilt, target)
        loss: Tensor = error + self.adversarial * features.square().mean()
        return loss

    def _tell_apart(self, net: Any, x: Tensor) -> Tensor:
        """Return the discriminator's loss on windows and on the generator's versions of them."""
        with torch.no_grad():
            target, rebuilt = self._reconstruct(net, x)
        real = net.discriminator(target.flatten(1))
        made = net.discriminator(rebuilt.flatten(1))
        loss: Tensor = functional.softplus(-real).mean() + functional.softplus(made).mean()
        return loss

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        target, rebuilt = self._reconstruct(net, x)
        return functional.huber_loss(rebuilt, target)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_sizes()
        if not self.adversarial >= 0:
            raise ParameterError(f"adversarial must be at least 0; got {self.adversarial}.")


class _Gan(nn.Module):
    """Generator, an autoencoder, and discriminator."""

    def __init__(self, inputs: int, width: int, latent: int) -> None:
        super().__init__()
        self.generator = dense([inputs, width, latent, width, inputs])
        self.discriminator = dense([inputs, width, max(1, width // 2), 1])

    def features(self, x: Tensor) -> Tensor:
        """Return the discriminator's last hidden features of flattened windows."""
        hidden: Tensor = self.discriminator[:-1](x)
        return hidden
