"""How surprising each token of a text is to a network that reads from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch.nn.functional import cross_entropy

from tocsin.encoders.language import TokenSurprise
from tocsin.encoders.pretrained import batches, read
from tocsin.nn.device import pick_device
from tocsin.progress import report
from tocsin.types import FloatArray, TextArray

_TOKENS = 512  # at once: a token's logits are as many as the vocabulary


class CausalLm:
    """A causal language model.

    ``name``: on the Hugging Face hub, or the folder of a model that transformers'
    ``AutoModelForCausalLM`` reads, such as "gpt2". Of a text the first 4,000 characters and of
    these the first 256 tokens are read. Raises what ``pretrained.read`` raises.

    Radford et al., Language Models are Unsupervised Multitask Learners, 2019.
    """

    def __init__(self, name: str, device: str = "auto") -> None:
        self.device = pick_device(device)
        self.model = read(name, "AutoModelForCausalLM")
        self.model.network.to(self.device)
        tokenizer = self.model.tokenizer
        begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        # Texts follow it in pre-training; what a chat model begins with is the turn of a speaker.
        between = tokenizer.get_vocab().get("<|endoftext|>")
        self._start = next((i for i in (between, begin, end) if i is not None), 0)
        self._end = next((i for i in (between, end, begin) if i is not None), 0)

    @property
    def fingerprint(self) -> str:
        """A hash of the weights and the vocabulary."""
        return self.model.fingerprint

    def token_surprise(self, texts: Sequence[str] | TextArray) -> list[TokenSurprise]:
        """Return the tokens of texts (n,) and how surprising each is; equal texts are read once."""
        distinct = list(dict.fromkeys(texts))
        encoded = self.model.tokenize(
            distinct, add_special_tokens=False, return_offsets_mapping=True
        )
        tokens = [ids or [self._end] for ids in encoded["input_ids"]]
        found: dict[str, TokenSurprise] = {}
        for batch in batches([len(ids) for ids in tokens], _TOKENS):
            for i, values in zip(batch, self._surprises([tokens[i] for i in batch]), strict=True):
                pieces = _pieces(distinct[i], encoded["offset_mapping"][i])
                found[distinct[i]] = TokenSurprise(pieces, values)
            report("reading texts", len(found), len(distinct))
        return [found[text] for text in texts]

    def _surprises(self, tokens: list[list[int]]) -> list[FloatArray]:
        wanted, _ = self.model.padded(tokens, self.device)
        before, _ = self.model.padded([[self._start, *ids[:-1]] for ids in tokens], self.device)
        # What is filled up to the right of a text does not reach its tokens.
        with torch.inference_mode():
            logits = self.model.network(input_ids=before, use_cache=False).logits
            surprise = cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
        rows = surprise.double().cpu().numpy()
        return [row[: len(ids)] for row, ids in zip(rows, tokens, strict=True)]


def _pieces(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Return a text cut where tokens begin; one character may be several tokens, all but one ""."""
    if not spans:
        return ("",)
    cuts = [0, *(begin for begin, _ in spans[1:]), spans[-1][1]]
    return tuple(text[begin:end] for begin, end in pairwise(cuts))
