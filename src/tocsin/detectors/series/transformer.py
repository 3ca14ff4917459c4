"""Transformers over patches: how far a point is from what the patches around it say."""

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
from tocsin.errors import ParameterError
from tocsin.nn.series import NeuralSeriesDetector, SeriesTraining
from tocsin.types import Card, FloatArray

_PHASES = 4  # masks, of every fourth patch each, that together hide all points once


class Transformer(NeuralSeriesDetector):
    """Residual of a Transformer over patches: of what was masked, or of the next patch.

    Series (n, channels) in any units, standardised inside, and cut into patches of ``patch``
    points. ``task`` "masked" learns to fill in a random share ``masked`` of the patches of a
    window from the others, and scores with a mask over every fourth patch in turn; "forecast"
    sees the patches before alone, and forecasts the change from their last point. The
    residuals, in units of their usual size, are averaged over the dominant period. ``parts``
    (n, channels) are the smoothed residuals of the channels, 0 for those of at most two values,
    which are inputs alone, and the score is their mean over the others; ``expected``
    (n, channels) is what was filled in or forecast, in the units of the series. ``width``
    numbers stand for a patch in each of the ``layers``. Raises ParameterError for another task,
    sizes below 1, a width that 4 heads cannot share or a share not inside 0 and 1, and
    TrainingFailed when the loss is not finite.
    Vaswani et al., Attention Is All You Need, NeurIPS 2017; masked patches of series: Nie et
    al., A Time Series is Worth 64 Words, ICLR 2023.

    >>> import numpy as np
    >>> x = np.sin(np.arange(1000) / 5)
    >>> x[800:830] = 0
    >>> scores = Transformer(patch=4, window=48, steps=250, batch_size=16).fit(x[:600]).score(x)
    >>> 780 < int(scores.values.argmax()) < 850
    True
    """

    card = Card(
        name="transformer",
        modality="series",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="How far masked stretches are from what a Transformer fills in.",
        paper="Nie et al., A Time Series is Worth 64 Words, ICLR 2023",
        cost="fit O(steps · batch · window · width² · layers / patch), "
        "score O(n · width² · layers / patch)",
        also_known_as=("PatchTST", "TranAD"),
    )
    tasks = ("masked", "forecast")
    rule = MEAN_OVER_PERIODS
    most_held_out = MOST_HELD_OUT
    heads = 4

    def __init__(
        self,
        *,
        task: Literal["masked", "forecast"] = "masked",
        patch: int = 8,
        width: int = 48,
        layers: int = 2,
        masked: float = 0.3,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**(SEQUENCE_TRAINING | training))
        self.task = task
        self.patch = patch
        self.width = width
        self.layers = layers
        self.masked = masked

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"steps": 200, "width": 32, "layers": 1, "patch": 4, "window": 64}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_counts(self, "patch", "width", "layers")
        check_task(self.task, self.tasks)
        if self.width % self.heads:
            raise ParameterError(f"width must be a multiple of {self.heads}; got {self.width}.")
        if not 0 < self.masked < 1:
            raise ParameterError(f"masked is a share between 0 and 1; got {self.masked}.")

    def _window_length(self, x: FloatArray) -> int:
        return 16 * self.patch

    @property
    def _points(self) -> int:
        """The points of a patch: fewer where the window is short."""
        return max(1, min(self.patch, self.window_ // _PHASES))

    @property
    def _patches(self) -> int:
        return self.window_ // self._points

    def _network(self, n_features: int) -> nn.Module:
        return _Patches(
            (n_features, len(self.scored_)),
            (self._patches, self._points),
            (self.width, self.heads, self.layers),
            causal=self.task == "forecast",
        )

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        x = x[:, : self._patches * self._points]
        own = scored_channels(x, self.scored_)
        if self.task == "forecast":
            forecast = self._ahead(net, x)
            return functional.huber_loss(forecast[:, :-1].flatten(1, 2), own[:, self._points :])
        hidden = torch.rand(len(x), self._patches, device=x.device) < self.masked
        loss = functional.huber_loss(self._fill(net, x, hidden), own, reduction="none").mean(2)
        weight = hidden.repeat_interleave(self._points, 1)
        return (loss * weight).sum() / weight.sum().clamp_min(1)

    def _ahead(self, net: Any, x: Tensor) -> Tensor:
        """Return the forecasts (batch, patches, points, scored) that follow on each patch."""
        last = x[:, self._points - 1 :: self._points]
        level = last[:, :, None]
        forecast: Tensor = net(x) + scored_channels(level, self.scored_)
        return forecast

    def _fill(self, net: Any, x: Tensor, hidden: Tensor) -> Tensor:
        """Return windows (batch, length, scored) filled in from the patches not hidden."""
        seen = (~hidden).repeat_interleave(self._points, 1)[..., None].to(x.dtype)
        level = (x * seen).sum(1, keepdim=True) / seen.sum(1, keepdim=True).clamp_min(1)
        filled: Tensor = net(x - level, hidden).flatten(1, 2) + scored_channels(level, self.scored_)
        return filled

    def _residuals(self, net: Any, x: Tensor, at: int) -> tuple[Tensor, Tensor]:
        expect = partial(self._expected, net)
        return expected_residuals(self, x, at, self._margins(), expect)

    def _margins(self) -> Margins:
        """Return the points before, those of a stretch that is expected at once, those after."""
        if self.task == "forecast":
            before = max(1, self._patches // 2)
            return before * self._points, (self._patches - before) * self._points, 0
        margin = self._patches // 4
        return (
            margin * self._points,
            (self._patches - 2 * margin) * self._points,
            margin * self._points,
        )

    def _expected(self, net: Any, x: Tensor) -> Tensor:
        """Return what is expected of windows x, in several ways (batch, length, scored, ways)."""
        if self.task == "forecast":
            forecast = self._ahead(net, x).roll(1, 1)
            return forecast.flatten(1, 2)[..., None]
        phase = torch.arange(self._patches, device=x.device) % _PHASES
        expected = scored_channels(x, self.scored_).clone()
        for each in range(_PHASES):
            hidden = (phase == each).expand(len(x), -1)
            where = hidden.repeat_interleave(self._points, 1)[..., None]
            expected = torch.where(where, self._fill(net, x, hidden), expected)
        return expected[..., None]


class _Patches(nn.Module):
    """From windows (batch, length, inputs) to patches (batch, patches, points, outputs)."""

    def __init__(
        self,
        channels: tuple[int, int],
        window: tuple[int, int],
        size: tuple[int, int, int],
        causal: bool,
    ) -> None:
        super().__init__()
        inputs, self.outputs = channels
        patches, self.points = window
        width, heads, layers = size
        self.embed = nn.Linear(inputs * self.points, width)
        self.place = nn.Parameter(0.02 * torch.randn(patches, width))
        self.hidden = nn.Parameter(0.02 * torch.randn(width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, self.points * self.outputs)
        self.causal = causal

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        z = self.embed(x.reshape(len(x), len(self.place), -1))
        if hidden is not None:
            z = torch.where(hidden[..., None], self.hidden, z)
        z = z + self.place
        later = nn.Transformer.generate_square_subsequent_mask(len(self.place), z.device)
        for block in self.blocks:
            z = block(z, src_mask=later if self.causal else None)
        patches: Tensor = self.head(self.norm(z))
        return patches.view(*z.shape[:2], self.points, self.outputs)
