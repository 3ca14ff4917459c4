"""Entities that fell silent while others go on: an alarm each, by the times of events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tocsin.alarms.conditions import no_data
from tocsin.alarms.lifecycle import end
from tocsin.alarms.tracks import as_time
from tocsin.types import Alarm

_MOST = 1_000


class Silences:
    """The alarms about silent entities of a monitor; ``open_alarms``: those of an earlier run."""

    def __init__(
        self, monitor: str, labels: Mapping[str, str], open_alarms: Iterable[Alarm]
    ) -> None:
        self.monitor = monitor
        self._labels = labels
        self._open = {a.entity: a for a in open_alarms if a.kind == "no data" and a.entity}

    def update(self, silent: Mapping[str, tuple[int, int]], at: int) -> list[Alarm]:
        """Return the alarms that changed.

        ``silent``: of each entity that is silent, when its last event was and the next was due;
        ``at``: the newest time of all; in microseconds since 1970. At most 1,000 have an alarm.
        """
        heard = [name for name in self._open if name not in silent]
        changed = [end(self._open.pop(entity), as_time(at)) for entity in heard]
        for entity, (last, due) in silent.items():
            if entity not in self._open and len(self._open) < _MOST:
                alarm = no_data(
                    self.monitor, as_time(last), as_time(due), entity=entity, labels=self._labels
                )
                self._open[entity] = alarm
                changed.append(alarm)
        return changed
