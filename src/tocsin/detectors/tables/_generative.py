"""What the detectors share that can draw new rows besides scoring given ones."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tocsin.detectors.tables.autoencoder import Autoencoder
from tocsin.errors import NotFitted, ParameterError
from tocsin.types import FloatArray

_CHUNK = 4096


class GenerativeAutoencoder(Autoencoder):
    """An autoencoder whose decoder, fed with random codes, draws new normal rows.

    A subclass names in ``ways`` what ``score_by`` may be, and defines ``_draw``.
    """

    ways: ClassVar[tuple[str, ...]]
    score_by: str

    @abstractmethod
    def _draw(self, net: Any, n: int, generator: torch.Generator) -> Tensor:
        """Return new standardised rows (members, n, d)."""

    def sample(self, n: int, seed: int = 0) -> FloatArray:
        """Return n new normal rows (n, d), in the units of the training rows.

        Each row comes from a member chosen at random. The same seed draws the same rows.
        Raises NotFitted before ``fit``, and ParameterError for n below 1.
        """
        if not hasattr(self, "net_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before sample.")
        if n < 1:
            raise ParameterError(f"sample draws at least 1 row; got n = {n}.")
        generator = torch.Generator().manual_seed(seed)
        rows = []
        with torch.inference_mode():
            for start in range(0, n, _CHUNK):
                drawn = self._draw(self.net_, min(_CHUNK, n - start), generator)
                member = torch.randint(self.members, drawn.shape[1:2], generator=generator)
                rows.append(drawn[member.to(drawn.device), torch.arange(len(member))].cpu())
        return np.asarray(torch.cat(rows).double()) * self.scale_ + self.mean_

    def _latent_size(self, n_features: int) -> int:
        """Return the size of a code; for wide rows the hidden layer bounds the default."""
        return self.latent or max(1, min(n_features, self.width) // 2)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.score_by not in self.ways:
            known = ", ".join(f'"{way}"' for way in self.ways)
            raise ParameterError(f'score_by must be one of {known}; got "{self.score_by}".')


def normal_like(like: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Return standard normal numbers on the device of ``like``, the same on any device."""
    return torch.randn(shape, generator=generator).to(like)
