"""The settings of alarms: defaults, what is refused, matchers and maintenance windows."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from tocsin.alarms.policy import (
    AlarmPolicy,
    Escalation,
    Inhibition,
    Maintenance,
    Matcher,
    RoutingPolicy,
    Rule,
    Storm,
)
from tocsin.settings.patterns import Pattern


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_defaults_depend_on_whether_events_are_in_order() -> None:
    assert AlarmPolicy().rule(ordered=True) == Rule(3, 5, 3.0, 10, 30 * 86_400)
    assert AlarmPolicy().rule(ordered=False) == Rule(1, 1, float("inf"), float("inf"), 300)
    assert AlarmPolicy(open=4).rule(ordered=True)[:3] == (4, 4, float("inf"))
    given = AlarmPolicy.model_validate({"close_after_time": "2m", "close_after": 7, "at_once": 5})
    assert given.rule(ordered=False) == Rule(1, 1, 5.0, 7, 120)


def test_the_settings_of_the_documentation_are_read() -> None:
    text = """
    alarms: {open: 3, of: 5, close_after: 10, severity: {warning: 0, critical: 3},
             labels: {site: berlin}}
    policy: {match: {severity: critical}, respond: [ops], group_by: [monitor], group_wait: 10s,
             group_interval: 5m, repeat: 4h, resolved: true,
             escalate: {after: 15m, respond: [console]}, continue: false}
    inhibit: {source: {severity: critical, kind: no data}, target: {kind: anomaly},
              equal: [monitor]}
    maintenance: {match: {monitor: machine}, days: [sat, sun], from: "02:00", to: "04:00",
                  timezone: UTC}
    storm: {alarms: 100, within: 1m}
    """
    read = yaml.safe_load(text)
    assert AlarmPolicy.model_validate(read["alarms"]).labels == {"site": "berlin"}
    policy = RoutingPolicy.model_validate(read["policy"])
    assert (policy.group_wait, policy.repeat, policy.continue_) == (10, 14_400, False)
    assert policy.escalate == Escalation(after=900, respond=("console",))
    assert Inhibition.model_validate(read["inhibit"]).equal == ("monitor",)
    assert Maintenance.model_validate(read["maintenance"]).days == ("sat", "sun")
    assert Storm.model_validate(read["storm"]) == Storm()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"open": 3, "of": 2}, "of is 2"),
        ({"of": 5}, "needs an open"),
        ({"open": 0}, "greater than or equal to 1"),
        ({"severity": {"warning": 3, "critical": 1}}, "thresholds must not fall"),
        ({"severity": {"fatal": 1}}, "'info', 'warning' or 'critical'"),
        ({"labels": {"monitor": "x"}}, "label monitor is reserved"),
        ({"labels": {"storm": "x"}}, "label storm is reserved"),
        ({"close_after_time": 0}, "greater than 0"),
        ({"cooldown": "soon"}, "durations are written"),
        ({"hysteresis": 0.5}, "greater than or equal to 1"),
        ({"opens": 3}, "Extra inputs"),
    ],
)
def test_what_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AlarmPolicy.model_validate(settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web-(", "invalid expression"),
        ("(a+)+", "can backtrack without end"),
        ("(a|b)*", "can backtrack without end"),
        ("((ab?)*c)+", "can backtrack without end"),
        ("(?:x{2,}y)*", "can backtrack without end"),
        ("((ab)*c)+", "can backtrack without end"),
        ("(a?){50}", "can backtrack without end"),
        ("a?" * 40 + "a" * 40, "can backtrack without end"),
        (".*.*.*.*", "can backtrack without end"),
        ("(a+){2,}", "can backtrack without end"),
        ("a" * 201, "201 characters"),
        ("a{99999999999}", "invalid expression"),
    ],
)
def test_expressions_that_are_wrong_or_explode_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        Matcher({"entity": text})
    assert text[:40] in str(refused.value)


@pytest.mark.parametrize(
    "text", ["a*a*a*b", ".*x.*y.*", r"[a-z]+\d+\(x\)", "(?:web|db)-.?", "(?i)[(+]*"]
)
def test_expressions_that_are_taken_are_quick_on_hostile_texts(text: str) -> None:
    pattern = Pattern(text)
    begun = time.process_time()
    pattern.matches("a" * 256)
    pattern.matches("a" * 1_000_000)
    assert time.process_time() - begun < 1


def test_matchers_match_all_of_a_text_and_all_names() -> None:
    known = {"monitor": "web-1", "entity": "db.example (1)", "severity": "critical"}
    assert Matcher({}).matches(known)
    assert Matcher({"monitor": "web-.*", "severity": "warning|critical"}).matches(known)
    assert Matcher({"entity": "db.example (1)"}).matches(known)
    assert not Matcher({"monitor": "web"}).matches(known)
    assert not Matcher({"monitor": "web-.*", "site": "berlin"}).matches(known)
    assert Matcher({"site": ""}).matches(known)
    with pytest.raises(ValueError, match=r"valid: info, warning, critical"):
        Matcher({"severity": "urgent"})
    with pytest.raises(ValueError, match="no data"):
        Matcher({"kind": "silence"})


def window(**settings: Any) -> Maintenance:
    return Maintenance.model_validate(settings)


def test_weekly_windows_across_midnight() -> None:
    night = window(days=["fri"], **{"from": "22:00", "to": "04:00"}, timezone="Europe/Berlin")
    assert not night.active(at("2026-06-05T19:59:59+00:00"))
    assert night.active(at("2026-06-05T20:00:00+00:00"))
    assert night.active(at("2026-06-06T01:59:59+00:00"))
    assert not night.active(at("2026-06-06T02:00:00+00:00"))
    assert not night.active(at("2026-06-06T20:30:00+00:00"))
    always = window(**{"from": "00:00", "to": "24:00"})
    assert all(always.active(datetime(2026, 3, 1, hour, tzinfo=UTC)) for hour in range(24))


def test_windows_when_clocks_change() -> None:
    berlin = {"from": "02:00", "to": "04:00", "timezone": "Europe/Berlin"}
    spring, autumn = "2026-03-29T", "2026-10-25T"
    short = window(**berlin)
    assert [short.active(at(f"{spring}0{hour}:30:00+00:00")) for hour in range(4)] == [
        False,  # 01:30
        True,  # 03:30, as 02:30 does not exist
        False,
        False,
    ]
    assert [short.active(at(f"{autumn}0{hour}:30:00+00:00")) for hour in range(4)] == [
        True,  # 02:30
        True,  # 02:30 again
        True,  # 03:30
        False,
    ]
    gap = window(**{**berlin, "from": "02:10", "to": "02:50"})
    assert gap.active(at(f"{spring}01:30:00+00:00"))
    assert not gap.active(at(f"{spring}01:55:00+00:00"))
    twice = window(**{**berlin, "from": "02:10", "to": "02:50"})
    assert twice.active(at(f"{autumn}00:30:00+00:00"))
    assert not twice.active(at(f"{autumn}01:30:00+00:00"))


def test_a_window_that_happens_once() -> None:
    read = yaml.safe_load("{from: 2026-03-01, until: 2026-03-02T12:00:00, timezone: Asia/Tokyo}")
    once = Maintenance.model_validate(read)
    assert not once.active(at("2026-02-28T14:59:59+00:00"))
    assert once.active(at("2026-02-28T15:00:00+00:00"))
    assert not once.active(at("2026-03-02T03:00:00+00:00"))


def test_times_without_quotes_are_those_that_yaml_reads_as_minutes() -> None:
    noon = Maintenance.model_validate(yaml.safe_load("{from: 12:30, to: 13:00}"))
    assert noon.from_ == "12:30"
    assert noon.active(at("2026-01-01T12:45:00+00:00"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"from": "02:00"}, "has from and to"),
        ({"from": "25:00", "to": "04:00"}, "from"),
        ({"from": "02:00", "until": "2026-01-01"}, "has from and to"),
        ({"from": "2026-01-02", "until": "2026-01-01"}, "but ends at"),
        ({"from": "2026-01-01", "until": "2026-01-02", "days": ["sat"]}, "has no days"),
        ({"from": "02:00", "to": "04:00", "timezone": "Mars/Base"}, "unknown time zone"),
        ({"from": "02:00", "to": "04:00", "timezone": "../etc/passwd"}, "unknown time zone"),
        ({"from": "02:00", "to": "04:00", "days": ["someday"]}, "days"),
    ],
)
def test_maintenance_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Maintenance.model_validate(settings)
