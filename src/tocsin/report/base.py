"""What the reports of all modalities have in common: one call, and the pictures beside it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from numpy.typing import ArrayLike

from tocsin.types import Card

Picture = Callable[[Path, Any], object]
"""Draws a detection into a file or folder."""


class Model(Protocol):
    """What a report states of the pipeline that scored: a fitted pipeline of any modality."""

    @property
    def card(self) -> Card:
        """What the detector is."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The parameters, by name."""


class Report(ABC):
    """The report of one modality, found by ``registry.of_modality("report", modality)``.

    ``pictures``: what else can be drawn of a detection, by the name of its option on the command
    line, such as ``png``.
    """

    modality: ClassVar[str]
    pictures: ClassVar[Mapping[str, Picture]] = {}

    @classmethod
    @abstractmethod
    def write(
        cls,
        path: str | os.PathLike[str],
        detection: Any,
        *,
        pipeline: Model,
        data: Any = None,
        labels: ArrayLike | None = None,
        command: str | None = None,
        title: str = "Anomalies",
    ) -> Path:
        """Write what was detected, and why, as one HTML file that loads nothing; return its path.

        ``pipeline`` scored ``data``. Its settings and ``command`` are shown as what it takes to
        reproduce the result. ``labels`` (n,) of what was scored, 1 = anomaly, add measures and
        curves. A file of that name is replaced only when the new one is complete.

        Raises InputError for labels of another length, ParameterError when ``path`` cannot be
        written.
        """
