"""Embeddings that are looked up on disk before they are computed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.encoders.cache import EmbeddingCache, key_of
from tocsin.encoders.text import Embeddings, TextEncoder
from tocsin.types import TextArray


class CachedEncoder:
    """An encoder that looks on disk first, and keeps there what it had to compute."""

    def __init__(self, encoder: TextEncoder, cache: EmbeddingCache) -> None:
        self.encoder = encoder
        self.cache = cache

    @property
    def fingerprint(self) -> str:
        """A hash of the weights and the vocabulary."""
        return self.encoder.fingerprint

    def embed(self, texts: Sequence[str] | TextArray) -> Embeddings:
        """Return the embeddings (n, d), float32, of texts (n,)."""
        keys = [key_of(self.fingerprint, text) for text in texts]
        text_of = dict(zip(keys, texts, strict=True))
        known = self.cache.get(list(text_of))
        new = [key for key in text_of if key not in known]
        if new:
            made = self.encoder.embed([text_of[key] for key in new])
            known |= (fresh := dict(zip(new, made, strict=True)))
            self.cache.put(fresh)
        return np.stack([known[key] for key in keys])
