"""What the detectors share that can draw new rows besides scoring given ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tocsin.errors import NotFitted, ParameterError
from tocsin.nn.tables import NeuralTableDetector
from tocsin.types import FloatArray

_CHUNK = 4096

Draw = Callable[[Any, int, torch.Generator], Tensor]
"""Takes a network to n new standardised rows (members, n, d)."""


def draw_rows(detector: NeuralTableDetector, draw: Draw, n: int, seed: int) -> FloatArray:
    """Return n new normal rows (n, d), in the units of the training rows.

    Each row comes from a member chosen at random. The same seed draws the same rows.
    Raises NotFitted before ``fit``, and ParameterError for n below 1.
    """
    if not hasattr(detector, "net_"):
        raise NotFitted(f"{detector.card.name} is not trained yet: call fit before sample.")
    if n < 1:
        raise ParameterError(f"sample draws at least 1 row; got n = {n}.")
    generator = torch.Generator().manual_seed(seed)
    rows = []
    with torch.inference_mode():
        for start in range(0, n, _CHUNK):
            drawn = draw(detector.net_, min(_CHUNK, n - start), generator)
            member = torch.randint(detector.members, drawn.shape[1:2], generator=generator)
            rows.append(drawn[member.to(drawn.device), torch.arange(len(member))].cpu())
    return np.asarray(torch.cat(rows).double()) * detector.scale_ + detector.mean_


def code_size(latent: int | None, n_features: int, width: int) -> int:
    """Return the size of a code; for wide rows the hidden layer bounds the default."""
    return latent or max(1, min(n_features, width) // 2)


def check_way(score_by: str, ways: Sequence[str]) -> None:
    """Raise ParameterError unless ``score_by`` is one of the ways to score."""
    if score_by not in ways:
        known = ", ".join(f'"{way}"' for way in ways)
        raise ParameterError(f'score_by must be one of {known}; got "{score_by}".')


def normal_like(like: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return standard normal numbers on the device of ``like``, the same on any device."""
    return torch.randn(shape, generator=generator).to(like)
