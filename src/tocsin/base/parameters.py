"""Checks of what a detector's parameters may be."""

from __future__ import annotations

from typing import get_args

import numpy as np

from tocsin.errors import ParameterError
from tocsin.types import Training


def check_training(training: str) -> None:
    """Raise ParameterError unless ``training`` is one of those there are."""
    if training not in get_args(Training):
        raise ParameterError(f'training is {training!r}; it must be "guess", "clean" or "mixed".')


def check_count(name: str, value: int) -> None:
    """Raise ParameterError unless the parameter is a whole number of 1 or more."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ParameterError(f"{name} is {value!r}; it must be a whole number of 1 or more.")


def check_least(least: float, **values: float | None) -> None:
    """Raise ParameterError unless each parameter is at least so large, or None."""
    for name, value in values.items():
        if value is not None and not value >= least:
            raise ParameterError(f"{name} must be at least {least}; got {value}.")


def check_positive(**values: float) -> None:
    """Raise ParameterError unless each parameter is above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ParameterError(f"{name} must be above 0; got {value}.")
