"""Made-up beats for the contract of detectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.base import Detector
from tocsin.checks import common, items
from tocsin.checks.subject import Items, ItemSubject


class PulseSubject(ItemSubject):
    """Beats of one rhythm; anomalies are slower."""

    modality = "pulses"
    shared = (common, items)
    least_area = 0.9
    shares = (0.0, 0.3)

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        rng = np.random.default_rng(3)
        usual = beats(rng, 400, 0.8)
        self.normal, self.unseen = usual[:200], usual[200:]
        self.anomalies = beats(rng, 60, 1.1)

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes, by what is wrong with them."""
        return {"nothing": None, "an empty list": [], "a text": "0.8 0.9"}

    def unlike(self, X: Items) -> Items:
        """Return a slow beat."""
        return self.anomalies[:1]


def beats(rng: np.random.Generator, n: int, interval: float) -> Items:
    """Return n beats of 8 to 19 intervals each."""
    made = np.empty(n, dtype=object)
    for i in range(n):
        made[i] = rng.normal(interval, 0.02, rng.integers(8, 20))
    return made
