"""Texts by a pretrained encoder that is fine-tuned on labels, end to end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tocsin.base import TextDetector
from tocsin.base.parameters import check_count, check_positive
from tocsin.detectors.text._encoded import check_same
from tocsin.detectors.text._ngrams import NgramRegression
from tocsin.detectors.text.text_few_labels import check_classes
from tocsin.encoders import pinned_encoder
from tocsin.encoders.pretrained import Pretrained, batches, mean_pooled
from tocsin.encoders.text import DEFAULT, open_network
from tocsin.errors import CorruptModel, ParameterError
from tocsin.nn.classifier import shown, times_shown
from tocsin.nn.device import pick_device
from tocsin.nn.network import seeded, to_numpy
from tocsin.nn.single import train_by_number
from tocsin.nn.training import Schedule
from tocsin.types import BoolArray, Card, FloatArray, IntArray, Scores, TextArray

_HELD_OUT = 0.1
_TOKENS = 2048  # at once, with padding
_PIECES = 4  # that a training batch of ordinary texts is cut into, each of similar lengths
_CHECKS = 3  # an epoch
_RARELY = 10  # steps from check to check at the least
_STEPS = 100  # that a network is given to adapt, however few the texts


class TextClassifier(TextDetector):
    """A BERT-like network fine-tuned on labelled texts, and a regression on their n-grams.

    y (n,), 1 = anomaly, both classes present; a class counts by its ``weight``: an anomaly's
    loss as a multiple of a normal text's, None for as much in all as the normal ones. The head
    begins as a logistic regression on the untrained embeddings; then it learns together with
    the upper ``layers`` of the network (None: all; the table of word embeddings never), for at
    most ``epochs`` (None: one, or as many as make 100 steps) in batches of ``batch_size`` at
    ``learning_rate``, which decays. An epoch shows every normal text once, and anomalies so
    often that there is about one to ten of them. A tenth of each class is held out: the
    weights that do best on it are kept, and training ends when they no longer improve. On CUDA
    it trains in mixed precision.

    With ``ngrams`` a logistic regression on TF-IDF of n-grams of characters and words learns
    beside it, and the log-odds of the two are added, as of two witnesses: the network knows
    what is meant, the n-grams know numbers, names and odd spelling.

    The score is the log-odds of being an anomaly at the share of anomalies among the training
    texts, ``predict_probability`` the probability. Training scores of held-out texts are their
    own; another text gets, of the held-out scores of its class, the quantile that its score is
    of those of its class that were learned from. With fewer than 5 of a class nothing is held
    out, and the training scores are too good.

    ``encoder`` is "minilm", or the name on the Hugging Face hub or the folder of a BERT-like
    network; ``device`` "auto", "cuda", "mps" or "cpu"; ``seed`` of every random choice. A saved
    detector keeps the weights that it learned, and of the others the encoder's name and hash.

    Raises InputError when y has one class only, ParameterError for settings that cannot work,
    TrainingFailed when the loss is not finite, MissingExtra and ModelFolderError for an encoder
    that is not there. Devlin et al., BERT, NAACL 2019; on the head's beginning Kumar et al.,
    Fine-Tuning Can Distort Pretrained Features, ICLR 2022; on many epochs of few texts Mosbach
    et al., On the Stability of Fine-Tuning BERT, ICLR 2021.

    >>> TextClassifier(layers=2).get_params()["batch_size"]
    32
    """

    card = Card(
        name="text_classifier",
        modality="text",
        family="supervised",
        learning=("supervised",),
        summary="A BERT-like network fine-tuned end to end on labelled texts.",
        paper="Devlin et al., BERT, NAACL 2019",
        cost="three passes of the encoder per text and epoch to fit, one to score",
        also_known_as=("BERT",),
    )
    slow_to_check = True
    needs_labels = True

    encoder_hash_: str
    encoder_source_: str | None = None
    """The encoder's name with its revision; None for detectors saved until 2026."""
    weights_: dict[str, NDArray[np.float32]]
    weight_: float
    ngrams_: NgramRegression

    def __init__(
        self,
        encoder: str = DEFAULT,
        layers: int | None = None,
        weight: float | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        learning_rate: float = 1e-4,
        ngrams: bool = True,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        self.layers = layers
        self.weight = weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.ngrams = ngrams
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a training of the last layer alone, on a few texts."""
        return {"layers": 1, "epochs": 1, "batch_size": 16}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        self.__dict__.pop("_live", None)
        super().set_state(state)
        if "ngrams_" in state:
            self.ngrams_ = NgramRegression().set_state(state["ngrams_"])
        return self

    def predict_probability(self, X: Any) -> FloatArray:
        """Return the probability (n,) that each text is an anomaly.

        Raises NotFitted before ``fit``.
        """
        probability: FloatArray = expit(self.score(X).values)
        return probability

    def _fit(self, X: TextArray, y: IntArray | None) -> FloatArray:
        assert y is not None  # noqa: S101 - ``fit`` has checked ``needs_labels``
        check_classes(y, self.card.name)
        self.encoder_source_ = pinned_encoder("text", self.encoder)
        model = open_network(self.encoder_source_)
        self.encoder_hash_ = model.fingerprint
        self.weight_ = float((y == 0).sum() / y.sum() if self.weight is None else self.weight)
        device = pick_device(self.device)
        net = _Classifier(model).to(device)
        self._begin(net, X, y)
        part = net.upper(self.layers)
        held_out = _held_out(y, self.seed)
        with seeded(self.seed, device):
            self._train(net, part, X, y, held_out)
        if self.ngrams:
            inside = ~held_out
            self.ngrams_ = NgramRegression().fit(X[inside], y[inside], self.weight_)
        learned = {id(weight) for weight in part.parameters()}
        weights = ((name, w) for name, w in net.named_parameters() if id(w) in learned)
        self.weights_ = {name: to_numpy(weight) for name, weight in weights}
        self._live = net
        return self._out_of_sample(X, y, held_out)

    def _score(self, X: TextArray) -> Scores:
        net = self._network()
        logits = net.model.over(X, net).astype(float)
        if self.ngrams:
            logits += self.ngrams_.score(X)
        # A loss that counts anomalies several times raises their odds as many times.
        return Scores(logits - np.log(self.weight_))

    def _out_of_sample(self, X: TextArray, y: IntArray, held_out: BoolArray) -> FloatArray:
        """Return the scores (n,) of the training texts, as if none had been learned from."""
        scores = self._score(X).values
        for label in (0, 1):
            unseen = (y == label) & held_out
            learned = (y == label) & ~held_out
            if unseen.any():
                rank = (rankdata(scores[learned]) - 0.5) / learned.sum()
                scores[learned] = np.quantile(scores[unseen], rank)
        return scores

    def _begin(self, net: _Classifier, X: TextArray, y: IntArray) -> None:
        """Set the head to a regression on the embeddings as they are."""
        from sklearn.linear_model import LogisticRegression

        head = LogisticRegression(class_weight={0: 1.0, 1: self.weight_}, max_iter=1000)
        head.fit(net.model.over(X, net.embed), y)
        with torch.no_grad():
            net.head.weight.copy_(torch.from_numpy(head.coef_))
            net.head.bias.copy_(torch.from_numpy(head.intercept_))

    def _train(
        self, net: _Classifier, part: nn.Module, X: TextArray, y: IntArray, held_out: BoolArray
    ) -> None:
        device = net.head.weight.device
        inside = np.flatnonzero(~held_out)
        outside = np.flatnonzero(held_out) if held_out.any() else inside
        times = times_shown(y)
        epoch_of = shown(y, inside, times)
        labelled = _Labelled(net.model.tokenize(X)["input_ids"], y, self.weight_ / times)
        epoch = -(-len(epoch_of) // self.batch_size)
        epochs = -(-_STEPS // epoch) if self.epochs is None else self.epochs
        schedule = Schedule(
            steps=epoch * epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            gradient_norm=1.0,
            check_every=max(_RARELY, -(-epoch // _CHECKS)),
            patience=_CHECKS,
        )
        loss = partial(labelled.loss, net)
        train_by_number(net, [(part, loss)], loss, epoch_of, outside, schedule, device, self.seed)

    def _network(self) -> _Classifier:
        """Return the network, put together again after loading."""
        if "_live" not in self.__dict__:
            model = open_network(self.encoder_source_ or self.encoder)
            check_same(self.encoder, model.fingerprint, self.encoder_hash_)
            net = _Classifier(model)
            weights = {name: torch.from_numpy(w.copy()) for name, w in self.weights_.items()}
            try:
                net.load_state_dict(weights, strict=False)
            except RuntimeError as error:
                raise CorruptModel(f"The weights of a network do not fit it: {error}") from error
            self._live = net.to(pick_device(self.device)).eval()
        return self._live

    def _check_parameters(self) -> None:
        check_count("batch_size", self.batch_size)
        for name in ("epochs", "layers"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        check_positive(learning_rate=self.learning_rate)
        if self.weight is not None and not self.weight > 0:
            raise ParameterError(f"weight must be above 0, or None; got {self.weight}.")


class _Classifier(nn.Module):
    """Logits (n,) of texts, given as their tokens (n, t) and which of these are there."""

    def __init__(self, model: Pretrained) -> None:
        super().__init__()
        self.model = model
        self.encoder = model.network
        for module in self.encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # it costs a quarter of the time, and training is stopped early
        self.head = nn.Linear(model.network.config.hidden_size, 1).requires_grad_(False)

    def embed(self, ids: Tensor, there: Tensor) -> Tensor:
        """Return the embeddings (n, d)."""
        return mean_pooled(self.encoder, ids, there)

    def forward(self, ids: Tensor, there: Tensor) -> Tensor:
        logits: Tensor = self.head(self.embed(ids, there))[:, 0]
        return logits

    def upper(self, layers: int | None) -> nn.ModuleList:
        """Return the head and the upper layers of the encoder, all by default."""
        lists = [each for each in self.encoder.modules() if isinstance(each, nn.ModuleList)]
        stack = list(max(lists, key=len, default=[]))
        return nn.ModuleList([*stack[-(layers or len(stack)) :], self.head])


class _Labelled:
    """Tokens of n texts and their labels, and the loss of some of them."""

    def __init__(self, tokens: list[list[int]], y: IntArray, weight: float) -> None:
        self.tokens = tokens
        self.lengths = np.array([len(row) for row in tokens])
        self.y = torch.from_numpy(y).float()
        self.weights = torch.where(self.y == 1, weight, 1.0)

    def loss(self, net: _Classifier, numbers: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of texts of these numbers (k,), by their weights."""
        device = net.head.weight.device
        at = numbers.numpy()
        total = torch.zeros((), device=device)
        for some in batches(self.lengths[at], _TOKENS // _PIECES):
            own = at[some]
            ids, there = net.model.padded([self.tokens[i] for i in own], device)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                logits = net(ids, there)
            total = total + binary_cross_entropy_with_logits(
                logits.float(),
                self.y[own].to(device),
                self.weights[own].to(device),
                reduction="sum",
            )
        return total / self.weights[at].sum().to(device)


def _held_out(y: IntArray, seed: int) -> BoolArray:
    """Return which tenth (n,) of each class is held out; none if a class is too small for it."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(y), dtype=bool)
    for label in (0, 1):
        rows = random.permutation(np.flatnonzero(y == label))
        size = int(_HELD_OUT * len(rows) + 0.5)
        if not size:
            return np.zeros(len(y), dtype=bool)
        chosen[rows[:size]] = True
    return chosen
