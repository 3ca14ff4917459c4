"""Embeddings by any BERT-like network that transformers reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tocsin.encoders.pretrained import mean_pooled, read
from tocsin.encoders.text import Embeddings
from tocsin.nn.device import pick_device
from tocsin.types import TextArray


class TransformerEncoder:
    """The mean of the last hidden states of a text's tokens, by any BERT-like network.

    ``name``: on the Hugging Face hub, or the folder of a network that transformers' ``AutoModel``
    reads. Of a text the first 4,000 characters and of these the first 256 tokens are read. An
    embedding has the length 1 and does not depend on the texts beside it, up to rounding. Raises
    what ``pretrained.read`` raises.

    Reimers & Gurevych, Sentence-BERT, EMNLP 2019.
    """

    def __init__(self, name: str, device: str = "auto") -> None:
        self.model = read(name)
        self.model.network.to(pick_device(device))

    @property
    def fingerprint(self) -> str:
        """A hash of the weights and the vocabulary."""
        return self.model.fingerprint

    def embed(self, texts: Sequence[str] | TextArray) -> Embeddings:
        """Return the embeddings (n, d), float32, of texts (n,); equal texts are read once."""
        return self.model.over(texts, partial(mean_pooled, self.model.network))
