"""Pretrained networks that turn raw items into numbers: embeddings, features, surprise of tokens.

Each is imported when it is first used: an encoder that is a graph needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.encoders.causal_lm import CausalLm
    from tocsin.encoders.text import TextEncoder, load

__all__ = ["CausalLm", "TextEncoder", "load"]

_HOMES = {"CausalLm": "causal_lm", "TextEncoder": "text", "load": "text"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
