"""Alarms about a model that scores nothing, or flags far more than its budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from tocsin.alarms.conditions import model_trouble
from tocsin.alarms.lifecycle import end
from tocsin.types import Alarm

_SPAN = 10_000.0
_FAR, _SHARE, _FEW = 10.0, 0.05, 20.0


def tolerable_anomalies(events: float, budget: float) -> float:
    """Return how many anomalies among N events a model may find that is still of use.

    >>> tolerable_anomalies(10_000, 0.001), tolerable_anomalies(10_000, 0.01)
    (500.0, 1000.0)
    """
    return max(_FEW, events * max(_FAR * budget, _SHARE))


class Health:
    """How a monitor's model has done lately, and the alarms about it.

    ``open_alarms``: those that an earlier run left. The share of anomalies is that of about the
    last 10,000 events. It is far too high at ten times the budget and at least 5 %, so that no
    single incident reaches it, and fine again at a third of that.
    """

    def __init__(
        self, monitor: str, labels: Mapping[str, str], open_alarms: Iterable[Alarm]
    ) -> None:
        self.monitor = monitor
        self._labels = labels
        self._open = {str(a.evidence["aspect"]): a for a in open_alarms if a.kind == "model"}
        self._events = self._flagged = 0.0

    def state(self) -> dict[str, float]:
        """Return what ``restore`` needs after a crash, as JSON."""
        return {"events": self._events, "flagged": self._flagged}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self._events, self._flagged = float(state["events"]), float(state["flagged"])

    def renew(self) -> None:
        """Count from zero again, for another model."""
        self._events = self._flagged = 0.0

    def scored(
        self,
        events: int,
        anomalies: int,
        budget: float,
        at: datetime,
        moved: Callable[[], Sequence[str]] = list,
    ) -> list[Alarm]:
        """Count events that were scored ``at`` a time, and return the alarms that changed.

        ``moved`` returns the columns that lie elsewhere than in training; it is called only when
        too much is flagged.
        """
        kept = math.exp(-events / _SPAN)
        self._events = self._events * kept + events
        self._flagged = self._flagged * kept + anomalies
        changed = self._change("scoring", False, at, "")
        tolerable = tolerable_anomalies(self._events, budget)
        if self._flagged > tolerable:
            if "share of anomalies" in self._open:
                return changed
            share, columns = self._flagged / self._events, moved()
            why = "something has changed for good, or the model no longer fits"
            if columns:
                why = f"this is drift rather than single anomalies; moved: {', '.join(columns)}"
            summary = (
                f"{self.monitor}: {share:.2%} of the last events are anomalies, and the budget is "
                f"{budget:.2%}: {why}"
            )
            changed += self._change("share of anomalies", True, at, summary)
        elif self._flagged < tolerable / 3:
            changed += self._change("share of anomalies", False, at, "")
        return changed

    def failed(self, events: int, reason: str, at: datetime) -> list[Alarm]:
        """Note that the model could score none of N events; return the alarms that changed."""
        summary = f"{self.monitor}: none of {events:,} events can be scored: {reason}"
        return self._change("scoring", True, at, summary)

    def _change(self, aspect: str, wrong: bool, at: datetime, summary: str) -> list[Alarm]:
        if wrong == (aspect in self._open):
            return []
        if not wrong:
            return [end(self._open.pop(aspect), at)]
        self._open[aspect] = model_trouble(self.monitor, aspect, at, summary, labels=self._labels)
        return [self._open[aspect]]
