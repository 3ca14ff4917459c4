"""Texts, and what detection gives for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tocsin.types.detections import Detection

TextArray = NDArray[np.object_]
"""Texts (n,), each a str."""


@dataclass(frozen=True, slots=True)
class TextMark:
    """A stretch of a text, from ``start`` up to but not including ``end``, that made it anomalous.

    ``weight`` is its share of all that is marked in the text, from 0 to 1.
    """

    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class TextDetection(Detection):
    """The whole answer for n texts, in the order of their rows.

    ``texts``: n, each a str, as they were given. For the anomalies explained, by the position in
    ``rows``: ``marks``, the words that made the text anomalous, in the order of the text;
    ``nearest``, the most similar normal text of the training texts. The reasons of an explanation
    are the marked words, the heaviest first, then what the detector measures of the whole text,
    such as its share of digits, seen and expected.
    """

    texts: TextArray = field(default_factory=lambda: np.empty(0, dtype=object))
    marks: Mapping[int, tuple[TextMark, ...]] = field(default_factory=dict)
    nearest: Mapping[int, str] = field(default_factory=dict)
