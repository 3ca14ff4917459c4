"""Causal convolutions: how far a point is from what a dilated network forecasts."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

from torch import Tensor, nn
from torch.nn import functional

from tocsin.detectors.series._channels import check_counts
from tocsin.detectors.series._sequences import (
    MEAN_OVER_PERIODS,
    MOST_HELD_OUT,
    SEQUENCE_TRAINING,
    Margins,
    expected_residuals,
    scored_channels,
)
from tocsin.nn.series import NeuralSeriesDetector, SeriesTraining
from tocsin.types import Card, FloatArray

_STRETCH = 512


class Cnn(NeuralSeriesDetector):
    """Residual of the forecast of a causal convolutional network with growing dilations.

    Series (n, channels) in any units, standardised inside. The network forecasts the change
    from each point to the next, out of the last points: 63 of them with the ``layers`` 5 and
    ``kernel`` 3 of the default, each layer of ``width`` channels twice as far apart as the one
    before. The residuals, in units of their usual size, are averaged over the dominant period.
    ``parts`` (n, channels) are the smoothed residuals of the channels, 0 for those of at most
    two values, which are inputs alone, and the score is their mean over the others;
    ``expected`` (n, channels) is the forecast in the units of the series. Raises ParameterError
    for sizes below 1, and TrainingFailed when the loss is not finite.
    Munir et al., DeepAnT: A Deep Learning Approach for Unsupervised Anomaly Detection in Time
    Series, IEEE Access 2019; the dilations are those of Bai, Kolter and Koltun, An Empirical
    Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling, 2018.

    >>> import numpy as np
    >>> x = np.sin(np.arange(1000) / 5)
    >>> x[800:810] = 0
    >>> scores = Cnn(steps=50).fit(x[:600]).score(x)
    >>> 780 < int(scores.values.argmax()) < 830
    True
    """

    card = Card(
        name="cnn",
        modality="series",
        family="forecast",
        learning=("one-class", "unlabelled"),
        summary="How far a point is from a convolutional network's forecast.",
        paper="Munir et al., DeepAnT: A Deep Learning Approach for Unsupervised Anomaly "
        "Detection in Time Series, IEEE Access 2019",
        cost="fit O(steps · batch · window · width² · layers), score O(n · width² · layers)",
        also_known_as=("DeepAnT", "TCN"),
    )
    rule = MEAN_OVER_PERIODS
    most_held_out = MOST_HELD_OUT

    def __init__(
        self,
        *,
        width: int = 32,
        kernel: int = 3,
        layers: int = 5,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**(SEQUENCE_TRAINING | training))
        self.width = width
        self.kernel = kernel
        self.layers = layers

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"steps": 60, "width": 16, "layers": 4, "window": 64}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_counts(self, "width", "kernel", "layers")

    def _window_length(self, x: FloatArray) -> int:
        return 2 * self._seen

    @property
    def _seen(self) -> int:
        """The number of points that a forecast is made from."""
        return (self.kernel - 1) * ((1 << self.layers) - 1) + 1

    def _network(self, n_features: int) -> nn.Module:
        return _Causal(n_features, len(self.scored_), self.width, self.kernel, self.layers)

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        own = scored_channels(x, self.scored_)
        forecast = own[:, :-1] + net(x[:, :-1])
        known = x.shape[1] // 4  # the first points have too little before them
        return functional.huber_loss(forecast[:, known:], own[:, 1:][:, known:])

    def _residuals(self, net: Any, x: Tensor, at: int) -> tuple[Tensor, Tensor]:
        expect = partial(self._expected, net)
        return expected_residuals(self, x, at, self._margins(), expect)

    def _margins(self) -> Margins:
        """Return the points before, those of a stretch that is expected at once, those after."""
        return self._seen, _STRETCH, 0

    def _expected(self, net: Any, x: Tensor) -> Tensor:
        """Return what is expected of windows x, in several ways (batch, length, scored, ways)."""
        forecast: Tensor = scored_channels(x, self.scored_) + net(x)
        return forecast.roll(1, 1)[..., None]


class _Causal(nn.Module):
    """From windows (batch, length, inputs) to changes (batch, length, outputs)."""

    def __init__(self, inputs: int, outputs: int, width: int, kernel: int, layers: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, width, 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, kernel, dilation=2**i) for i in range(layers)
        )
        self.pasts = [(kernel - 1) * 2**i for i in range(layers)]
        self.last = nn.Conv1d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x.transpose(1, 2))
        for layer, past in zip(self.layers, self.pasts, strict=True):
            z = z + functional.silu(layer(functional.pad(z, (past, 0))))
        changes: Tensor = self.last(z).transpose(1, 2)
        return changes
