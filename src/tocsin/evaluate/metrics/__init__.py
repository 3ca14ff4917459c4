"""Metrics of scores and decisions against labels: of items, ranges of points, and pixels."""

from tocsin.evaluate.metrics.items import (
    ClassificationMetrics,
    RankingMetrics,
    check_pairs,
    classification,
    precision_at_k,
    ranking,
)

__all__ = [
    "ClassificationMetrics",
    "RankingMetrics",
    "check_pairs",
    "classification",
    "precision_at_k",
    "ranking",
]
