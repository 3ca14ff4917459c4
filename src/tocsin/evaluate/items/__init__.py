"""What held-out evaluation needs of a modality's data: one file per modality that differs."""

from __future__ import annotations

from typing import Any

from tocsin import registry
from tocsin.evaluate.items.base import Items
from tocsin.pipeline import BasePipeline

__all__ = ["Items", "find_items"]


def find_items(data: Any, pipeline: BasePipeline) -> Items:
    """Return the items that a pipeline, trained or not, finds in data as it takes them.

    >>> from tocsin.pipeline import Pipeline
    >>> len(find_items([[0.0], [1.0]], Pipeline()))
    2
    """
    kind: type[Items] = Items
    if pipeline.modality in registry.modalities_of("evaluate.items"):
        kind = registry.of_modality("evaluate.items", pipeline.modality)
    return kind.read_by(data, pipeline)
