"""Log sessions by how well a recurrent network foretells each next template."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tocsin.base.parameters import check_least
from tocsin.detectors.logs._sequences import HIDDEN, PAD, LogTraining, NeuralLogDetector
from tocsin.types import Card

_HIDDEN_SHARE = 0.02


class LogLstm(NeuralLogDetector):
    """Foretell each template, and the end of the session, from all lines before it.

    An LSTM with ``units`` units reads the session; the score is the surprise of the most
    surprising line or of an end that comes too early. In training 2 % of the lines are hidden
    from the network, so that it knows what to expect after an unknown template. Sees what
    counts do not: lines in a wrong order. Learn from normal sessions.
    """

    card = Card(
        name="log_lstm",
        modality="logs",
        family="forecast",
        learning=("one-class",),
        summary="Surprise of the next template, or of the end, to an LSTM.",
        paper="Du, Li, Zheng & Srikumar, DeepLog, CCS 2017",
        cost="O(lines x units^2) per step",
        also_known_as=("DeepLog",),
    )

    def __init__(self, *, units: int = 64, **training: Unpack[LogTraining]) -> None:
        super().__init__(**training)
        self.units = units

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(2, units=self.units)

    def _member(self, n_tokens: int) -> nn.Module:
        return _NextToken(n_tokens, self.units)

    def _loss(self, net: Any, tokens: Tensor) -> Tensor:
        seen = tokens[:, :-1]
        hide = (torch.rand(seen.shape, device=seen.device) < _HIDDEN_SHARE) & (seen != PAD)
        logits = net(seen.masked_fill(hide, HIDDEN))
        return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=PAD)

    def _probabilities(self, net: Any, tokens: Tensor) -> Tensor:
        p: Tensor = net(tokens[:, :-1]).softmax(-1)
        return p.gather(2, tokens[:, 1:, None])[..., 0]


class _NextToken(nn.Module):
    """Logits (batch, tokens, kinds) of the token after each token."""

    def __init__(self, n_tokens: int, units: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, units // 2)
        self.lstm = nn.LSTM(units // 2, units, batch_first=True)
        self.head = nn.Linear(units, n_tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(tokens))
        logits: Tensor = self.head(states)
        return logits
