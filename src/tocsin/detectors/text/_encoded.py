"""The common part of the detectors that look at texts through a pretrained encoder."""

from __future__ import annotations

from tocsin.base import TextDetector
from tocsin.encoders import pinned_encoder
from tocsin.encoders.text import TextEncoder, load
from tocsin.errors import SchemaMismatch
from tocsin.types import FloatArray, TextArray


class EncodedDetector(TextDetector):
    """A detector over embeddings of texts.

    ``encoder`` is "minilm", or the name on the Hugging Face hub or the folder of a BERT-like
    network; ``device`` "auto", "cuda", "mps" or "cpu". A saved detector keeps the encoder's
    name with its revision and the hash of its weights, not the weights; scoring fetches nothing.
    """

    encoder: str
    device: str
    encoder_hash_: str
    encoder_source_: str | None = None
    """The encoder's name with its revision; None for detectors saved until 2026."""

    def _learn_encoder(self) -> TextEncoder:
        """Return the encoder, and remember which it is."""
        self.encoder_source_ = pinned_encoder("text", self.encoder)
        encoder = load(self.encoder_source_, self.device)
        self.encoder_hash_ = encoder.fingerprint
        return encoder

    def _embed(self, X: TextArray) -> FloatArray:
        """Return embeddings (n, d) by the encoder that the detector was trained with."""
        encoder = load(self.encoder_source_ or self.encoder, self.device)
        check_same(self.encoder, encoder.fingerprint, self.encoder_hash_)
        return encoder.embed(X).astype(float)


def check_same(name: str, found: str, wanted: str) -> None:
    """Raise SchemaMismatch unless the hash found is that of the encoder trained with."""
    if found != wanted:
        raise SchemaMismatch(
            f'The encoder "{name}" is not the one that this detector was trained with: the hash '
            f"of its weights is {found[:12]}…, not {wanted[:12]}…. Put the encoder back, or "
            "train the detector again."
        )
