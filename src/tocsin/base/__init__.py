"""The contracts between the parts: what a detector of each modality is."""

from __future__ import annotations

from tocsin.base.detector import (
    Detector,
    State,
    Stateful,
    check_labels,
    fold_of_rows,
    out_of_fold_scores,
)
from tocsin.base.items import LogDetector, TextDetector, check_sessions, check_texts
from tocsin.base.series import SeriesDetector, StreamingDetector, check_series
from tocsin.base.tables import TableDetector, check_matrix

__all__ = [
    "Detector",
    "LogDetector",
    "SeriesDetector",
    "State",
    "Stateful",
    "StreamingDetector",
    "TableDetector",
    "TextDetector",
    "check_labels",
    "check_matrix",
    "check_series",
    "check_sessions",
    "check_texts",
    "fold_of_rows",
    "out_of_fold_scores",
]
