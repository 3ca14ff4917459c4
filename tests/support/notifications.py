"""Notifications for tests of responders, plain and hostile."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tocsin.types import Alarm, Notification, Reason

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVIL = "x\r\nBcc: eve@example.com\r\n\r\n\x1b[31m\x00\x9b2J\u2028\ud800<script>alert(1)</script>"


def alarm(id: str = "a1", **changes: Any) -> Alarm:
    given: dict[str, Any] = {
        "id": id,
        "fingerprint": f"f-{id}",
        "monitor": "pumps",
        "entity": "p7",
        "kind": "anomaly",
        "severity": "critical",
        "state": "open",
        "opened": NOON,
        "updated": NOON,
        "closed": None,
        "summary": "p7: heat 98",
        "reasons": (Reason("heat", 98.2, 12.1, 0.8),),
        "evidence": {"event": {"heat": 98.2}},
        "labels": {"site": "berlin"},
    }
    return Alarm(**{**given, **changes})


def notification(*alarms: Alarm, key: str = "k-1", **changes: Any) -> Notification:
    given: dict[str, Any] = {"kind": "opened", "group": {"monitor": "pumps"}, "created": NOON}
    return Notification(key=key, alarms=alarms or (alarm(),), **{**given, **changes})


def hostile() -> Notification:
    """A notification whose every foreign text tries to be more than text."""
    bad = alarm(
        entity=EVIL,
        summary=EVIL + "x" * 1_000_000,
        reasons=(Reason(EVIL, float("nan"), EVIL, 0.5),) * 3,
        evidence={"lines": [EVIL, float("inf")]},
        labels={EVIL: EVIL},
    )
    return notification(bad, group={"entity": EVIL})
