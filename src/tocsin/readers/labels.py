"""Labels: which of two values means an anomaly."""

from __future__ import annotations

import difflib
from typing import Any

import numpy as np
import pandas as pd

from tocsin.errors import InputError, SchemaMismatch
from tocsin.types import IntArray

_NORMAL = """
    false f no n normal norm good ok okay benign negative neg inlier nominal healthy legitimate
    legit genuine regular usual pass passed clean
"""
_NORMAL_WORDS = frozenset(_NORMAL.split())
_ANOMALY = """
    true t yes y anomaly anomalous anomalies abnormal outlier attack intrusion fraud fraudulent
    bad defect defective fault faulty fail failed failure broken malicious malignant malware
    positive pos novelty novel alarm irregular unusual
"""
_ANOMALY_WORDS = frozenset(_ANOMALY.split())


def split_label(frame: pd.DataFrame, column: str) -> tuple[pd.DataFrame, IntArray]:
    """Return a table without its label column, and the labels (n,), 1 = anomaly.

    The column holds two values, whatever their case: 0 and 1, false and true, no and yes, normal
    and anomaly, good and bad, and the like; or one word of that kind and any other text, such
    as "normal" and "ddos". With -1 and 1, -1 is the anomaly, as in scikit-learn. One value alone
    is taken if its meaning is known.

    Raises SchemaMismatch without such a column, InputError for other values or missing ones.

    >>> frame = pd.DataFrame({"watts": [3.5, 9.1], "state": ["ok", "defect"]})
    >>> split_label(frame, "state")[1]
    array([0, 1])
    """
    if column not in frame.columns:
        names = [str(name) for name in frame.columns]
        near = difflib.get_close_matches(column, names, n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        shown = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")
        raise SchemaMismatch(f'There is no label column "{column}".{hint} Columns: {shown}.')
    return frame.drop(columns=column), parse_labels(frame[column], f'The label column "{column}"')


def parse_labels(values: pd.Series[Any], what: str) -> IntArray:
    """Return labels (n,), 1 = anomaly, of values; ``what`` names them in errors."""
    missing = int(values.isna().sum())
    if missing:
        raise InputError(
            f"{what} has {missing:,} missing values in {len(values):,} rows. Remove these rows, "
            "or label them."
        )
    codes, found = pd.factorize(values.astype(object))
    words = [str(value).strip().lower().removesuffix(".0") for value in found]
    anomalous = _anomalous(words)
    if anomalous is None:
        shown = ", ".join(f'"{value}"' for value in found[:10]) + (" …" if len(found) > 10 else "")
        raise InputError(
            f"{what} holds {len(found)} value(s): {shown}. Labels are two values such as "
            "0 and 1, or normal and anomaly: write them so."
        )
    return np.array([word in anomalous for word in words], dtype=np.int64)[codes]


def _anomalous(words: list[str]) -> set[str] | None:
    """Return which of the words mean an anomaly; None if that is not clear."""
    distinct = set(words)
    if distinct == {"-1", "1"}:
        return {"-1"}
    if distinct <= {"0", "1"}:
        return distinct & {"1"}
    if distinct <= _NORMAL_WORDS | _ANOMALY_WORDS and len(distinct) <= 2:
        anomalous = distinct & _ANOMALY_WORDS
        return anomalous if len(distinct) == 1 or len(anomalous) == 1 else None
    known = distinct & (_NORMAL_WORDS | _ANOMALY_WORDS)
    if len(distinct) != 2 or len(known) != 1 or any(map(_is_numeral, distinct)):
        return None
    return known if known <= _ANOMALY_WORDS else distinct - known


def _is_numeral(word: str) -> bool:
    return word.lstrip("+-").replace(".", "", 1).isdigit()
