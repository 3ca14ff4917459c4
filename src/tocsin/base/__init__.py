"""The contracts between the parts: detectors of each modality, sources, responders, fitted state.

Each is imported when it is first used: what holds fitted state only needs no scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.base.dependence import contiguous_folds, correlation_length
    from tocsin.base.detector import (
        Detector,
        assign_folds,
        check_labels,
        out_of_fold_scores,
    )
    from tocsin.base.held_out import HeldOut, held_out_scores, scores_by_a_copy
    from tocsin.base.items import (
        ImageDetector,
        LogDetector,
        TextDetector,
        check_images,
        check_sessions,
        check_texts,
    )
    from tocsin.base.series import (
        SeriesDetector,
        StreamingDetector,
        Stretch,
        Stretches,
        as_stretches,
        check_series,
        join_scores,
    )
    from tocsin.base.state import State, Stateful
    from tocsin.base.tables import TableDetector, check_matrix

__all__ = [
    "Detector",
    "HeldOut",
    "ImageDetector",
    "LogDetector",
    "SeriesDetector",
    "State",
    "Stateful",
    "StreamingDetector",
    "Stretch",
    "Stretches",
    "TableDetector",
    "TextDetector",
    "as_stretches",
    "assign_folds",
    "check_images",
    "check_labels",
    "check_matrix",
    "check_series",
    "check_sessions",
    "check_texts",
    "contiguous_folds",
    "correlation_length",
    "held_out_scores",
    "join_scores",
    "out_of_fold_scores",
    "scores_by_a_copy",
]

_HOMES = ("state", "dependence", "detector", "tables", "items", "series", "held_out")
"""Where names are looked for, the lightest first: fitted state needs no scikit-learn."""


def __getattr__(name: str) -> Any:
    for home in _HOMES if name in __all__ else ():
        module = import_module(f"{__name__}.{home}")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
