"""Adversarial network with an encoder: rows that a generator of normal rows cannot make."""

from __future__ import annotations

import copy
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from tocsin.base.abilities import Embeds, Samples
from tocsin.base.parameters import check_least
from tocsin.detectors.tables._generative import check_way, code_size, draw_rows, normal_like
from tocsin.detectors.tables._reconstruction import (
    calibrate_errors,
    reconstruction_loss,
    relative_errors,
)
from tocsin.nn.blocks import MemberLinear, mlp
from tocsin.nn.tables import NeuralTableDetector, TableTraining
from tocsin.nn.training import Objective, Schedule
from tocsin.types import Card, FloatArray

_ADVERSARIAL = 0.2
"""Weight of fooling the discriminator, beside that of reconstructing a row."""

_CYCLE = 0.5
"""Weight of returning a random code to itself, beside that of reconstructing a row."""

_NOISE = 0.5
"""Standard deviation of the noise that blurs what the discriminator sees at the start."""

_SEEN = 128
"""The discriminator sees wider rows through a fixed random projection to this many columns."""

_AVERAGING = 0.99
"""How slowly the averaged weights follow the trained ones."""


class Gan(NeuralTableDetector, Embeds, Samples):
    """An ensemble of generators trained against discriminators, each with an encoder.

    Rows (n, d) in any units, standardised inside. The discriminator tells pairs of a row and
    its code from pairs of a generated row and the random code it was made from, with the
    hinge loss, spectral normalisation and noise that fades; generator and encoder learn above
    all to reconstruct rows and codes, and their averaged weights score. ``score_by`` is
    ``"reconstruction"``, the squared residual per column over its error on held-out rows, or
    ``"discriminator_features"``, the same of the discriminator's last hidden features of the
    row and of its reconstruction. ``parts`` (n, d), for the first, add up to the score;
    ``expected`` (n, d) is the reconstruction in the units of the rows. ``latent`` is the size
    of a code, by default half the columns or half of ``width``, whichever is less. Raises
    ParameterError for sizes below 1 or an unknown ``score_by``, and TrainingFailed when the
    loss is not finite.
    Donahue, Krähenbühl and Darrell, Adversarial Feature Learning, ICLR 2017; Zenati et al.,
    Adversarially Learned Anomaly Detection, ICDM 2018; Miyato et al., Spectral Normalization
    for Generative Adversarial Networks, ICLR 2018.

    >>> import numpy as np
    >>> t = np.random.default_rng(0).normal(size=300)
    >>> rows = np.column_stack([t, 2 * t])
    >>> gan = Gan(steps=200).fit(rows)
    >>> scores = gan.score([[1, 2], [1, -2]])
    >>> bool(scores.values[1] > scores.values[0])
    True
    >>> gan.sample(5).shape
    (5, 2)
    """

    card = Card(
        name="gan",
        modality="tables",
        family="adversarial",
        learning=("one-class", "unlabelled"),
        summary="Reconstruction by adversarially trained generators; draws new normal rows.",
        paper="Zenati et al., Adversarially Learned Anomaly Detection, ICDM 2018",
        cost="fit O(steps · batch · (d + width) · width), score O(d · width) per row",
        also_known_as=("ALAD", "BiGAN"),
    )
    ways = ("reconstruction", "discriminator_features")

    def __init__(
        self,
        *,
        score_by: str = "reconstruction",
        latent: int | None = None,
        width: int = 128,
        **training: Unpack[TableTraining],
    ) -> None:
        defaults = TableTraining(batch_size=128)
        super().__init__(**(defaults | training))
        self.score_by = score_by
        self.latent = latent
        self.width = width

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a small network and a short training."""
        return {"width": 32, "steps": 150, "batch_size": 64}

    def _network(self, n_features: int) -> nn.Module:
        return _Gan(
            self.members, n_features, self.width, code_size(self.latent, n_features, self.width)
        )

    def _schedule(self) -> Schedule:
        return Schedule(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            betas=(0.5, 0.99),
        )

    def _objectives(self, net: Any) -> list[Objective]:
        return [
            Objective(list(net.trained.parameters()), lambda x: self._loss(net, x)),
            Objective(list(net.discriminator.parameters()), lambda x: self._judge(net)),
        ]

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        net.follow()
        code, random = net.codes(x)
        generated = net.generate(random)
        rows = torch.cat([net.seen(x), net.seen(generated)], 1)
        codes = torch.cat([code, random], 1)
        net.pairs = rows.detach(), codes.detach()
        real, fake = self._verdicts(net, rows, codes)
        row_error = (net.generate(code) - x).square().mean((1, 2))
        code_error = (net.trained["encoder"](generated) - random).square().mean((1, 2))
        loss: Tensor = row_error + _CYCLE * code_error + _ADVERSARIAL * (real - fake).mean((1, 2))
        return loss

    def _judge(self, net: Any) -> Tensor:
        """Return the discriminator's loss (members,) on the pairs just made from a batch."""
        real, fake = self._verdicts(net, *net.pairs)
        return (functional.relu(1 - real) + functional.relu(1 + fake)).mean((1, 2))

    def _verdicts(self, net: Any, rows: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return verdicts on the first half, the real pairs, and the second, the generated."""
        noise = _NOISE * (1 - net.step / self.steps).clamp_min(0)
        verdicts = net.discriminator(
            torch.cat([rows + noise * torch.randn_like(rows), codes], dim=2)
        )
        real, fake = verdicts.chunk(2, dim=1)
        return real, fake

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        return reconstruction_loss(net, x)

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        calibrate_errors(net, held_out)
        change = net.feature_change(held_out, net(held_out)).square().mean(1, keepdim=True)
        # The floor keeps features that hardly move from deciding alone.
        net.feature_error.copy_(change + 0.01 * change.mean(2, keepdim=True) + 1e-12)

    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        scores, parts, expected = relative_errors(net, x)
        if self.score_by == "discriminator_features":
            change = net.feature_change(x, expected)
            return (change.square() / net.feature_error).mean(2), None, expected
        return scores, parts, expected

    def _draw(self, net: Any, n: int, generator: torch.Generator) -> Tensor:
        codes = normal_like(net.error, (len(net.error), n, net.latent), generator)
        rows: Tensor = net.decoder(codes)
        return rows

    def embed(self, X: Any) -> FloatArray:
        """Return the code (n, latent) of rows X, by the first member.

        Raises NotFitted before ``fit``, and SchemaMismatch for another number of columns.
        """
        return self._embedded(X, lambda net, x: net.encoder(x))

    def sample(self, n: int, seed: int = 0) -> FloatArray:
        """Return n new normal rows (n, d), in the units of the training rows.

        Each row comes from a member chosen at random. The same seed draws the same rows.
        Raises NotFitted before ``fit``, and ParameterError for n below 1.
        """
        return draw_rows(self, self._draw, n, seed)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(1, latent=self.latent, width=self.width)
        check_way(self.score_by, self.ways)


class _Gan(nn.Module):
    """Trained encoder and generator, their averages, discriminator, and held-out errors."""

    error: Tensor
    feature_error: Tensor
    step: Tensor
    projection: Tensor
    pairs: tuple[Tensor, Tensor]

    def __init__(self, members: int, n_features: int, width: int, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = mlp(members, [n_features, width, latent]).requires_grad_(False)
        self.decoder = mlp(members, [latent, width, n_features]).requires_grad_(False)
        averages = nn.ModuleDict({"encoder": self.encoder, "decoder": self.decoder})
        self.trained = copy.deepcopy(averages).requires_grad_(True)
        seen, half = min(n_features, _SEEN), max(1, width // 2)
        self.discriminator = nn.Sequential(
            _SpectralLinear(members, seen + latent, half),
            nn.LeakyReLU(0.2),
            _SpectralLinear(members, half, half),
            nn.LeakyReLU(0.2),
            _SpectralLinear(members, half, 1),
        )
        self.register_buffer("error", torch.ones(members, 1, n_features))
        self.register_buffer("feature_error", torch.ones(members, 1, half))
        self.register_buffer("step", torch.zeros(members, 1, 1))
        if n_features > seen:
            projection = torch.randn(members, n_features, seen) / n_features**0.5
            self.register_buffer("projection", projection)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows as the averaged encoder and generator reconstruct them."""
        reconstruction: Tensor = self.decoder(self.encoder(x))
        return reconstruction

    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes of rows, and as many random codes."""
        code: Tensor = self.trained["encoder"](x)
        return code, torch.randn_like(code)

    def generate(self, codes: Tensor) -> Tensor:
        """Return the rows that the trained generator makes of codes."""
        rows: Tensor = self.trained["decoder"](codes)
        return rows

    def seen(self, x: Tensor) -> Tensor:
        """Return what the discriminator sees of rows."""
        return x if x.shape[2] <= _SEEN else x @ self.projection

    def feature_change(self, x: Tensor, reconstruction: Tensor) -> Tensor:
        """Return how the discriminator's last hidden features differ for the same code."""
        code = self.encoder(x)
        hidden = self.discriminator[:-1]
        change: Tensor = hidden(torch.cat([self.seen(x), code], dim=2)) - hidden(
            torch.cat([self.seen(reconstruction), code], dim=2)
        )
        return change

    @torch.no_grad()
    def follow(self) -> None:
        """Move the averages one step towards the trained weights, faster at the start."""
        share = 1 - (self.step / (self.step + 9)).clamp_max(_AVERAGING)
        for name, average in (("encoder", self.encoder), ("decoder", self.decoder)):
            pairs = zip(average.parameters(), self.trained[name].parameters(), strict=True)
            for kept, live in pairs:
                kept.lerp_(live, share)
        self.step += 1


class _SpectralLinear(MemberLinear):
    """An affine layer per member, whose weight is divided by its largest singular value."""

    bias: nn.Parameter
    direction: Tensor

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__(members, inputs, outputs)
        start = functional.normalize(torch.randn(members, 1, inputs), dim=2)
        self.register_buffer("direction", start)

    def forward(self, x: Tensor) -> Tensor:
        """Return x·weight/σ + bias; σ comes from one power iteration a training step."""
        with torch.no_grad():
            right = functional.normalize(self.direction @ self.weight, dim=2)
            left = functional.normalize(right @ self.weight.mT, dim=2)
            if self.training:
                self.direction.copy_(left)
        largest = left @ self.weight @ right.mT
        # The weight is divided and not the rows, of which there are more.
        return torch.baddbmm(self.bias, x, self.weight / largest)
