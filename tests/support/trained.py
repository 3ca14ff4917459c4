"""Small trained pipelines of every detector, and items for them to score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tocsin import registry
from tocsin.checks import Subject, subject_for
from tocsin.errors import MissingExtra, NotSavable

Case = tuple[str, str]
"""A modality and the name of a detector."""


def cases() -> Iterator[Case]:
    """Yield every detector that there is."""
    for modality in registry.modalities():
        for name in registry.names(modality):
            yield modality, name


def save_trained(case: Case, folder: Path) -> bool:
    """Train a small pipeline and save it; return whether it can be trained and saved here."""
    modality, name = case
    cls = registry.find(name, modality)
    detector = registry.create(name, modality, **cls.test_parameters())
    pipeline = registry.of_modality("pipeline", modality)(detector)
    X, labels = _training(subject_for(detector), modality, detector.needs_labels)
    try:
        pipeline.fit(X, labels=labels).save(folder)
    except (MissingExtra, NotSavable):
        return False
    return True


def new_items(modality: str) -> Any:
    """Return a few items that models of a modality have not seen, some of them odd."""
    detector = registry.create(registry.names(modality)[0], modality)
    subject = subject_for(detector)
    if modality == "logs":
        return _lines(60, first=400)
    few = {"images": 3, "series": 150, "metrics": 150}.get(modality, 12)
    return _as_given(np.concatenate([subject.unseen[:few], _odd(subject, modality)]), modality)


def _odd(subject: Subject, modality: str) -> Any:
    return subject.unlike(subject.unseen) if modality != "series" else subject.unseen[:9] + 4.0


def _training(subject: Subject, modality: str, labelled: bool) -> tuple[Any, Any]:
    if modality == "logs":
        return _lines(400, first=0), None
    items = subject.normal[:200]
    labels = None
    if labelled:
        odd = subject.anomalies[:30]
        labels = np.repeat([0, 1], [len(items), len(odd)])
        items = np.concatenate([items, odd])
    return _as_given(items, modality), labels


def _as_given(items: Any, modality: str) -> Any:
    if modality == "tables":
        colours = np.array(["red", "green", "blue"])[np.arange(len(items)) % 3]
        return pd.DataFrame(items, columns=list("abcde")).assign(colour=colours)
    if modality == "metrics":
        times = items["time"].astype("datetime64[us]")
        entities = [f"web-{e}" for e in items["entity"]]
        values = dict(zip(["flow", "load"], items["values"].T, strict=True))
        return pd.DataFrame({"time": times, "entity": entities, **values})
    if modality == "series":
        times = pd.date_range("2026-01-01", periods=len(items), freq="min")
        return pd.DataFrame({"time": times, "flow": items[:, 0], "load": items[:, 1]})
    return list(items)


def _lines(n: int, first: int) -> list[str]:
    kinds = (
        "INFO connection opened from 10.0.0.{i}",
        "INFO user u{i} logged in",
        "INFO read {i}",
        "WARN retrying block {i}",
        "INFO user u{i} logged out",
    )
    return [
        f"2026-01-01 {i // 60 % 24:02}:{i % 60:02}:00 {kinds[i * i % 5].format(i=i % 200)}"
        for i in range(first, first + n)
    ]
