"""Language models: how surprising each token of a text is, given those before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

from tocsin.encoders import find_encoder
from tocsin.types import FloatArray, TextArray

DEFAULT = "smollm2"
"""The model that detectors take where none is named."""


class TokenSurprise(NamedTuple):
    """The tokens of one text, which together are the text as far as it was read.

    ``values`` (k,): −log p of each token in nats, given those before it. Of an empty text the
    only token is its end.
    """

    tokens: tuple[str, ...]
    values: FloatArray


class LanguageModel(Protocol):
    """Predicts each token of a text from those before it; its class is created with the device."""

    @property
    def fingerprint(self) -> str:
        """A hash of the weights and the vocabulary."""

    def token_surprise(self, texts: Sequence[str] | TextArray) -> list[TokenSurprise]:
        """Return the tokens of texts (n,) and how surprising each is."""


@lru_cache(maxsize=1)
def load(name: str = DEFAULT, device: str = "auto") -> LanguageModel:
    """Return a model, kept for the next call: a registered one, or one on the hub or in a folder.

    Raises MissingExtra, and ModelFolderError for what cannot be read or was never trained.
    """
    registered = find_encoder("language", name)
    if registered is not None:
        model: LanguageModel = registered(device)
        return model
    from tocsin.encoders.language._causal_lm import CausalLm

    return CausalLm(name, device)
