"""Log sessions by how well a transformer fills in templates that are hidden from it."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tocsin.base.parameters import check_least
from tocsin.detectors.logs._sequences import HIDDEN, PAD, LogTraining, NeuralLogDetector
from tocsin.errors import ParameterError
from tocsin.types import Card

_HIDDEN_SHARE = 0.3
_PASSES = 4
"""A session is scored so often, each time with every fourth line hidden."""


class LogTransformer(NeuralLogDetector):
    """Fill in hidden templates from the lines before and after them.

    A transformer encoder of ``layers`` layers, ``width`` wide, learns to foretell lines that
    are hidden at random, 30 % of them, and the last one always. Half of the sessions it learns
    from are cut off at random, so that an end is foretold by what came before, and not by the
    mere fact that nothing follows. To score a session, every fourth line is hidden at a time;
    the score is the surprise of the most surprising line. Learn from normal sessions.
    """

    card = Card(
        name="log_transformer",
        modality="logs",
        family="reconstruction",
        learning=("one-class",),
        summary="Surprise of hidden templates to a transformer, as in LogBERT.",
        paper="Guo, Yuan & Wu, LogBERT, IJCNN 2021",
        cost="O(lines x (width^2 + length x width) x layers) per step",
        also_known_as=("LogBERT",),
    )

    def __init__(
        self,
        *,
        width: int = 32,
        heads: int = 4,
        layers: int = 2,
        **training: Unpack[LogTraining],
    ) -> None:
        super().__init__(**training)
        self.width = width
        self.heads = heads
        self.layers = layers

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(1, width=self.width, heads=self.heads, layers=self.layers)
        if self.width % self.heads:
            raise ParameterError(f"width must be a multiple of {self.heads}; got {self.width}.")

    def _member(self, n_tokens: int) -> nn.Module:
        return _FillIn(n_tokens, self.length + 1, self.width, self.heads, self.layers)

    def _loss(self, net: Any, tokens: Tensor) -> Tensor:
        random = torch.rand(tokens.shape, device=tokens.device)
        at = torch.arange(tokens.shape[1], device=tokens.device)
        # The last token that is left: a random one in half of the sessions.
        last = (tokens != PAD).sum(1) - 1
        last = torch.where(random[:, 0] < 0.5, 1 + (random[:, -1] * last).long(), last)
        tokens = tokens.masked_fill(at > last[:, None], PAD)
        hide = (random < _HIDDEN_SHARE) & (tokens != PAD) & (at > 0) | (at == last[:, None])
        logits = net(tokens.masked_fill(hide, HIDDEN))
        return cross_entropy(logits[hide], tokens[hide])

    def _probabilities(self, net: Any, tokens: Tensor) -> Tensor:
        p = torch.zeros(tokens.shape, dtype=next(net.parameters()).dtype, device=tokens.device)
        for first in range(1, _PASSES + 1):
            seen = tokens.clone()
            seen[:, first::_PASSES] = HIDDEN
            filled = net(seen).softmax(-1).gather(2, tokens[..., None])[..., 0]
            p[:, first::_PASSES] = filled[:, first::_PASSES]
        return p[:, 1:]


class _FillIn(nn.Module):
    """Logits (batch, tokens, kinds) of each token, from all that are not hidden."""

    def __init__(self, n_tokens: int, longest: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, width)
        self.position = nn.Parameter(0.02 * torch.randn(longest, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, n_tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens) + self.position[: tokens.shape[1]]
        x = self.encoder(x, src_key_padding_mask=tokens == PAD)
        logits: Tensor = self.head(self.norm(x))
        return logits
