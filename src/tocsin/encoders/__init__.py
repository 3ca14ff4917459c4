"""Pretrained networks that turn raw items into numbers: embeddings, and surprise of tokens."""

from __future__ import annotations

from tocsin.encoders.causal_lm import CausalLm
from tocsin.encoders.text import TextEncoder, load

__all__ = ["CausalLm", "TextEncoder", "load"]
