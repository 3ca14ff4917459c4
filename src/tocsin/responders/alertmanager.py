"""Alarms to Prometheus' Alertmanager, in its own format."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from tocsin.errors import TocsinError
from tocsin.responders._http import HttpResponder
from tocsin.responders._sending import encoded
from tocsin.responders._text import format_reason, line
from tocsin.settings import Duration
from tocsin.types import Alarm, Delivery, Notification

_PATH = "/api/v2/alerts"
_LONGEST, _MOST = 1_000, 10
_NAMES: dict[str, str] = {
    "anomaly": "TocsinAnomaly",
    "no data": "TocsinNoData",
    "model": "TocsinModel",
    "storm": "TocsinStorm",
}


class Alertmanager(HttpResponder):
    """Posts each notification's alarms to the Alertmanager at ``url``, for instance http://am:9093.

    ``lasting``: how long it holds an alarm that is not over if it hears nothing more of it; more
    than the policy's ``repeat``. Alerts that come twice are one to Alertmanager.
    """

    lasting: Duration = 86_400.0

    def respond(self, notification: Notification) -> Delivery:
        """Post the alarms."""
        until = notification.created + timedelta(seconds=self.lasting)
        alerts = [to_alertmanager(alarm, until=until) for alarm in notification.alarms]
        try:
            sent = self.post(encoded(alerts), {})
        except TocsinError as error:
            return Delivery("retry", str(error))
        return Delivery("retry", sent.reason) if sent.status == "unknown" else sent

    @property
    def _target(self) -> str:
        return super()._target.rstrip("/").removesuffix(_PATH) + _PATH


def to_alertmanager(alarm: Alarm, *, until: datetime | None = None) -> dict[str, Any]:
    """Return an alarm as an alert of Alertmanager's API, version 2.

    ``until``: when Alertmanager may take an alarm that is not over for resolved if it hears
    nothing more; left out, it does so by its own setting.
    """
    own = {name: getattr(alarm, name) for name in ("monitor", "entity", "kind", "severity")}
    labels = {_label_name(name): value for name, value in {**alarm.labels, **own}.items() if value}
    alert: dict[str, Any] = {
        "labels": {
            "alertname": _NAMES[alarm.kind],
            **{name: value[:_LONGEST] for name, value in labels.items()},
        },
        "annotations": {
            "summary": line(alarm.summary),
            "description": "; ".join(map(format_reason, alarm.reasons[:_MOST])),
            "alarm": alarm.id,
        },
        "startsAt": alarm.opened.isoformat(),
    }
    over = alarm.state not in ("open", "acknowledged")
    ends = (alarm.closed or alarm.updated) if over else until
    return alert if ends is None else {**alert, "endsAt": ends.isoformat()}


def _label_name(name: str) -> str:
    return re.sub(r"^(?=\d)|[^a-zA-Z0-9_]", "_", name)
