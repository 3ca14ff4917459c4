"""Scores of networks that reconstruct rows, each column in units of its held-out error.

The networks take rows (members, batch, d) to reconstructions of the same shape, and keep each
column's held-out error as ``error`` (members, 1, d).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

_FLOOR = 0.02
"""Added to a column's held-out error, so that a perfectly learned column does not dominate."""


def reconstruction_loss(net: Any, x: Tensor) -> Tensor:
    """Return the mean squared residual (members,) of rows."""
    loss: Tensor = (net(x) - x).square().mean((1, 2))
    return loss


def calibrate_errors(net: Any, held_out: Tensor) -> None:
    """Set the network's ``error`` to each column's mean squared residual on held-out rows."""
    net.error.copy_((net(held_out) - held_out).square().mean(1, keepdim=True))


def relative_errors(net: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return scores (members, batch), each column's part of them, and the reconstructions."""
    expected = net(x)
    # Squared: where most columns are nearly constant, the few that are not must count.
    parts = (expected - x).square() / (net.error + _FLOOR) / x.shape[2]
    return parts.sum(2), parts, expected
