"""Variational autoencoder: rows that a probabilistic decoder finds improbable."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from tocsin.base.abilities import Embeds, Samples
from tocsin.base.parameters import check_least
from tocsin.detectors.tables._generative import check_way, code_size, draw_rows, normal_like
from tocsin.nn.blocks import mlp
from tocsin.nn.tables import NeuralTableDetector, TableTraining
from tocsin.types import Card, FloatArray

_LOG_VARIANCE = (2 * math.log(0.02), 4.0)
"""Bounds of the learned log-variances: a constant column must not become infinitely sure."""

_SPEED = 10.0
"""How much faster than the weights the decoder's log-variances move."""


class Vae(NeuralTableDetector, Embeds, Samples):
    """An ensemble of β-variational autoencoders with a Gaussian decoder.

    Rows (n, d) in any units, standardised inside. The decoder's variance is learned, one a
    column. ``score_by`` is ``"reconstruction_probability"``, the negative log-likelihood of
    the row under the decoder, less that of the row it expects; ``"elbo"``, which adds β times
    the divergence of the row's code from a standard normal; or ``"latent_distance"``, the
    divergence of its code from the normal distribution fitted to the codes of held-out rows.
    The decoder sees the mean code, so nothing about a score is random. ``parts`` (n, d), for
    the first two, are the negative log-likelihood a column; ``expected`` (n, d) the decoded
    mean in the units of the rows. ``latent`` is the size of a code, by default half the
    columns or half of ``width``, whichever is less; a larger ``beta`` leaves less in it.
    Raises ParameterError for a β below 0, sizes below 1 or an unknown ``score_by``, and
    TrainingFailed when the loss is not finite.
    Kingma and Welling, Auto-Encoding Variational Bayes, ICLR 2014; Higgins et al., β-VAE,
    ICLR 2017; An and Cho, Variational Autoencoder based Anomaly Detection using Reconstruction
    Probability, SNU 2015.

    >>> import numpy as np
    >>> t = np.random.default_rng(0).normal(size=300)
    >>> rows = np.column_stack([t, 2 * t])
    >>> vae = Vae(steps=200).fit(rows)
    >>> scores = vae.score([[1, 2], [1, -2]])
    >>> bool(scores.values[1] > scores.values[0])
    True
    >>> vae.sample(5).shape
    (5, 2)
    """

    card = Card(
        name="vae",
        modality="tables",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Improbability under variational autoencoders; draws new normal rows.",
        paper="Kingma, Welling, Auto-Encoding Variational Bayes, ICLR 2014",
        cost="fit O(steps · batch · d · width), score O(d · width) per row",
        also_known_as=("beta-VAE",),
    )
    ways = ("reconstruction_probability", "elbo", "latent_distance")

    def __init__(
        self,
        *,
        score_by: str = "reconstruction_probability",
        beta: float = 0.3,
        latent: int | None = None,
        width: int = 128,
        **training: Unpack[TableTraining],
    ) -> None:
        super().__init__(**training)
        self.score_by = score_by
        self.beta = beta
        self.latent = latent
        self.width = width

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a small network and a short training."""
        return {"width": 32, "steps": 150, "batch_size": 64}

    def _network(self, n_features: int) -> nn.Module:
        return _Vae(
            self.members, n_features, self.width, code_size(self.latent, n_features, self.width)
        )

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        mean, log_variance = net.encode(x)
        return self._negative_elbo(net, x, mean, log_variance, torch.randn_like(mean))

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        mean, log_variance = net.encode(x)
        # The same noise at every check, so that only the weights make a difference.
        generator = torch.Generator().manual_seed(self.seed)
        noise = normal_like(mean, mean.shape, generator)
        return self._negative_elbo(net, x, mean, log_variance, noise)

    def _negative_elbo(
        self, net: Any, x: Tensor, mean: Tensor, log_variance: Tensor, noise: Tensor
    ) -> Tensor:
        """Return the loss (members,), a column and up to a constant."""
        decoded = net.decoder(mean + (log_variance / 2).exp() * noise)
        likelihood = (net.surprise(x, decoded) + net.bounded_log_variance() / 2).sum(2)
        divergence = _divergence_from_standard(mean, log_variance)
        loss: Tensor = (likelihood + self.beta * divergence).mean(1) / x.shape[2]
        return loss

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        mean, log_variance = net.encode(held_out)
        centre = mean.mean(1, keepdim=True)
        spread = (mean - centre).mT @ (mean - centre) / mean.shape[1]
        covariance = spread + torch.diag_embed(log_variance.exp().mean(1))
        net.code_mean.copy_(centre)
        net.code_factor.copy_(torch.linalg.cholesky(covariance.double().cpu()))

    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        mean, log_variance = net.encode(x)
        expected = net.decoder(mean)
        if self.score_by == "latent_distance":
            return net.divergence_from_codes(mean, log_variance), None, expected
        parts = net.surprise(x, expected)
        scores = parts.sum(2)
        if self.score_by == "elbo":
            scores = scores + self.beta * _divergence_from_standard(mean, log_variance)
        return scores, parts, expected

    def embed(self, X: Any) -> FloatArray:
        """Return the mean code (n, latent) of rows X, by the first member.

        Raises NotFitted before ``fit``, and SchemaMismatch for another number of columns.
        """
        return self._embedded(X, lambda net, x: net.encode(x)[0])

    def sample(self, n: int, seed: int = 0) -> FloatArray:
        """Return n new normal rows (n, d), in the units of the training rows.

        Each row comes from a member chosen at random. The same seed draws the same rows.
        Raises NotFitted before ``fit``, and ParameterError for n below 1.
        """
        return draw_rows(self, self._draw, n, seed)

    def _draw(self, net: Any, n: int, generator: torch.Generator) -> Tensor:
        members, latent = net.code_mean.shape[0], net.code_mean.shape[2]
        noise = normal_like(net.code_mean, (members, n, latent), generator)
        decoded: Tensor = net.decoder(net.code_mean + noise @ net.code_factor.mT)
        scatter = normal_like(decoded, decoded.shape, generator)
        rows: Tensor = decoded + (net.bounded_log_variance() / 2).exp() * scatter
        return rows

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(1, latent=self.latent, width=self.width)
        check_way(self.score_by, self.ways)
        check_least(0, beta=self.beta)


class _Vae(nn.Module):
    """Encoder, decoder, the decoder's variances, and the distribution of normal rows' codes."""

    code_mean: Tensor
    code_factor: Tensor

    def __init__(self, members: int, n_features: int, width: int, latent: int) -> None:
        super().__init__()
        self.encoder = mlp(members, [n_features, width, 2 * latent])
        self.decoder = mlp(members, [latent, width, n_features])
        self.log_variance = nn.Parameter(torch.zeros(members, 1, n_features))
        self.register_buffer("code_mean", torch.zeros(members, 1, latent))
        self.register_buffer("code_factor", torch.eye(latent).repeat(members, 1, 1))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the log-variance (members, batch, latent) of the rows' codes."""
        mean, log_variance = self.encoder(x).chunk(2, dim=2)
        return mean, log_variance.clamp(*_LOG_VARIANCE)

    def bounded_log_variance(self) -> Tensor:
        """Return the decoder's log-variance (members, 1, d)."""
        return (_SPEED * self.log_variance).clamp(*_LOG_VARIANCE)

    def surprise(self, x: Tensor, decoded: Tensor) -> Tensor:
        """Return each value's negative log-likelihood, less that of the decoded value."""
        return (x - decoded).square() / (2 * self.bounded_log_variance().exp())

    def divergence_from_codes(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Return the Kullback-Leibler divergence (members, batch) from normal rows' codes."""
        whitener = torch.linalg.inv(self.code_factor)
        distance = ((mean - self.code_mean) @ whitener.mT).square().sum(2)
        spread = (log_variance.exp() * whitener.square().sum(1, keepdim=True)).sum(2)
        log_ratio = 2 * self.code_factor.diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)
        total: Tensor = distance + spread - mean.shape[2] + log_ratio - log_variance.sum(2)
        return total / 2


def _divergence_from_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence (members, batch) from a standard normal."""
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(2) / 2
