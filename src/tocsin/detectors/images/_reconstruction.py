"""What the networks that rebuild pictures have in common."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from tocsin.base.parameters import check_least
from tocsin.detectors.images._networks import kaiming_initialised

_CELL = 4  # pixels of a side of the map's cells
_HALVINGS = 5
_LEAST_SPREAD = 1.0  # grey levels


Standards = tuple[Tensor, Tensor]
"""The mean (3,) of the colours of pictures, and the spread of all values."""


class Reconstruction(ABC):
    """Networks that rebuild pictures from a code of ``latent`` numbers for 32 × 32 pixels.

    ``width`` is the number of channels next to the picture, up to eight times as many next to the
    code. The heat of a cell of 4 × 4 pixels is the root of the mean squared error over it and the
    cells around, in units of its spread over good images at that position.

    It stands before ``NeuralMapDetector`` among the bases of a detector, whose network has
    ``standardise`` and ``rebuild``.
    """

    latent: int
    width: int

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a short training of small networks on small pictures."""
        return {"size": 64, "width": 4, "steps": 25, "batch_size": 8}

    def _begin(self, images: Tensor, opened: Any) -> tuple[Tensor, Standards]:
        # Of some pictures; the loss only needs values of about one.
        some = images[:: max(1, len(images) // 64)].float()
        return images, (some.mean((0, 1, 2)), some.std().clamp_min(_LEAST_SPREAD))

    def _loss(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        x = net.standardise(targets)
        loss: Tensor = (net.rebuild(x) - x).square().mean()
        return loss

    def _maps(self, net: Any, images: Tensor, shared: Any) -> Sequence[Tensor]:
        x = net.standardise(images)
        return (error_map(x, net.rebuild(x)),)

    def _check_sizes(self) -> None:
        check_least(1, latent=self.latent, width=self.width)


class Standardised(nn.Module):
    """A network that takes pictures to values of about one."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Tensor, spread: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.view(1, 3, 1, 1))
        self.register_buffer("spread", spread)

    def standardise(self, images: Tensor) -> Tensor:
        """Return pictures (n, size, size, 3) as (n, 3, size, size)."""
        return (images.permute(0, 3, 1, 2) - self.mean) / self.spread


def error_map(x: Tensor, rebuilt: Tensor) -> Tensor:
    """Return the root mean squared error (n, rows, columns) of cells and those around them."""
    squares = (x - rebuilt).square().mean(1, keepdim=True)
    cells = avg_pool2d(squares, _CELL)
    smooth = avg_pool2d(cells, 3, stride=1, padding=1, count_include_pad=False)
    return torch.sqrt(smooth[:, 0] + 1e-8)


def encoder(width: int, code: int) -> nn.Sequential:
    """Return a network from pictures (n, 3, size, size) to codes (n, code, size/32, size/32)."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise([3, *_widths(width)]):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
    layers.append(nn.Conv2d(_widths(width)[-1], code, 1))
    return kaiming_initialised(nn.Sequential(*layers))


def decoder(width: int, code: int) -> nn.Sequential:
    """Return a network from codes (n, code, size/32, size/32) to pictures (n, 3, size, size)."""
    widths = _widths(width)[::-1]
    layers: list[nn.Module] = [nn.Conv2d(code, widths[0], 1), nn.LeakyReLU(0.1)]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)]
        layers.append(nn.LeakyReLU(0.1))
    # The last doubling is one of channels: filters at full size would cost half of all time.
    layers += [nn.Conv2d(width, 12, 3, padding=1), nn.PixelShuffle(2)]
    return kaiming_initialised(nn.Sequential(*layers))


def _widths(width: int) -> list[int]:
    """Return the channels after each halving.

    >>> _widths(16)
    [16, 32, 64, 128, 128]
    """
    return [width * min(2**i, 8) for i in range(_HALVINGS)]
