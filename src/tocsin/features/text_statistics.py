"""Fifteen statistics of how a text is written, whatever it is about."""

from __future__ import annotations

import re

import numpy as np

from tocsin.types import FloatArray, TextArray

_WORD = re.compile(r"\w+")
_URL = re.compile(r"https?:|www\.|\burl\b", re.IGNORECASE)
_LONG_NUMBER = re.compile(r"\d{4,}")
_VOWELS = re.compile(r"[aeiou]", re.IGNORECASE)
_DIGITS = re.compile(r"\d")
_MARKS = re.compile(r"[^\w\s]")

STATISTICS = (
    "length in characters",
    "share of capitals",
    "share of digits",
    "share of punctuation",
    "share of characters beyond ASCII",
    "share of vowels",
    "letters in a word",
    "letters in the longest word",
    "share of distinct words",
    'number of "!"',
    'number of "?"',
    "number of links",
    "number of words in capitals",
    "number of long numbers",
    'number of "#" and "@"',
)
"""Their names; those that are not shares are log(1 + number)."""


def text_statistics(texts: TextArray | list[str]) -> FloatArray:
    """Return the statistics (n, 15) of texts (n,), in the order of ``STATISTICS``, all finite.

    Shares of characters and of words are from 0 to 1; counts and lengths are log(1 + count).

    >>> values = text_statistics(["WIN 5000 now!"])[0]
    >>> float(values[STATISTICS.index("share of digits")].round(2))
    0.31
    """
    return np.array([_measure(text) for text in texts], dtype=np.float64)


def _measure(text: str) -> tuple[float, ...]:
    characters = max(len(text), 1)
    words = _WORD.findall(text)
    lengths = [len(word) for word in words] or [0]
    return (
        np.log1p(len(text)),
        sum(map(str.isupper, text)) / characters,
        len(_DIGITS.findall(text)) / characters,
        len(_MARKS.findall(text)) / characters,
        sum(character > "\x7f" for character in text) / characters,
        len(_VOWELS.findall(text)) / characters,
        np.log1p(sum(lengths) / len(lengths)),
        np.log1p(max(lengths)),
        len({word.lower() for word in words}) / max(len(words), 1),
        np.log1p(text.count("!")),
        np.log1p(text.count("?")),
        np.log1p(len(_URL.findall(text))),
        np.log1p(sum(word.isupper() and len(word) > 1 for word in words)),
        np.log1p(len(_LONG_NUMBER.findall(text))),
        np.log1p(text.count("#") + text.count("@")),
    )
