"""How fitted state is written down: attributes with a trailing underscore, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tocsin import registry
from tocsin.base.declared import check_fitted
from tocsin.errors import CorruptModel

State = dict[str, Any]
"""Fitted values by name: arrays, JSON values, and nested states. Never code."""

_FITTED = re.compile("[a-zA-Z][a-zA-Z0-9_]*_")
_DETECTOR_KEYS = {"detector", "modality", "parameters", "state"}


class Stateful:
    """Something whose fitted attributes, those with a trailing underscore, can be written down.

    A value may be an array, a JSON value, or a detector. Override ``_derive`` to derive from
    these what is not written down, ``set_state`` to restore other ``Stateful`` values, and both
    methods for anything else.
    """

    def get_state(self) -> State:
        """Return the fitted attributes as arrays, JSON values and nested states."""
        return {
            name: _written(value)
            for name, value in vars(self).items()
            if name.endswith("_") and not name.startswith("_")
        }

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self.

        Raises CorruptModel for what is not as the attributes are declared; see ``base.declared``.
        """
        for name, value in state.items():
            if not _FITTED.fullmatch(name) or callable(getattr(type(self), name, None)):
                raise CorruptModel(f"{name[:80]!r} is not what a {type(self).__name__} learns.")
            setattr(self, name, restored(value))
        check_fitted(self, list(state))
        self._derive()
        return self

    def _learns(self, name: str) -> bool:
        """Return whether an attribute that is declared has to be in the state."""
        return True

    def _derive(self) -> None:
        """Derive from restored attributes what is not part of the state."""

    def as_state(self) -> State:
        """Return what stands for this object in the state of another."""
        return self.get_state()


def restored(value: Any) -> Any:
    """Return a fitted detector from what its ``as_state`` returned, and any other value as it is.

    Raises UnknownName for a detector that is not registered.
    """
    if isinstance(value, dict) and set(value) == _DETECTOR_KEYS:
        detector = registry.create(value["detector"], value["modality"], **value["parameters"])
        return detector.set_state(value["state"])
    return value


def _written(value: Any) -> Any:
    if isinstance(value, Stateful):
        return value.as_state()
    if isinstance(value, np.generic):
        return value.item()
    return value
