"""Pretrained networks of the transformers package: read, checked, and fed with tokens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import normalize

from tocsin.encoders.hub import folder_of
from tocsin.errors import MissingExtra, ModelFolderError
from tocsin.features.texts import cut_text
from tocsin.progress import report
from tocsin.types import IntArray, TextArray

LONGEST = 4_000
"""Characters of a text that are read; the rest is cut off."""

MAX_TOKENS = 256
"""Tokens of a text that are read; the rest is cut off."""

_UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError)
_LOCAL = {"trust_remote_code": False, "local_files_only": True}
_CHUNK = 8192  # texts whose tokens are held at once
_TOKENS = {"cpu": 768}  # at once, with padding: few enough to stay in a processor's cache
_MOST_TOKENS = 16_384  # at once, where many are worked on side by side


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A network of any architecture with its tokenizer.

    ``longest`` tokens of a text are read. ``fingerprint`` is a SHA-256 of the weights and the
    vocabulary, the same under any name or version that they are stored in.
    """

    network: Any
    tokenizer: Any
    longest: int
    fingerprint: str

    def tokenize(self, texts: Sequence[str] | TextArray, **options: Any) -> Any:
        """Return the tokenizer's lists of texts, cut off; "input_ids" are the tokens' numbers."""
        cut = [cut_text(text, LONGEST) for text in texts]
        return self.tokenizer(cut, truncation=True, max_length=self.longest, **options)

    def padded(
        self, tokens: Sequence[Sequence[int]], device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Return tokens as one tensor (n, longest) filled up to the right, and which are there."""
        filler = self.tokenizer.pad_token_id or 0
        ids = torch.full((len(tokens), max(1, *map(len, tokens))), filler)
        there = torch.zeros_like(ids)
        for i, row in enumerate(tokens):
            ids[i, : len(row)] = torch.tensor(row, dtype=torch.int64)
            there[i, : len(row)] = 1
        return ids.to(device), there.to(device)

    def over(
        self, texts: Sequence[str] | TextArray, function: Callable[[Tensor, Tensor], Tensor]
    ) -> NDArray[np.float32]:
        """Return what a function of tokens and of which are there gives for each text (n, …).

        It is called on padded tokens of texts of similar length; equal texts are read once.
        """
        number = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        distinct, device = list(number), next(self.network.parameters()).device
        at_once = _TOKENS.get(device.type, _MOST_TOKENS)
        values, order = [], []
        for begin in range(0, len(distinct), _CHUNK):
            tokens = self.tokenize(distinct[begin : begin + _CHUNK])["input_ids"]
            for batch in batches([len(row) for row in tokens], at_once):
                with torch.inference_mode():
                    value = function(*self.padded([tokens[i] for i in batch], device))
                values.append(value.cpu().numpy())
                order.append(begin + batch)
            report("encoding texts", min(begin + _CHUNK, len(distinct)), len(distinct))
        rows = np.argsort(np.concatenate(order))[[number[text] for text in texts]]
        return np.concatenate(values)[rows]


def read(name: str, kind: str = "AutoModel") -> Pretrained:
    """Return the network of that name on the Hugging Face hub, or in that folder.

    It has to be on this machine; ``hub.pinned`` fetches one. ``kind`` is the class of transformers
    that reads it. Weights are taken from safetensors only, in float32, and no code of a model's own
    is run. Raises MissingExtra without transformers, and ModelFolderError for what cannot be read,
    lacks weights, or has weights that were never trained.
    """
    network, weights = read_network(name, kind)
    transformers = require("transformers")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder_of(name)), **_LOCAL)
    except _UNREADABLE as error:
        raise ModelFolderError(
            f'The tokenizer of the model "{name}" cannot be read: {error} Give the folder of a '
            "model with its tokenizer.json, or its name on the Hugging Face hub."
        ) from error
    if not tokenizer.is_fast:
        raise ModelFolderError(f'The model "{name}" has no tokenizer.json; give one that has.')
    limits = (MAX_TOKENS, tokenizer.model_max_length, _positions(network))
    return Pretrained(network, tokenizer, min(limits), _fingerprint(weights, tokenizer))


def read_network(name: str, kind: str = "AutoModel") -> tuple[Any, list[Tensor]]:
    """Return the network of that name on the Hugging Face hub, or in that folder, and its weights.

    The weights are those that were stored. Raises as ``read`` does.
    """
    transformers = require("transformers")
    folder = folder_of(name)
    try:
        with quietly(transformers):
            network, loaded = getattr(transformers, kind).from_pretrained(
                str(folder),
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **_LOCAL,
            )
    except _UNREADABLE as error:
        raise ModelFolderError(
            f'The model "{name}" cannot be read: {error} Give the folder of a model with its '
            "config.json and model.safetensors, or its name on the Hugging Face hub."
        ) from error
    # A pooler sits beside the network, and many models come without one.
    missing = {key for key in loaded["missing_keys"] if "pooler" not in key}
    weights = [w for key, w in network.named_parameters() if key not in loaded["missing_keys"]]
    if missing or not trained(weights):
        why = f"it has no {min(missing)}" if missing else "its weights were never trained"
        raise ModelFolderError(
            f'The model "{name}" cannot be used: {why}. Give a model that was trained, and is '
            "stored whole."
        )
    return network.requires_grad_(False).eval(), weights


def mean_pooled(network: Any, ids: Tensor, there: Tensor) -> Tensor:
    """Return the mean hidden state (n, d), of length 1, of the tokens (n, t) that are there."""
    hidden = network(input_ids=ids, attention_mask=there).last_hidden_state
    weight = there.unsqueeze(-1).to(hidden.dtype)
    return normalize((hidden * weight).sum(1) / weight.sum(1).clamp_min(1))


def packaged(package: str, distribution: str, within: str, extra: str | None = "text") -> Path:
    """Return a file or folder that a package brings, without running the package.

    Raises MissingExtra, naming the distribution, when it is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtra(distribution, extra=extra)
    return Path(spec.origin).parent / within


def require(package: str, extra: str = "text") -> Any:
    """Return an optional package. Raises MissingExtra when it is not installed."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise MissingExtra(package, extra=extra) from error


def batches(lengths: Sequence[int] | IntArray, at_once: int) -> Iterator[IntArray]:
    """Yield the numbers of items of similar length, at most ``at_once`` tokens with padding.

    >>> [batch.tolist() for batch in batches([9, 2, 8, 1], at_once=10)]
    [[3, 1], [2], [0]]
    """
    order = np.argsort(lengths, kind="stable")
    sorted_lengths = np.asarray(lengths)[order]
    begin = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - begin) * sorted_lengths[end] > at_once:
            yield order[begin:end]
            begin = end


@contextmanager
def quietly(transformers: Any) -> Iterator[None]:
    """Keep transformers from drawing progress bars and from listing the weights it left out."""
    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _positions(network: nn.Module) -> int:
    """Return the number of tokens that a network has positions for."""
    return int(getattr(network.config, "max_position_embeddings", None) or MAX_TOKENS)


def trained(weights: Sequence[Tensor]) -> bool:
    """Return whether weights were trained: biases and norms all begin as the same number."""
    return any(bool((w != w[0]).any()) for w in weights if w.ndim == 1)


def _fingerprint(weights: Sequence[Tensor], tokenizer: Any) -> str:
    parts = [hashlib.sha256(w.detach().numpy().tobytes()).digest() for w in weights]
    vocabulary = json.dumps(sorted(tokenizer.get_vocab().items())).encode()
    return hashlib.sha256(b"".join(sorted(parts)) + vocabulary).hexdigest()
