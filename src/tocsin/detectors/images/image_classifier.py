"""Images by a pretrained network whose last stages are fine-tuned on labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tocsin.base import ImageDetector, assign_folds
from tocsin.base.parameters import check_count, check_least, check_positive
from tocsin.detectors.images._maps import pictures
from tocsin.encoders.images import DEFAULT, StagedEncoder, open_staged
from tocsin.errors import InputError, ParameterError
from tocsin.features.sampling import subsample
from tocsin.nn.classifier import shown, times_shown
from tocsin.nn.device import pick_device
from tocsin.nn.network import seeded
from tocsin.nn.onnx.graph import OnnxGraph, export_graph, restored_graph
from tocsin.nn.single import train_by_number
from tocsin.nn.training import Schedule
from tocsin.types import BoolArray, Card, FloatArray, ImageArray, IntArray, MapArray, Scores

_FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))  # axes of (1, size, size, 3)
_CHECKS = 8  # of the held-out loss while a network is trained


class ImageClassifier(ImageDetector):
    """EfficientNet-Lite with its last ``stages`` and a new head fine-tuned on labelled images.

    y (n,), 1 = anomaly, both classes present; the anomalies count as much in all as the normal
    images, and rare ones are shown more often. Images are brought to ``size`` × ``size`` pixels, a
    multiple of 32, and seen in training as they are and mirrored along either axis and both. The
    earlier stages stay as they are, and are run once an image and mirroring. Each of ``members``
    networks leaves a part of both classes out, takes ``steps`` steps of ``batch_size`` images at
    ``learning_rate``, which decays, and keeps the weights that do best on its own part. At most
    ``max_images`` are learned from, drawn by ``seed``, anomalies up to half of them first.

    The score is the log odds of being an anomaly at the share of anomalies among the training
    images, by the mean of the networks; ``predict_probability`` is the probability. ``parts`` are
    class activation maps: the log odds of cells of 32 × 32 pixels, whose mean is the score. A
    training image's score comes from the network that has not seen it; of a class with one image
    the scores are too good. ``encoder``: a registered one that offers its stages, such as
    "efficientnet_lite0", "…1" or "…2"; ``device``: "auto", "cuda", "mps" or "cpu". A saved
    detector needs neither torch nor the encoder's package.

    Raises InputError when y has one class only, ParameterError for settings that cannot work,
    TrainingFailed when the loss is not finite, MissingExtra and ModelFolderError for an encoder
    that is not there, and UnreadableFile for an image that cannot be read. Tan & Le, EfficientNet,
    ICML 2019; Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016.

    >>> ImageClassifier(stages=2).get_params()["size"]
    224
    """

    card = Card(
        name="image_classifier",
        modality="images",
        family="supervised",
        learning=("supervised",),
        summary="A pretrained network whose last stages are fine-tuned on labelled images.",
        paper="Tan & Le, EfficientNet, ICML 2019",
        cost="fit 4 passes of the encoder per image and the steps, score one pass",
        also_known_as=("EfficientNet",),
    )
    needs_labels = True

    graph_: OnnxGraph
    encoder_hash_: str
    weight_: float

    def __init__(
        self,
        size: int = 224,
        encoder: str = DEFAULT,
        stages: int = 1,
        members: int = 3,
        steps: int = 120,
        batch_size: int = 16,
        learning_rate: float = 5e-4,
        max_images: int = 2000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.size = size
        self.encoder = encoder
        self.stages = stages
        self.members = members
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_images = max_images
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a short training of the last stage alone on small pictures."""
        return {"size": 128, "members": 2, "steps": 15, "learning_rate": 2e-3}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        if "graph_" in state:
            self.graph_ = restored_graph(state["graph_"], self.size, self.device)
        return self

    def predict_probability(self, X: Any) -> FloatArray:
        """Return the probability (n,) that each image is an anomaly.

        Raises NotFitted before ``fit``.
        """
        probability: FloatArray = expit(self.score(X).values)
        return probability

    def _fit(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        assert y is not None  # noqa: S101 - ``fit`` has checked ``needs_labels``
        if y.min() == y.max():
            raise InputError(
                f"{self.card.name} learns from both normal images and anomalies; all {len(y)} "
                f"labels are {y[0]}."
            )
        encoder = open_staged(self.encoder)
        self.encoder_hash_ = encoder.fingerprint
        learned = _chosen(y, self.max_images, self.seed)
        own, y = X[learned], y[learned]
        self.weight_ = float((y == 0).sum() / y.sum())
        fold = assign_folds(len(y), min(self.members, len(y)), self.seed, y)
        device = pick_device(self.device)
        lower = self._lower(encoder).to(device)
        seen = self._seen(lower, own, device)
        with seeded(self.seed, device):
            heads = [
                self._trained(fold == member, encoder, seen, y, device)
                for member in range(self.members)
            ]
        whole = _Whole(lower.cpu(), heads).eval()
        outputs = [f"cells{member}" for member in range(self.members)]
        self.graph_ = export_graph(whole, self.size, outputs, self.device)
        held_out_by = np.full(len(X), -1)
        held_out_by[learned] = fold
        return self._out_of_sample(X, held_out_by)

    def _lower(self, encoder: StagedEncoder) -> nn.Module:
        """Return the stages that stay, of which there are two or more."""
        stages = encoder.stages()
        if self.stages > len(stages) - 2:
            raise ParameterError(f"stages must be from 1 to {len(stages) - 2}; got {self.stages}.")
        return nn.Sequential(*stages[: -self.stages])

    def _seen(self, lower: nn.Module, X: ImageArray, device: torch.device) -> Tensor:
        """Return the features (n, 4, channels, rows, columns) that stay, float16, mirrored."""
        found = []
        for picture in pictures(X, self.size, "looking at"):
            image = torch.from_numpy(picture)[None]
            mirrored = torch.cat([image.flip(axes) for axes in _FLIPS]).to(device)
            with torch.no_grad():
                found.append(lower(mirrored).half().cpu())
        return torch.stack(found)

    def _trained(
        self,
        held_out: BoolArray,
        encoder: StagedEncoder,
        seen: Tensor,
        y: IntArray,
        device: torch.device,
    ) -> nn.Module:
        """Return the upper stages, having learned from the images not held out."""
        net = _Upper(encoder.stages()[-self.stages :], seen).to(device)
        inside, outside = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        if not len(outside) or len(np.unique(y[inside])) < 2:  # too few to leave any out
            inside = outside = np.arange(len(y))
        times = times_shown(y)
        loss = self._loss(net, seen, torch.from_numpy(y).float(), self.weight_ / times)
        schedule = Schedule(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            check_every=max(1, -(-self.steps // _CHECKS)),
            patience=_CHECKS,
            max_held_out=256,
        )
        train_by_number(
            net,
            [(net, lambda numbers: loss(numbers, len(_FLIPS)))],
            lambda numbers: loss(numbers, 1),
            shown(y, inside, times),
            outside,
            schedule,
            device,
            self.seed,
        )
        return net.cpu().eval()

    def _loss(
        self, net: nn.Module, seen: Tensor, y: Tensor, weight: float
    ) -> Callable[[Tensor, int], Tensor]:
        """Return the mean loss, a scalar, of images by their numbers (k,) and of mirrorings."""
        device = next(net.parameters()).device

        def loss(at: Tensor, mirrorings: int) -> Tensor:
            way = torch.randint(mirrorings, (len(at),))
            labels = y[at].to(device)
            logits = net(seen[at, way].to(device).float()).mean((1, 2))
            weights = torch.where(labels == 1, weight, 1.0)
            total = binary_cross_entropy_with_logits(logits, labels, weights, reduction="sum")
            return total / weights.sum()

        return loss

    def _score(self, X: ImageArray) -> Scores:
        maps = np.stack([self._cells(picture).mean(axis=0) for picture in self._read(X)])
        return Scores(maps.mean(axis=(1, 2), dtype=np.float64), maps)

    def _out_of_sample(self, X: ImageArray, fold: IntArray) -> FloatArray:
        """Return the score (n,) of each image by the network that held out its fold, if any did."""
        scores = np.empty(len(X))
        for i, picture in enumerate(self._read(X)):
            cells = self._cells(picture)
            unseen = cells if fold[i] < 0 else cells[fold[i]]
            scores[i] = unseen.mean(dtype=np.float64)
        return scores

    def _read(self, X: ImageArray) -> Any:
        return pictures(X, self.size, "scoring")

    def _cells(self, picture: Any) -> MapArray:
        """Return the log odds (members, rows, columns) of a picture's cells by each network."""
        found = self.graph_.run(picture)
        cells = np.stack([found[f"cells{member}"] for member in range(self.members)])
        # A loss that counts anomalies several times raises their odds as many times.
        return cells - np.float32(np.log(self.weight_))

    def _check_parameters(self) -> None:
        if self.size < 64 or self.size % 32:
            raise ParameterError(f"size is {self.size}; it must be a multiple of 32, 64 or more.")
        for name in ("stages", "steps", "batch_size"):
            check_count(name, getattr(self, name))
        check_least(2, members=self.members, max_images=self.max_images)
        check_positive(learning_rate=self.learning_rate)


class _Upper(nn.Module):
    """The stages that learn, and the head: from features to logits of cells."""

    def __init__(self, stages: list[nn.Module], seen: Tensor) -> None:
        super().__init__()
        self.stages = nn.Sequential(*stages)
        with torch.no_grad():
            channels = self.stages(seen[:1, 0].float()).shape[1]
        self.head = nn.Conv2d(channels, 1, 1)
        nn.init.zeros_(self.head.weight)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in the mode of evaluation: norms keep the statistics that they were trained on."""
        return super().train(False)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.head(self.stages(features))[:, 0]
        return logits


class _Whole(nn.Module):
    """All networks as one, from pictures to each one's logits of cells."""

    def __init__(self, lower: nn.Module, heads: list[nn.Module]) -> None:
        super().__init__()
        self.lower = lower
        self.heads = nn.ModuleList(heads)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features = self.lower(images)
        return tuple(head(features) for head in self.heads)


def _chosen(y: IntArray, at_most: int, seed: int) -> IntArray:
    """Return numbers of images, some at most, anomalies up to half of them first.

    >>> 4 in _chosen(np.array([0, 0, 0, 0, 1, 0]), 2, seed=0)
    True
    """
    odd, usual = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    kept = odd[subsample(len(odd), max(at_most // 2, at_most - len(usual)), seed)]
    others = usual[subsample(len(usual), at_most - len(kept), seed)]
    return np.sort(np.concatenate([kept, others]))
