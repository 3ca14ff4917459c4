"""What people write in one option: lists, and parameters by name."""

from __future__ import annotations

import json
from typing import Any

from tocsin.errors import ParameterError


def split_names(text: str) -> list[str]:
    """Return the words between commas. Raises ParameterError when there is none.

    >>> split_names("auto, pca")
    ['auto', 'pca']
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ParameterError(f'Expected names separated by commas; got "{text}".')
    return words


def split_numbers(text: str) -> list[int]:
    """Return the whole numbers between commas. Raises ParameterError for anything else.

    >>> split_numbers("0,1,2")
    [0, 1, 2]
    """
    try:
        return [int(word) for word in split_names(text)]
    except ValueError as error:
        raise ParameterError(f'Expected whole numbers, as in 0,1,2; got "{text}".') from error


def parse_parameter(item: str) -> tuple[str, Any]:
    """Return the name and the value of ``name=value``, read as JSON where it is JSON.

    >>> parse_parameter("k=10"), parse_parameter("metric=cosine")
    (('k', 10), ('metric', 'cosine'))
    """
    name, separator, text = item.partition("=")
    if not separator or not name:
        raise ParameterError(f'--set takes name=value, for instance --set k=10; got "{item}".')
    try:
        return name.strip(), json.loads(text)
    except (ValueError, RecursionError):  # not JSON, or a number of thousands of digits
        return name.strip(), text


def unlabelled_names(modality: str) -> list[str]:
    """Return a modality's detectors that learn without labels and do not wrap another."""
    from tocsin import registry

    found = [name for name in registry.names(modality) if name != "pyod"]
    return [name for name in found if not registry.find(name, modality).needs_labels]
