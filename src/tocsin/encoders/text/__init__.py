"""Encoders of texts: embeddings whose angles show how similar texts are."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from tocsin.encoders import find_encoder
from tocsin.errors import ParameterError
from tocsin.types import TextArray

if TYPE_CHECKING:
    from tocsin.encoders.pretrained import Pretrained

DEFAULT = "minilm"
"""The encoder that detectors take where none is named."""

Embeddings = NDArray[np.float32]


class TextEncoder(Protocol):
    """Turns texts into vectors of length 1; its class is created with the device."""

    @property
    def fingerprint(self) -> str:
        """A hash of the weights: embeddings of one fingerprint can be compared."""

    def embed(self, texts: Sequence[str] | TextArray) -> Embeddings:
        """Return the embeddings (n, d), float32, of texts (n,)."""


def open_encoder(name: str = DEFAULT, device: str = "auto") -> TextEncoder:
    """Return a new encoder: a registered one, or a BERT-like network on the hub or in a folder.

    Raises MissingExtra, and ModelFolderError for what cannot be read or was never trained.
    """
    registered = find_encoder("text", name)
    if registered is not None:
        encoder: TextEncoder = registered(device)
        return encoder
    from tocsin.encoders.text._transformer import TransformerEncoder

    return TransformerEncoder(name, device)


def load(name: str = DEFAULT, device: str = "auto", *, cached: bool = True) -> TextEncoder:
    """Return the encoder of that name, kept in memory for the next call; see ``open_encoder``.

    With ``cached``, embeddings are kept on disk, unless the environment has ``TOCSIN_CACHE=off``;
    see ``encoders.cache.cache_folder``.
    """
    from tocsin.encoders import cache
    from tocsin.encoders.text._cached import CachedEncoder

    encoder = _load(name, device)
    if not cached or cache.is_off():
        return encoder
    return CachedEncoder(encoder, cache.EmbeddingCache(cache.cache_folder() / "embeddings.sqlite"))


def open_network(name: str = DEFAULT) -> Pretrained:
    """Return a new network with ``hidden_size`` outputs per token, to be fine-tuned.

    Raises as ``open_encoder`` does, and ParameterError for an encoder that is not such a network.
    """
    network: Pretrained | None = getattr(open_encoder(name, "cpu"), "model", None)
    if network is None:
        raise ParameterError(f"encoder is {name!r}, which cannot be fine-tuned.")
    return network


@lru_cache(maxsize=2)
def _load(name: str, device: str) -> TextEncoder:
    return open_encoder(name, device)
