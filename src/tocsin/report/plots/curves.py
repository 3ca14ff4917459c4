"""ROC and precision-recall curves of scores against labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from tocsin.errors import InputError
from tocsin.evaluate.metrics import check_pairs
from tocsin.report.plots.canvas import (
    ANOMALY,
    MOST_POINTS,
    MUTED,
    NORMAL,
    TITLE,
    draw_axes,
)
from tocsin.types import FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def roc_plot(y: ArrayLike, scores: ArrayLike, threshold: float) -> str:
    """Return the ROC curve of scores (n,) for labels y (n,), the threshold marked, as SVG.

    Raises InputError when the labels hold only one class.
    """
    labels, values = _check_two_classes(y, scores)
    false_alarms, found, _ = roc_curve(labels, values)
    called = values > threshold
    at = (called[labels == 0].mean(), called[labels == 1].mean())

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
        _draw_curve(axes, false_alarms, found, at)
        axes.set(xlabel="false-alarm rate", ylabel="anomalies found (recall)")
        axes.set_title(f"ROC, area {auc(false_alarms, found):.3f}", **TITLE)

    return draw_axes(paint, width=5.6, height=3.8)


def precision_recall_plot(y: ArrayLike, scores: ArrayLike, threshold: float) -> str:
    """Return the precision-recall curve of scores (n,), the threshold marked, as SVG.

    Raises InputError when the labels hold only one class.
    """
    labels, values = _check_two_classes(y, scores)
    precision, recall, _ = precision_recall_curve(labels, values, drop_intermediate=True)
    called = values > threshold
    at = (called[labels == 1].mean(), labels[called].mean()) if called.any() else None

    def paint(axes: Axes) -> None:
        axes.axhline(labels.mean(), color=MUTED, linewidth=1, linestyle=":")
        _draw_curve(axes, recall, precision, at)
        axes.set(xlabel="anomalies found (recall)", ylabel="alarms that are right (precision)")
        average = average_precision_score(labels, values)
        axes.set_title(f"Precision and recall, average {average:.3f}", **TITLE)

    return draw_axes(paint, width=5.6, height=3.8)


def _draw_curve(axes: Axes, x: FloatArray, y: FloatArray, at: tuple[float, float] | None) -> None:
    kept = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).astype(int))
    axes.plot(x[kept], y[kept], color=NORMAL, linewidth=2, solid_joinstyle="round")
    if at is not None:
        axes.plot(*at, color=ANOMALY, marker="o", markersize=7, linestyle="none", label="threshold")
        axes.legend(loc="lower right")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))


def _check_two_classes(y: ArrayLike, scores: ArrayLike) -> tuple[IntArray, FloatArray]:
    labels, values = check_pairs(y, scores)
    if labels.min() == labels.max():
        raise InputError(f"A curve needs both classes; all {len(labels)} labels are {labels[0]}.")
    return labels, values
