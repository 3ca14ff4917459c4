"""What measures are called when a person reads them."""

from __future__ import annotations

_NAMES = {
    "roc_auc": "ROC AUC",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "vus_pr": "VUS-PR",
    "vus_roc": "VUS-ROC",
    "pro": "PRO",
}


def measure_name(key: str) -> str:
    """Return the name of a measure for reading.

    >>> measure_name("roc_auc"), measure_name("average_precision")
    ('ROC AUC', 'average precision')
    """
    return _NAMES.get(key, key.replace("_", " "))


def humanised(key: str) -> str:
    """Return the name of a measure or a setting with a capital letter, for headings.

    >>> humanised("average_precision")
    'Average precision'
    """
    name = measure_name(key)
    return name[:1].upper() + name[1:]
