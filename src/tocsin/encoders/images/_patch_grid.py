"""The layers of a network over images, brought onto one grid of patches."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate


class PatchGrid(nn.Module):
    """Maps of some layers, each (n, grid, grid, channels) and averaged over 3 × 3 cells.

    Finer maps are averaged to the grid, coarser ones interpolated.
    """

    def __init__(self, network: Any, layers: tuple[str, ...], grid: int) -> None:
        super().__init__()
        self.network = network
        self.layers = layers
        self.grid = grid

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of images (n, size, size, 3)."""
        maps = self.network(images)
        return tuple(self._on_grid(maps[layer]) for layer in self.layers)

    def _on_grid(self, x: Tensor) -> Tensor:
        if x.ndim == 2:  # one vector per image
            return x
        side = int(x.shape[-1])
        if side >= 2 * self.grid:
            x = avg_pool2d(x, side // self.grid)
            side = side // (side // self.grid)
        if side != self.grid:
            x = interpolate(x, size=(self.grid, self.grid), mode="bilinear", align_corners=False)
        x = avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return x.permute(0, 2, 3, 1)
