"""Alarms as Alertmanager takes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tocsin.responders.alertmanager import to_alertmanager
from tocsin.types import Alarm, Reason

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def alarm(state: Any = "open", entity: str = "fan 1") -> Alarm:
    return Alarm(
        id="1a2b",
        fingerprint="f",
        monitor="machine",
        entity=entity,
        kind="anomaly",
        severity="critical",
        state=state,
        opened=NOON,
        updated=NOON,
        closed=None if state == "open" else NOON + timedelta(hours=1),
        summary="machine: cpu 98",
        reasons=(Reason("cpu", 98.2, 12.1, 0.8), Reason("host", "b\x07x", None, 0.2)),
        labels={"rack-no": "7", "2nd": "x"},
    )


def test_an_alarm_becomes_an_alert() -> None:
    alert = to_alertmanager(alarm())
    assert alert["labels"] == {
        "alertname": "TocsinAnomaly",
        "rack_no": "7",
        "_2nd": "x",
        "monitor": "machine",
        "entity": "fan 1",
        "kind": "anomaly",
        "severity": "critical",
    }
    assert alert["annotations"] == {
        "summary": "machine: cpu 98",
        "description": r"cpu: 98.2 (expected 12.1); host: b\x07x",
        "alarm": "1a2b",
    }
    assert alert["startsAt"] == "2026-01-01T12:00:00+00:00"
    assert "endsAt" not in alert
    assert "entity" not in to_alertmanager(alarm(entity=""))["labels"]
    json.dumps(alert)


def test_an_alert_ends_when_the_alarm_does() -> None:
    later = NOON + timedelta(hours=3)
    assert to_alertmanager(alarm(), until=later)["endsAt"] == "2026-01-01T15:00:00+00:00"
    over = to_alertmanager(alarm("resolved"), until=later)
    assert over["endsAt"] == "2026-01-01T13:00:00+00:00"
    assert over["labels"] == to_alertmanager(alarm())["labels"]
