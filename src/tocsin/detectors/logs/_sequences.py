"""The common part of the detectors that train a network on the order of templates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from tocsin.base import LogDetector, assign_folds
from tocsin.base.declared import Shape, Within
from tocsin.base.parameters import check_positive
from tocsin.detectors.logs._counts import find
from tocsin.errors import ParameterError
from tocsin.nn.device import pick_device
from tocsin.nn.network import NetworkDetector, seeded, to_numpy
from tocsin.nn.single import SingleMember
from tocsin.nn.training import MemberBatches, Schedule, train
from tocsin.types import FloatArray, IntArray, Scores, SessionArray

PAD, START, END, HIDDEN = range(4)
"""Tokens beside the templates; a template that was not seen in training is HIDDEN."""

_CELLS = 2**13  # tokens scored at once


class LogTraining(TypedDict, total=False):
    """How networks are trained: keywords that every neural detector of log sessions takes."""

    length: int
    members: int
    steps: int
    batch_size: int
    learning_rate: float
    device: str
    seed: int


class NeuralLogDetector(NetworkDetector, LogDetector):
    """A detector that trains networks to predict the templates of a session.

    A session scores the surprise of its most surprising line: −log of the probability p of its
    template, or of the session's end, by the network; more exactly of p + 1/(lines + 2), lines
    being those of training, so that a template that is new scores log(lines + 2). Sessions of
    more than ``length`` lines are cut into pieces.

    ``members`` networks (2 or more) each hold out their own fold of the training sessions,
    for early stopping, and score them; new sessions get the mean of all members. ``steps`` of
    ``batch_size`` sessions each at ``learning_rate``, which decays; ``device`` "auto", "cuda",
    "mps" or "cpu"; ``seed`` of every random choice. A subclass takes these as ``**training``
    beside its own keywords.

    A subclass builds a ``_member`` network, and gives the training ``_loss`` of tokens (batch,
    tokens), padded, and the ``_probabilities`` (batch, tokens − 1) of all tokens but the first,
    of sessions of one length.
    """

    templates_: Annotated[IntArray, Shape("kinds", empty=True), Within(rising=True)]
    lines_: Annotated[int, Within(0)]

    def __init__(
        self,
        *,
        length: int = 128,
        members: int = 2,
        steps: int = 200,
        batch_size: int = 64,
        learning_rate: float = 5e-3,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.length = length
        self.members = members
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters of a short training."""
        return {"members": 2, "steps": 100, "batch_size": 32, "device": "cpu"}

    @abstractmethod
    def _member(self, n_tokens: int) -> nn.Module:
        """Return a new network over this many kinds of tokens."""

    @abstractmethod
    def _loss(self, net: Any, tokens: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of sessions (batch, tokens), padded with PAD."""

    @abstractmethod
    def _probabilities(self, net: Any, tokens: Tensor) -> Tensor:
        """Return the probability (batch, tokens − 1) of each token but the first."""

    def _network(self, n_features: int) -> nn.Module:
        return nn.ModuleList(self._member(n_features) for _ in range(self.members))

    def _fit(self, X: SessionArray, y: IntArray | None) -> None:
        lines = np.concatenate([session.templates for session in X]).astype(np.int64)
        self.templates_ = np.unique(lines[lines >= 0])
        self.lines_ = len(lines)
        self.n_features_in_ = HIDDEN + 1 + len(self.templates_)
        pieces, session = self._pieces([each.templates for each in X])
        tokens = np.full((len(pieces), max(map(len, pieces))), PAD, dtype=np.float64)
        for row, piece in zip(tokens, pieces, strict=True):
            row[: len(piece)] = piece
        self._train(tokens, self._fold(len(X))[session])

    def _fold(self, n: int) -> IntArray:
        """Return which member (n,) holds out each session."""
        return assign_folds(n, min(self.members, n), seed=self.seed)

    def _train(self, tokens: FloatArray, fold: IntArray) -> None:
        device = pick_device(self.device)
        schedule = Schedule(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate
        )
        with seeded(self.seed, device):
            nets = self._network(self.n_features_in_).to(device)
            for number, net in enumerate(nets.children()):
                held_out = (fold != number % (fold.max() + 1)).astype(np.int64)
                rows = MemberBatches(tokens, held_out, 1, lambda x: x, device, self.seed + number)
                single = SingleMember(net)
                loss = partial(self._cut_loss, net)
                validate = partial(self._validate, net)
                train(single, [single.objective(net, loss)], rows, validate, schedule)
        self.net_ = self._ready(nets, device)

    def _cut_loss(self, net: nn.Module, x: Tensor) -> Tensor:
        """Return the loss of padded sessions, less the columns that only hold padding."""
        tokens = x.long()
        return self._loss(net, tokens[:, : int((tokens != PAD).sum(1).max())])

    def _validate(self, net: nn.Module, x: Tensor) -> Tensor:
        """Return the held-out loss (1,), with the same random draws at every check."""
        with seeded(self.seed, x.device):
            return self._cut_loss(net, x[0])[None]

    def _score(self, X: SessionArray) -> Scores:
        kinds, kind = _distinct(X)
        return Scores(self._surprises(kinds).mean(axis=0)[kind])

    def _score_training(self, X: SessionArray, y: IntArray | None) -> FloatArray:
        kinds, kind = _distinct(X)
        return self._surprises(kinds)[self._fold(len(X)), kind]

    def _surprises(self, sequences: list[IntArray]) -> FloatArray:
        """Return the highest surprise (members, n) in each sequence of templates."""
        pieces, session = self._pieces(sequences)
        weights = next(self.net_.parameters())
        worst = np.zeros((self.members, len(sequences)))
        with torch.inference_mode():
            for at in _by_length(pieces):
                tokens = torch.from_numpy(np.stack([pieces[i] for i in at])).to(weights.device)
                for number, net in enumerate(self.net_.children()):
                    p = self._probabilities(net, tokens)
                    p = torch.where(tokens[:, 1:] == HIDDEN, 0.0, p)
                    surprise = -np.log(to_numpy(p.amin(1)) + 1 / (self.lines_ + 2))
                    np.maximum.at(worst[number], session[at], surprise)
        return worst

    def _pieces(self, sequences: list[IntArray]) -> tuple[list[IntArray], IntArray]:
        """Return sequences of templates as tokens, in pieces, and the sequence of each piece.

        A piece begins with START, or the last line of the piece before; the last ends with END.
        """
        pieces, owner = [], []
        for number, templates in enumerate(sequences):
            tokens = find(self.templates_, templates) + HIDDEN + 1
            tokens = np.concatenate([[START], tokens, [END]])
            for begin in range(0, len(tokens) - 1, self.length):
                pieces.append(tokens[begin : begin + self.length + 1])
                owner.append(number)
        return pieces, np.array(owner)

    def _check_parameters(self) -> None:
        check_positive(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            length=self.length,
        )
        if self.members < 2:
            raise ParameterError(f"members must be 2 or more; got {self.members}.")


def _distinct(X: SessionArray) -> tuple[list[IntArray], IntArray]:
    """Return the distinct sequences of templates, and which one (n,) each session is."""
    number: dict[bytes, int] = {}
    kinds: list[IntArray] = []
    kind = np.empty(len(X), dtype=np.int64)
    for i, session in enumerate(X):
        kind[i] = number.setdefault(session.templates.tobytes(), len(number))
        if kind[i] == len(kinds):
            kinds.append(session.templates)
    return kinds, kind


def _by_length(pieces: list[IntArray]) -> Iterator[IntArray]:
    """Yield batches of pieces of the same length, by number: scores do not depend on padding."""
    lengths = np.array([len(piece) for piece in pieces])
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        size = max(1, _CELLS // int(length))
        for begin in range(0, len(same), size):
            yield same[begin : begin + size]
