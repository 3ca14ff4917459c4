"""Checks of what a detector's parameters may be."""

from __future__ import annotations

import numpy as np

from tocsin.errors import ParameterError


def check_count(name: str, value: int) -> None:
    """Raise ParameterError unless the parameter is a whole number of 1 or more."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ParameterError(f"{name} is {value!r}; it must be a whole number of 1 or more.")
