"""What Alertmanager's webhook posts, as alarms; the way out is its responder's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from tocsin.alarms.identity import digest, fingerprint
from tocsin.alarms.policy import OWN_NAMES
from tocsin.errors import InputError
from tocsin.printable import printable
from tocsin.types import Alarm, Severity

LARGEST = 1_000_000
"""The most bytes of a payload that are read."""

_MOST_ALERTS, _MOST_LABELS, _LONGEST = 1_000, 64, 1_024
_OURS = "Tocsin"
_SEVERITIES: dict[str, Severity] = {
    "info": "info",
    "none": "info",
    "page": "critical",
    "critical": "critical",
    "error": "critical",
    "high": "critical",
}


class _Alert(msgspec.Struct):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    starts: datetime = msgspec.field(name="startsAt")
    ends: datetime | None = msgspec.field(name="endsAt", default=None)
    annotations: dict[str, str] = {}
    url: str = msgspec.field(name="generatorURL", default="")


class _Payload(msgspec.Struct):
    version: Literal["4"]
    alerts: list[_Alert]


def from_alertmanager(payload: bytes | str, *, monitor: str = "alertmanager") -> list[Alarm]:
    """Return the alarms in what Alertmanager's webhook posts (version 4), as JSON text.

    The entity is the label ``entity``, else ``instance``. Alerts that came from here are left
    out, so that none goes round in circles. Raises InputError for what is malformed or too large:
    more than 1 MB, 1,000 alerts, 64 labels, or 1,024 characters in a label.
    """
    if len(payload) > LARGEST:
        raise InputError(f"The payload has {len(payload)} bytes; at most {LARGEST} are read.")
    try:
        read = msgspec.json.decode(payload, type=_Payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(
            f"This is not what Alertmanager's webhook posts, version 4: {error}."
        ) from error
    if len(read.alerts) > _MOST_ALERTS:
        raise InputError(f"The payload has {len(read.alerts)} alerts; at most {_MOST_ALERTS} fit.")
    foreign = [
        alert for alert in read.alerts if not alert.labels.get("alertname", "").startswith(_OURS)
    ]
    return [_alarm(alert, monitor) for alert in foreign]


def _alarm(alert: _Alert, monitor: str) -> Alarm:
    labels = alert.labels
    if len(labels) > _MOST_LABELS or any(
        len(text) > _LONGEST for pair in labels.items() for text in pair
    ):
        raise InputError(
            f"An alert has {len(labels)} labels or a long one; at most {_MOST_LABELS} of "
            f"{_LONGEST} characters fit."
        )
    entity = labels.get("entity") or labels.get("instance", "")
    start = _utc(alert.starts)
    over = alert.status == "resolved"
    end = max(start, _utc(alert.ends or alert.starts)) if over else None
    name = labels.get("alertname", "alert")
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or name
    identity = [text for pair in sorted(labels.items()) for text in pair]
    return Alarm(
        id=digest(monitor, start.isoformat(), *identity),
        fingerprint=fingerprint(monitor, entity, "anomaly"),
        monitor=monitor,
        entity=entity,
        kind="anomaly",
        severity=_SEVERITIES.get(labels.get("severity", "").lower(), "warning"),
        state="resolved" if over else "open",
        opened=start,
        updated=end or start,
        closed=end,
        summary=printable(summary, _LONGEST),
        evidence={"url": alert.url[:_LONGEST]} if alert.url else {},
        labels={key: value for key, value in labels.items() if key not in (*OWN_NAMES, "storm")},
    )


def _utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        return time.replace(tzinfo=UTC)
