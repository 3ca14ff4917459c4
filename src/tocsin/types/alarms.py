"""Alarms, notifications about them, and what became of a notification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from tocsin.types.detections import Reason

Severity = Literal["info", "warning", "critical"]
AlarmState = Literal["open", "acknowledged", "resolved", "false alarm"]
AlarmKind = Literal["anomaly", "no data", "model", "storm"]
NotificationKind = Literal["opened", "raised", "repeated", "escalated", "resolved"]
DeliveryStatus = Literal["delivered", "retry", "rejected", "unknown"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One episode of anomalies of one entity, from its opening to its end.

    ``id``: text, the same for the same events in every run. ``fingerprint``: text, the same for
    all episodes of one monitor, entity and kind. ``entity``: "" where a monitor has none.
    ``opened``, ``updated``, ``closed``: UTC times of events, ``closed`` None while it lasts.
    ``events`` were seen meanwhile, of which ``anomalies`` were anomalous. ``score``,
    ``p_value``, ``peak``: of the most anomalous event, and its time. ``model``: what scored it.
    ``summary``: one sentence. ``reasons``: of the most anomalous event, the heaviest first.
    ``evidence``: JSON values, the event itself or its raw lines. ``labels``: what policies match
    beside monitor, entity, kind and severity. ``state`` and ``owner``: who has taken it.
    """

    id: str
    fingerprint: str
    monitor: str
    entity: str
    kind: AlarmKind
    severity: Severity
    state: AlarmState
    opened: datetime
    updated: datetime
    closed: datetime | None
    summary: str
    events: int = 1
    anomalies: int = 1
    score: float | None = None
    p_value: float | None = None
    threshold: float | None = None
    peak: datetime | None = None
    model: str = ""
    owner: str = ""
    reasons: tuple[Reason, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notification:
    """What a responder is given: one or several alarms that belong together.

    ``key``: the idempotency key, the same whenever this notification is sent again. ``group``: what
    the alarms share, for instance {"monitor": "machine"}.
    """

    key: str
    kind: NotificationKind
    group: Mapping[str, str]
    alarms: tuple[Alarm, ...]
    created: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a notification: "unknown" is a time-out, after which nobody knows.

    "retry": it may work later. "rejected": it will not.
    """

    status: DeliveryStatus
    reason: str = ""
