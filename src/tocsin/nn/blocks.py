"""Building blocks. Every network is a small ensemble: members side by side in one tensor.

Activations have the shape (members, batch, features), and each weight has a leading member
dimension, so that members train independently but in one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class MemberLinear(nn.Module):
    """An affine layer per member: (members, batch, inputs) to (members, batch, outputs).

    Weights start uniform in ±1/√inputs, as in ``torch.nn.Linear``. Without ``bias`` the layer
    is linear.
    """

    def __init__(self, members: int, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = (
            nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound)) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x·weight + bias for every member."""
        if self.bias is None:
            return torch.bmm(x, self.weight)
        return torch.baddbmm(self.bias, x, self.weight)


def mlp(
    members: int,
    sizes: Sequence[int],
    activation: type[nn.Module] = nn.SiLU,
    *,
    bias: bool = True,
) -> nn.Sequential:
    """Return a fully connected network of these layer sizes, linear at the end.

    >>> mlp(3, [4, 8, 2])(torch.zeros(3, 5, 4)).shape
    torch.Size([3, 5, 2])
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [MemberLinear(members, inputs, outputs, bias=bias), activation()]
    return nn.Sequential(*layers[:-1])
