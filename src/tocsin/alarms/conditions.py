"""Alarms that no event causes: a silent source, a model in trouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tocsin.alarms.identity import digest, fingerprint
from tocsin.types import Alarm, AlarmKind, Severity


def no_data(
    monitor: str,
    last: datetime,
    now: datetime,
    *,
    entity: str = "",
    severity: Severity = "critical",
    labels: Mapping[str, str] | None = None,
) -> Alarm:
    """Return the alarm about a source, or one entity of it, that has been silent since ``last``.

    The same silence always gives the same id; ``lifecycle.end`` ends the alarm.

    >>> from datetime import UTC
    >>> last, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
    >>> no_data("machine", last, now).summary
    'machine: no data since 2026-01-01 00:00:00 UTC, for 120 s'
    """
    silence = max((now - last).total_seconds(), 0.0)
    who = f"{monitor}, {entity}" if entity else monitor
    summary = f"{who}: no data since {last:%Y-%m-%d %H:%M:%S} UTC, for {silence:.0f} s"
    evidence = {"last": last.isoformat(), "silent_seconds": silence}
    id = digest(fingerprint(monitor, entity, "no data"), last.isoformat())
    alarm = _condition(id, monitor, "no data", max(last, now), summary, severity, evidence, labels)
    return replace(alarm, entity=entity, fingerprint=fingerprint(monitor, entity, "no data"))


def model_trouble(
    monitor: str,
    aspect: str,
    at: datetime,
    summary: str,
    *,
    severity: Severity = "warning",
    evidence: Mapping[str, Any] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Alarm:
    """Return the alarm about a model that fails, or flags far more than its budget, since ``at``.

    ``aspect``: what is wrong, in one or two words; one aspect and time give the same alarm.
    """
    id = digest(fingerprint(monitor, "", "model"), aspect, at.isoformat())
    evidence = {"aspect": aspect, **(evidence or {})}
    return _condition(id, monitor, "model", at, summary, severity, evidence, labels)


def _condition(
    id: str,
    monitor: str,
    kind: AlarmKind,
    at: datetime,
    summary: str,
    severity: Severity,
    evidence: Mapping[str, Any],
    labels: Mapping[str, str] | None,
) -> Alarm:
    return Alarm(
        id=id,
        fingerprint=fingerprint(monitor, "", kind),
        monitor=monitor,
        entity="",
        kind=kind,
        severity=severity,
        state="open",
        opened=at,
        updated=at,
        closed=None,
        summary=summary,
        events=0,
        anomalies=0,
        evidence=evidence,
        labels=labels or {},
    )
