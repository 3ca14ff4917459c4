"""Alertmanager's formats, out and in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tocsin.alarms.alertmanager import from_alertmanager
from tocsin.errors import InputError
from tocsin.responders.alertmanager import to_alertmanager
from tocsin.types import Alarm, Reason

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {
        "alertname": "DiskFull",
        "instance": "db-1:9100",
        "severity": "page",
        "job": "node",
    },
    "annotations": {"summary": "Disk is\x1b[31m full"},
    "startsAt": "2026-01-01T12:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus:9090/graph",
    "fingerprint": "c0ffee",
}


def payload(*alerts: dict[str, Any], **changes: Any) -> bytes:
    body = {"version": "4", "status": "firing", "receiver": "tocsin", "alerts": alerts or (ALERT,)}
    return json.dumps({**body, **changes}).encode()


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


def test_what_the_webhook_posts_becomes_alarms() -> None:
    (fired,) = from_alertmanager(payload())
    assert (fired.monitor, fired.entity, fired.severity) == (
        "alertmanager",
        "db-1:9100",
        "critical",
    )
    assert fired.opened == NOON.replace(microsecond=123457)
    assert fired.summary == "Disk is\\x1b[31m full"
    assert fired.labels == {"alertname": "DiskFull", "instance": "db-1:9100", "job": "node"}
    ended = {**ALERT, "status": "resolved", "endsAt": "2026-01-01T14:00:00+01:00"}
    (over,) = from_alertmanager(payload(ended))
    assert (over.id, over.state) == (fired.id, "resolved")
    assert over.closed == NOON + timedelta(hours=1)
    other = {**ALERT, "labels": {**ALERT["labels"], "job": "disk"}}
    assert len({each.id for each in from_alertmanager(payload(ALERT, other))}) == 2


def test_what_came_from_here_does_not_come_back() -> None:
    ours = {**to_alertmanager(alarm()), "status": "firing"}
    assert [each.labels["job"] for each in from_alertmanager(payload(ours, ALERT))] == ["node"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "not what Alertmanager"),
        (b"\xff\xfe{", "not what Alertmanager"),
        (b"[" * 100_000, "not what Alertmanager"),
        (payload(version="3"), "version"),
        (payload(alerts={}), "alerts"),
        (payload({**ALERT, "labels": {"a": 1}}), r"labels"),
        (payload({**ALERT, "startsAt": "yesterday"}), "startsAt"),
        (payload({**ALERT, "status": "odd"}), "status"),
        (
            payload(*[{"status": "firing", "labels": {}, "startsAt": ALERT["startsAt"]}] * 1001),
            "1001",
        ),
        (payload({**ALERT, "labels": {str(i): "" for i in range(65)}}), "65 labels"),
        (payload({**ALERT, "labels": {"a": "x" * 1025}}), "a long one"),
        (b" " * 1_000_001, "1000001 bytes"),
    ],
)
def test_malformed_and_large_payloads_are_refused(given: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_alertmanager(given)


def test_times_at_the_ends_of_the_calendar_do_not_crash() -> None:
    early = {**ALERT, "startsAt": "0001-01-01T00:00:00+14:00"}
    late = {**ALERT, "startsAt": "9999-12-31T23:59:59-14:00", "status": "resolved"}
    assert len(from_alertmanager(payload(early, late))) == 2
