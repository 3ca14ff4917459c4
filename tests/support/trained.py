"""Small trained pipelines of every detector and of odd data, and items for them to score."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tocsin import registry
from tocsin.checks import Subject, subject_for
from tocsin.errors import MissingExtra, NotSavable

Case = tuple[str, str]
"""A modality and the name of a detector, or of what is odd about the data."""


def cases() -> Iterator[Case]:
    """Yield every detector that there is."""
    for modality in registry.modalities():
        for name in registry.names(modality):
            yield modality, name


def save_trained(case: Case, folder: Path) -> bool:
    """Train a small pipeline and save it; return whether it can be trained and saved here."""
    modality, name = case
    if case in VARIANTS:
        settings, data = VARIANTS[case]
        registry.of_modality("pipeline", modality)(**settings).fit(data(300, 0)).save(folder)
        return True
    cls = registry.find(name, modality)
    detector = registry.create(name, modality, **cls.test_parameters())
    pipeline = registry.of_modality("pipeline", modality)(detector)
    X, labels = _training(subject_for(detector), modality, detector.needs_labels)
    try:
        pipeline.fit(X, labels=labels).save(folder)
    except (MissingExtra, NotSavable):
        return False
    return True


def new_items(name: str) -> Any:
    """Return a few items that models of a case have not seen, some of them odd.

    ``name``: a modality, alone or with the rest of the case behind a hyphen.
    """
    modality, _, rest = name.partition("-")
    if (modality, rest) in VARIANTS:
        return VARIANTS[modality, rest][1](60, 1)
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


def _columns(n: int, seed: int) -> pd.DataFrame:
    """Return a table of dates, truths, names, many kinds, gaps, and a column that never varies."""
    rng = np.random.default_rng(seed)
    amounts = np.where(rng.random(n) < 0.1, np.nan, rng.normal(100, 15, n))
    return pd.DataFrame(
        {
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 90, n), unit="D"),
            "amount": amounts,
            "paid": rng.random(n) < 0.5,
            "shop": rng.choice([f"shop {i}" for i in range(40)], n),
            "size": rng.choice(["small", "large", None], n),
            "unit": "EUR",
            "count": rng.integers(0, 5, n),
        }
    )


def _machines(n: int, seed: int) -> pd.DataFrame:
    """Return series of two machines: a flow, a counter, a switch, and gaps in time."""
    rng = np.random.default_rng(seed)
    frames = []
    for name, level in (("a", 10.0), ("b", 900.0)):
        times = pd.date_range("2026-01-01", periods=n, freq="min").delete([40, 41, 42])
        frames.append(
            pd.DataFrame(
                {
                    "time": times,
                    "machine": name,
                    "flow": level
                    + np.sin(np.arange(len(times)) / 5)
                    + rng.normal(0, 0.1, len(times)),
                    "total": np.cumsum(rng.integers(1, 5, len(times))),
                    "open": (np.arange(len(times)) // 20) % 2,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _logins(n: int, seed: int) -> list[str]:
    return _lines(n, first=seed * 400)


def _mails(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    words = [
        "order",
        "invoice",
        "meeting",
        "client",
        "report",
        "please",
        "send",
        "number",
        "room",
        "today",
    ]
    bodies = [" ".join(rng.choice(words, 9)) for _ in range(n)]
    return pd.DataFrame({"sender": "someone", "body": bodies})


VARIANTS: dict[Case, tuple[dict[str, Any], Callable[[int, int], Any]]] = {
    ("tables", "columns"): ({"training": "mixed", "scale": "robust"}, _columns),
    ("series", "machines"): ({"entity": "machine", "models": "each"}, _machines),
    ("series", "gaps"): ({"detector": "seasonal", "missing": "anomaly"}, _machines),
    ("series", "stream"): ({"detector": "recursive_ar", "entity": "machine"}, _machines),
    ("logs", "sessions"): ({"detector": "log_counts", "session": r"user (u\d+)"}, _logins),
    ("logs", "windows"): ({"session": "all", "window": 600.0}, _logins),
    ("text", "column"): ({"text": "body", "training": "clean"}, _mails),
}
"""Settings of a pipeline, and its data by number of items and seed."""
