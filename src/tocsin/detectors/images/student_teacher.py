"""Student and teacher: places where a small network does not foresee a pretrained one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tocsin.base.parameters import check_least
from tocsin.detectors.images._networks import (
    ImageTraining,
    NeuralMapDetector,
    kaiming_initialised,
)
from tocsin.encoders.images import DEFAULT, open_encoder
from tocsin.errors import ParameterError
from tocsin.nn.device import pick_device
from tocsin.progress import report
from tocsin.types import Card

_STRIDE = 16  # pixels of a side of the maps' cells
_AT_ONCE = 8


class StudentTeacher(NeuralMapDetector):
    """Error of small networks that learned a pretrained network's features on good images.

    The teacher's features of ``layer``, each channel standardised over the good images, are what
    the students learn to give; the heat of a cell of 16 × 16 pixels is the squared error averaged
    over channels, in units of its spread over good images at that position. ``encoder``: see
    ``encoders.images.open_encoder``; ``layer`` is one of its layers, None the last of the coarse
    ones ("stage5" of EfficientNet-Lite). ``width`` channels come first in a student, four times
    as many last. ``size`` is the side in pixels to which images are brought. ``members``,
    ``steps``, ``batch_size``, ``learning_rate``, ``max_images``, ``device`` and ``seed``: see
    ``NeuralMapDetector``. A saved detector needs neither torch nor the encoder's package.

    Raises ParameterError for settings that cannot work, TrainingFailed when the loss is not
    finite, MissingExtra and ModelFolderError for an encoder that is not there, and UnreadableFile
    for an image that cannot be read.

    Bergmann et al., Uninformed Students, CVPR 2020; Batzner et al., EfficientAD, WACV 2024, here
    with a network for mobile devices as the teacher.

    >>> StudentTeacher(encoder="efficientnet_lite2").get_params()["size"]
    256
    """

    card = Card(
        name="student_teacher",
        modality="images",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Where students that learned on good images differ from a pretrained teacher.",
        paper="Batzner et al., EfficientAD, WACV 2024",
        cost="fit O(members · steps · batch · size²), score one pass of the encoder and students",
        also_known_as=("EfficientAD", "STFPM", "uninformed students"),
    )

    encoder_hash_: str

    def __init__(
        self,
        *,
        encoder: str = DEFAULT,
        layer: str | None = None,
        width: int = 32,
        **training: Unpack[ImageTraining],
    ) -> None:
        defaults = ImageTraining(size=256, steps=250)
        super().__init__(**(defaults | training))
        self.encoder = encoder
        self.layer = layer
        self.width = width

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a short training of narrow students on small pictures."""
        return {"size": 64, "width": 8, "steps": 25}

    def _opened(self) -> _Teacher:
        encoder = open_encoder(self.encoder)
        self.encoder_hash_ = encoder.fingerprint
        layer = self.layer or encoder.coarse[-1]
        if layer not in encoder.layers:
            raise ParameterError(
                f"The encoder has no layer {layer}; it has: {', '.join(encoder.layers)}."
            )
        return _Teacher(encoder.network(), layer, self.size // _STRIDE).eval()

    def _begin(self, images: Tensor, opened: _Teacher) -> tuple[Tensor, _Teacher]:
        """Return the teacher's features, float16, and the teacher with their mean and spread."""
        device = pick_device(self.device)
        teacher = opened.to(device)
        found, total, squares = [], torch.zeros(()), torch.zeros(())
        with torch.no_grad():
            for begin in range(0, len(images), _AT_ONCE):
                features = teacher(images[begin : begin + _AT_ONCE].to(device).float()).cpu()
                found.append(features.half())
                total = total + features.double().sum((0, 2, 3))
                squares = squares + features.double().square().sum((0, 2, 3))
                report("looking at images", begin + len(features), len(images))
        targets = torch.cat(found)
        count = targets.numel() // targets.shape[1]
        mean = total / count
        spread = (squares / count - mean.square()).clamp_min(0).sqrt()
        spread = spread.clamp_min(1e-3 * float(spread.max()) + 1e-6)
        teacher = teacher.cpu().standardised(mean.float(), spread.float())
        for begin in range(0, len(targets), _AT_ONCE):  # in place, in memory of one copy
            chunk = targets[begin : begin + _AT_ONCE]
            chunk.copy_(teacher.scaled(chunk.float()))
        return targets, teacher

    def _shared(self, basis: _Teacher) -> nn.Module:
        return basis

    def _network(self, basis: _Teacher) -> nn.Module:
        return _Student(self.width, basis.mean.shape[1])

    def _loss(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        loss: Tensor = (net(images) - targets).square().mean()
        return loss

    def _maps(self, net: Any, images: Tensor, shared: Any) -> Sequence[Tensor]:
        return ((net(images) - shared).square().mean(1),)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(1, width=self.width)


class _Teacher(nn.Module):
    """Features of a layer (n, channels, grid, grid), each channel standardised."""

    mean: Tensor
    spread: Tensor

    def __init__(self, network: nn.Module, layer: str, grid: int) -> None:
        super().__init__()
        self.network = network
        self.layer = layer
        self.grid = grid
        self.standardised(torch.zeros(1), torch.ones(1))

    def standardised(self, mean: Tensor, spread: Tensor) -> _Teacher:
        """Set the mean and the spread of each channel, and return self."""
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("spread", spread.view(1, -1, 1, 1))
        return self

    def scaled(self, features: Tensor) -> Tensor:
        """Return features in units of their spread."""
        return (features - self.mean) / self.spread

    def forward(self, images: Tensor) -> Tensor:
        features = self.network(images)[self.layer]
        if features.shape[-1] != self.grid:
            features = interpolate(features, (self.grid, self.grid), mode="bilinear")
        return self.scaled(features)


class _Student(nn.Module):
    """A convolutional network from pictures (n, size, size, 3) to a cell for 16 × 16 pixels."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 7, stride=4, padding=3), nn.LeakyReLU(0.1)]
        for inputs, outputs in pairwise([width, 2 * width, 4 * width]):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.1)]
        for _ in range(2):
            layers += [nn.Conv2d(4 * width, 4 * width, 3, padding=1), nn.LeakyReLU(0.1)]
        layers.append(nn.Conv2d(4 * width, channels, 1))
        self.layers = kaiming_initialised(nn.Sequential(*layers))

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.layers((images.permute(0, 3, 1, 2) - 127.5) / 64)
        return features
