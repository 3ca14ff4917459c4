"""Texts as they are read: cut off, and in characters that UTF-8 has."""

from __future__ import annotations

import numpy as np

from tocsin.types import TextArray

LONGEST = 20_000
"""Characters of a text that are read; the rest is cut off."""


def encodable(text: str) -> str:
    """Return a text with "?" for each half of a surrogate pair, which has no UTF-8.

    >>> encodable("a" + chr(0xD800))
    'a?'
    """
    return text.encode(errors="replace").decode()


def cut_text(text: str, longest: int = LONGEST) -> str:
    """Return the first characters of a text, encodable."""
    return encodable(text[:longest])


def cut_texts(texts: TextArray | list[str]) -> TextArray:
    """Return the first 20,000 characters of texts (n,), encodable."""
    cut = np.empty(len(texts), dtype=object)
    cut[:] = [cut_text(text) for text in texts]
    return cut
