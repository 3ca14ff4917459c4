"""How good scores and decisions are, measured against labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    matthews_corrcoef,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
)

from tocsin.base import check_labels
from tocsin.errors import InputError, ParameterError
from tocsin.types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class RankingMetrics:
    """How well scores put anomalies before normal rows; no threshold is involved.

    Everything is a fraction from 0 to 1. ``average_precision`` is the average precision.
    ``best_f1_threshold`` takes rows that score at least as high as anomalies, and was
    chosen with the labels: a bound, not a promise. ``precision_at_n`` is the precision of
    the n highest scores, n being the number of anomalies. All are None when the labels
    hold only one class, which cannot be ranked.
    """

    n: int
    anomalies: int
    roc_auc: float | None
    average_precision: float | None
    best_f1: float | None
    best_f1_threshold: float | None
    precision_at_n: float | None


@dataclass(frozen=True, slots=True)
class ClassificationMetrics:
    """How well decisions agree with labels; anomalies are the positive class.

    Fractions, and the four counts of the confusion. ``precision`` is None when nothing was
    called an anomaly, ``recall`` when there is no anomaly to find, ``false_alarm_rate``
    (fp over all normal rows) when there is no normal row; what is built on them is None too.
    """

    accuracy: float
    balanced_accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    mcc: float | None
    false_alarm_rate: float | None
    tn: int
    fp: int
    fn: int
    tp: int


def ranking(y: ArrayLike, scores: ArrayLike) -> RankingMetrics:
    """Return how well scores (n,) rank the rows labelled y (n,), 1 = anomaly.

    Equal scores count as ties: half a win for ROC, one group for precision and recall.
    Raises InputError for labels other than 0 and 1, unequal lengths or scores that are not
    finite. Davis and Goadrich, The relationship between precision-recall and ROC curves,
    ICML 2006.

    >>> ranking([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).roc_auc
    0.75
    """
    labels, values = check_pairs(y, scores)
    n, anomalies = len(labels), int(labels.sum())
    if anomalies in (0, n):
        return RankingMetrics(n, anomalies, None, None, None, None, None)
    precision, recall, thresholds = precision_recall_curve(labels, values)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(np.argmax(f1[:-1]))
    return RankingMetrics(
        n=n,
        anomalies=anomalies,
        roc_auc=float(roc_auc_score(labels, values)),
        average_precision=float(average_precision_score(labels, values)),
        best_f1=float(f1[best]),
        best_f1_threshold=float(thresholds[best]),
        precision_at_n=precision_at_k(labels, values, anomalies),
    )


def classification(y: ArrayLike, is_anomaly: ArrayLike) -> ClassificationMetrics:
    """Return how well decisions (n,) bool agree with labels y (n,), 1 = anomaly.

    Raises InputError for values other than 0 and 1, unequal lengths or no rows.

    >>> result = classification([0, 0, 0, 1], [False, True, False, True])
    >>> result.precision, result.recall, result.tp
    (0.5, 1.0, 1)
    """
    labels = _labels(y)
    called = check_labels(is_anomaly, len(labels))
    tn, fp, fn, tp = (int(v) for v in confusion_matrix(labels, called, labels=[0, 1]).ravel())
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, called, average="binary", zero_division=np.nan
    )
    both = 0 < tp + fn < len(labels)
    return ClassificationMetrics(
        accuracy=(tp + tn) / len(labels),
        balanced_accuracy=float(balanced_accuracy_score(labels, called)) if both else None,
        precision=float(precision) if tp + fp else None,
        recall=float(recall) if tp + fn else None,
        f1=float(f1) if tp + fn else None,
        mcc=float(matthews_corrcoef(labels, called)) if both else None,
        false_alarm_rate=fp / (fp + tn) if fp + tn else None,
        tn=tn,
        fp=fp,
        fn=fn,
        tp=tp,
    )


def precision_at_k(y: ArrayLike, scores: ArrayLike, k: int) -> float:
    """Return the share of anomalies among the k highest scores.

    Where ties straddle rank k, the tied rows fill the open places in proportion, which is
    the mean over all orders of the tied rows. Raises ParameterError unless 1 ≤ k ≤ n.

    >>> precision_at_k([1, 0, 1, 0], [3.0, 2.0, 2.0, 1.0], k=2)
    0.75
    """
    labels, values = check_pairs(y, scores)
    if not 1 <= k <= len(labels):
        raise ParameterError(f"k counts rows, from 1 to {len(labels)} here; got {k}.")
    edge = np.partition(values, len(values) - k)[len(values) - k]
    above, tied = values > edge, values == edge
    hits = labels[above].sum() + (k - above.sum()) * labels[tied].mean()
    return float(hits / k)


def check_pairs(y: ArrayLike, scores: ArrayLike) -> tuple[IntArray, FloatArray]:
    """Return labels (n,) int64 and scores (n,) float64 of the same rows, n ≥ 1, all finite.

    Raises InputError naming what is wrong.
    """
    labels = _labels(y)
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != labels.shape:
        raise InputError(
            f"Expected {len(labels)} scores, one per label; got an array of shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise InputError(f"{int((~np.isfinite(values)).sum())} scores are not finite numbers.")
    return labels, values


def _labels(y: ArrayLike) -> IntArray:
    labels = np.asarray(y)
    if labels.size == 0:
        raise InputError("There is nothing to measure: no labels were given.")
    return check_labels(labels, len(labels) if labels.ndim else 0)
