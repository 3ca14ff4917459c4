"""Recurrent networks: how far a point is from what an LSTM forecasts or reconstructs."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from tocsin.detectors.series._channels import check_counts
from tocsin.detectors.series._sequences import (
    MEAN_OVER_PERIODS,
    MOST_HELD_OUT,
    SEQUENCE_TRAINING,
    Margins,
    check_task,
    expected_residuals,
    scored_channels,
)
from tocsin.nn.series import NeuralSeriesDetector, SeriesTraining
from tocsin.types import Card, FloatArray

_WARM_UP = 64  # points that the network reads before a stretch that counts
_STRETCH = 256


class Lstm(NeuralSeriesDetector):
    """Residual of a long short-term memory network: of its forecast, or of a reconstruction.

    Series (n, channels) in any units, standardised inside. ``task`` "forecast" forecasts the
    change from each point to the next ``horizon`` points, and a point's residual is the mean
    over the forecasts made of it; "reconstruction" encodes a window in the network's state, and
    decodes it backwards from there. The residuals, in units of their usual size, are averaged
    over the dominant period. ``parts`` (n, channels) are the smoothed residuals of the channels,
    0 for those of at most two values, which are inputs alone, and the score is their mean over
    the others; ``expected`` (n, channels) is the forecast or reconstruction in the units of the
    series. ``hidden`` is the size of the state. Raises ParameterError for another task or for
    sizes below 1, and TrainingFailed when the loss is not finite.
    Malhotra et al., Long Short Term Memory Networks for Anomaly Detection in Time Series, ESANN
    2015; LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection, ICML 2016 workshop.

    >>> import numpy as np
    >>> x = np.sin(np.arange(1000) / 5)
    >>> x[800:810] = 0
    >>> scores = Lstm(steps=50).fit(x[:600]).score(x)
    >>> 780 < int(scores.values.argmax()) < 830
    True
    """

    card = Card(
        name="lstm",
        modality="series",
        family="forecast",
        learning=("one-class", "unlabelled"),
        summary="How far a point is from a recurrent network's forecast.",
        paper="Malhotra et al., Long Short Term Memory Networks for Anomaly Detection in Time "
        "Series, ESANN 2015",
        cost="fit O(steps · batch · window · hidden · (channels + hidden)), "
        "score O(n · hidden · (channels + hidden))",
        also_known_as=("LSTM-AD", "EncDec-AD"),
    )
    tasks = ("forecast", "reconstruction")
    rule = MEAN_OVER_PERIODS
    most_held_out = MOST_HELD_OUT

    def __init__(
        self,
        *,
        task: Literal["forecast", "reconstruction"] = "forecast",
        horizon: int = 1,
        hidden: int = 48,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**(SEQUENCE_TRAINING | training))
        self.task = task
        self.horizon = horizon
        self.hidden = hidden

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"steps": 60, "hidden": 16, "window": 48}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_counts(self, "horizon", "hidden")
        check_task(self.task, self.tasks)

    def _window_length(self, x: FloatArray) -> int:
        return 96 if self.task == "forecast" else 64

    def _network(self, n_features: int) -> nn.Module:
        outputs = len(self.scored_)
        if self.task == "reconstruction":
            return _EncoderDecoder(n_features, outputs, self.hidden)
        return _Forecaster(n_features, outputs, self.hidden, self._ahead)

    @property
    def _ahead(self) -> int:
        """The horizon, which half a short window limits."""
        return min(self.horizon, self.window_ // 2)

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        own = scored_channels(x, self.scored_)
        if self.task == "reconstruction":
            return functional.huber_loss(net(x), own)
        forecast = own[:, : -self._ahead, :, None] + net(x[:, : -self._ahead])
        actual = own[:, 1:].unfold(1, self._ahead, 1)
        known = x.shape[1] // 4  # the state has to fill before a forecast can be right
        return functional.huber_loss(forecast[:, known:], actual[:, known:])

    def _residuals(self, net: Any, x: Tensor, at: int) -> tuple[Tensor, Tensor]:
        expect = partial(self._expected, net)
        return expected_residuals(self, x, at, self._margins(), expect)

    def _margins(self) -> Margins:
        """Return the points before, those of a stretch that is expected at once, those after."""
        if self.task == "reconstruction":
            margin = self.window_ // 4
            return margin, self.window_ - 2 * margin, margin
        return _WARM_UP + self._ahead, _STRETCH, 0

    def _expected(self, net: Any, x: Tensor) -> Tensor:
        """Return what is expected of windows x, in several ways (batch, length, scored, ways)."""
        own = scored_channels(x, self.scored_)
        if self.task == "reconstruction":
            rebuilt: Tensor = net(x)
            return rebuilt[..., None]
        forecast = own[..., None] + net(x)
        # The forecast made h points before a point stands in its h-th column.
        steps = [forecast[..., h].roll(h + 1, 1) for h in range(self._ahead)]
        return torch.stack(steps, -1)


class _Forecaster(nn.Module):
    """From windows (batch, length, inputs) to changes (batch, length, outputs, ahead)."""

    def __init__(self, inputs: int, outputs: int, hidden: int, ahead: int) -> None:
        super().__init__()
        self.memory = nn.LSTM(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs * ahead)
        self.ahead = ahead

    def forward(self, x: Tensor) -> Tensor:
        changes: Tensor = self.head(self.memory(x)[0])
        return changes.view(*x.shape[:2], -1, self.ahead)


class _EncoderDecoder(nn.Module):
    """From windows (batch, length, inputs) to their reconstructions (batch, length, outputs).

    The decoder reads the encoder's last state at every step, instead of the point it decoded
    before: it then decodes in training as it does in scoring.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.LSTM(inputs, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        _, (state, cell) = self.encoder(x)
        code = state[0][:, None].expand(-1, x.shape[1], -1)
        backwards, _ = self.decoder(code, (state, cell))
        rebuilt: Tensor = self.head(backwards).flip(1)
        return rebuilt
