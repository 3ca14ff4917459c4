"""Tocsin: learns what is normal, reports what does not belong, how sure it is and why.

``detect`` answers in one call, ``Pipeline`` (of tables), ``SeriesPipeline``, ``LogPipeline``,
``TextPipeline`` and ``ImagePipeline`` fit and score, ``load`` opens a saved one, and ``detectors``
names what there is. Each is imported when it is first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tocsin._version import __version__

# From 1.29 on onnxruntime reports to its maker, unless this stands before anything imports it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from tocsin import detectors
    from tocsin.pipeline import (
        ImagePipeline,
        LogPipeline,
        Pipeline,
        SeriesPipeline,
        TextPipeline,
        detect,
        load,
    )

__all__ = [
    "ImagePipeline",
    "LogPipeline",
    "Pipeline",
    "SeriesPipeline",
    "TextPipeline",
    "__version__",
    "detect",
    "detectors",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tocsin' has no attribute {name!r}")
    import importlib

    if name == "detectors":
        return importlib.import_module("tocsin.detectors")
    return getattr(importlib.import_module("tocsin.pipeline"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
