"""Events as programs write them: their times, entities and values are found as in files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.errors import ConfigError
from tocsin.prepare.log_formats import parse, recognise
from tocsin.readers.lines import RawLine
from tocsin.sources._records import Fields, batch_of, rows_of
from tocsin.types import Batch

START = datetime(2026, 1, 2, 12, tzinfo=UTC)
TIMES = [START + timedelta(seconds=i) for i in range(20)]
MOMENTS = [np.datetime64(each.replace(tzinfo=None), "us") for each in TIMES]


def events(*records: dict[str, Any], **fields: Any) -> Batch:
    return batch_of([json.dumps(each).encode() for each in records], Fields(**fields))


WRITTEN: dict[str, Any] = {
    "ISO": lambda t: t.isoformat(),
    "seconds": lambda t: t.timestamp(),
    "milliseconds": lambda t: int(t.timestamp() * 1e3),
    "microseconds as text": lambda t: str(int(t.timestamp() * 1e6)),
    "MongoDB": lambda t: {"$date": t.isoformat()},
    "ROS": lambda t: {"sec": int(t.timestamp()), "nanosec": 0},
    "RFC 2822": lambda t: t.strftime("%a, %d %b %Y %H:%M:%S GMT"),
    "Python's logging": lambda t: t.strftime("%Y-%m-%d %H:%M:%S,000"),
    "with UTC": lambda t: t.strftime("%Y-%m-%d %H:%M:%S UTC"),
}
NAMES = ["time", "timestamp", "@timestamp", "ts", "datetime", "Time", "eventTime", "event_time"]
NAMES += ["date", "__REALTIME_TIMESTAMP", "Zeit"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", WRITTEN)
def test_the_time_is_found_by_its_name(name: str, form: str) -> None:
    """timestamp, ts, @timestamp and others in any form: the time, and no value."""
    batch = events(*({name: WRITTEN[form](t), "heat": 21.5} for t in TIMES))
    assert batch.times.tolist() == [each.item() for each in MOMENTS]
    assert list(batch.frame) == ["heat"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("t", 21.5), ("date", 3), ("response_time", 0.25), ("start_time", 1.7e9), ("t1", 1.7e9)),
        *(("uptime", 1_700_000_000), ("clock", 1_700_000), ("ts", None), ("t", "21.5")),
        *(("when", True), ("utc", False)),
    ],
)
def test_what_is_no_time_stays_a_value(name: str, value: Any) -> None:
    """t as a temperature, response_time, an uptime: values, the time is that of arrival."""
    batch = events({name: value, "heat": 21.5})
    assert abs(batch.times[0].item() - datetime.now(UTC).replace(tzinfo=None)) < timedelta(
        minutes=1
    )
    assert "heat" in batch.frame
    assert value is None or batch.frame[name].tolist() == [value]


@pytest.mark.parametrize(
    ("record", "entity"),
    [
        ({"host": "web1"}, "web1"),
        ({"host": {"name": "web1", "ip": ["192.0.2.1"]}}, "web1"),
        ({"tags": {"host": "web1"}}, "web1"),
        ({"_HOSTNAME": "web1"}, "web1"),
        ({"hostname": "web1", "device": "sda"}, "web1"),
        ({"device_id": 7}, "7"),
        ({"deviceId": "d7"}, "d7"),
        ({"sensor": "north"}, "north"),
        ({"entity": 5}, "5"),
    ],
)
def test_the_entity_is_found_by_its_name(record: dict[str, Any], entity: str) -> None:
    """host, hostname, device_id and others: the entity."""
    batch = events({**record, "time": 0, "heat": 21.5})
    assert batch.entities == (entity,)


@pytest.mark.parametrize(
    ("name", "value"), [("host1", "x"), ("node", 3.5), ("server", 12), ("unit", "kW"), ("id", 1)]
)
def test_what_names_no_thing_is_no_entity(name: str, value: Any) -> None:
    """A unit, a count, a number of hosts: no entity."""
    assert events({name: value, "time": 0, "heat": 21.5}).entities is None


@given(st.permutations(range(6)), st.integers(1, 6))
def test_each_event_is_read_by_itself(order: list[int], cut: int) -> None:
    """Time and entity of an event do not depend on the others of its batch."""
    records = [
        {"time": "2026-01-02T12:00:00Z", "x": 1, "timestamp": "2025-01-01T00:00:00Z"},
        {"timestamp": "2026-01-02T12:00:01Z", "host": "a", "x": 2},
        {"ts": 1_767_355_202, "t": 21.5, "x": 3},
        {"t": 1_767_355_203.0, "host": 4.5, "x": 4},
        {"date": "2026-01-02 12:00:04", "device": "d", "host": "b", "x": 5},
        {"@timestamp": "never", "x": 6},
    ]
    chosen = [records[i] for i in order][:cut]
    whole = events(*chosen)
    alone = [events(each) for each in chosen]
    assert whole.times.tolist() == [t for batch in alone for t in batch.times.tolist()]
    named = [(b.entities or ("",))[0] for b in alone if len(b)]
    assert list(whole.entities or [""] * len(whole)) == named
    assert len(whole.rejected) == sum(len(batch.rejected) for batch in alone)


def test_rows_of_tables_are_read_as_events_are() -> None:
    """A CSV or a table of a database with timestamp and host: its time and entity."""
    times = [t.replace(tzinfo=None) for t in TIMES]
    for written in (times, [t.isoformat(" ") for t in times], pd.to_datetime(times, utc=True)):
        frame = pd.DataFrame({"timestamp": written, "host": ["a", "b"] * 10, "heat": 21.5})
        batch = rows_of(frame, Fields())
        assert batch.times.tolist() == [each.item() for each in MOMENTS]
        assert batch.entities == ("a", "b") * 10
        assert list(batch.frame) == ["heat"]


ZONES = ["Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Sydney", "+05:30", "-0300"]
NAIVE = {
    "ISO": "%Y-%m-%dT%H:%M:%S",
    "with a blank": "%Y-%m-%d %H:%M:%S",
    "German": "%d.%m.%Y %H:%M:%S",
    "CLF": "%d/%b/%Y:%H:%M:%S",
    "compact": "%Y%m%d%H%M%S",
}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("form", NAIVE)
def test_local_times_are_read_in_their_zone(zone: str, form: str) -> None:
    """``time_zone``: times without a zone are local; those with one are not."""
    offset = timezone(timedelta(hours=5, minutes=30) if zone == "+05:30" else timedelta(hours=-3))
    own = ZoneInfo(zone) if "/" in zone else offset
    for moment in (*TIMES[:3], TIMES[0] + timedelta(days=180)):
        text = moment.astimezone(own).strftime(NAIVE[form])
        written = [text, moment.isoformat(), moment.timestamp(), moment.isoformat()[:-6] + "Z"]
        written += [int(text)] if text.isdigit() else []
        written += [{"sec": int(moment.timestamp()), "nanosec": 0}, {"$date": moment.isoformat()}]
        written += [{"$date": {"$numberLong": str(int(moment.timestamp() * 1e3))}}]
        batch = events(*({"time": each, "v": 1} for each in written), time_zone=zone)
        assert set(batch.times.tolist()) == {moment.replace(tzinfo=None)}, written


@pytest.mark.parametrize("hour", range(-30, 30))
def test_hours_around_a_change_of_clocks(hour: int) -> None:
    """Local times around both changes of clocks; the hour that comes twice is its first."""
    zone = ZoneInfo("Europe/Berlin")
    for change in (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)):
        moment = change + timedelta(hours=hour / 4)
        local = moment.astimezone(zone)
        expected = moment - timedelta(hours=1) if local.fold else moment
        batch = events({"time": local.strftime("%Y-%m-%d %H:%M:%S"), "v": 1}, time_zone=zone.key)
        assert batch.times[0].item() == expected.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("%d/%m/%Y %H:%M", "03/04/2024 10:00"),
        ("%m/%d/%Y %I:%M %p", "04/03/2024 10:00 AM"),
        ("%H:%M %d.%m.%y", "10:00 03.04.24"),
        ("%d.%m.%Y um %H:%M Uhr", "03.04.2024 um 10:00 Uhr"),
        ("%Y%m%d%H%M", 202404031000),
        ("s", 1_712_138_400),
        ("ms", "1712138400000"),
        ("excel", 45385.4166666667),
        ("%d/%m/%Y %H:%M", "2024-04-03T10:00:00Z"),
        ("%d/%m/%Y %H:%M %z", "03/04/2024 12:00 +0200"),
    ],
)
def test_a_format_that_is_stated_decides(form: str, value: Any) -> None:
    """``time_format``: what could be two times, or is written in no usual way, is one."""
    batch = events({"time": value, "v": 1}, time_format=form)
    assert batch.times.tolist() == [datetime(2024, 4, 3, 10)]


@pytest.mark.parametrize(
    ("value", "more", "told"),
    [
        ("03/04/2024 10:00", {}, "fields.time_format"),
        ("soon", {}, "expected ISO 8601"),
        ("infinity", {}, "expected ISO 8601"),
        ("2024-13-40", {}, "2024-13-40"),
        ("03.04.2024", {"time_format": "%d/%m/%Y"}, "%d/%m/%Y"),
        ("", {}, "''"),
    ],
)
def test_what_is_refused_says_why_and_what_to_do(
    value: str, more: dict[str, str], told: str
) -> None:
    """A time that cannot be read: what was given, what was expected, which setting helps."""
    batch = events({"time": value, "v": 1}, {"time": "2026-01-02T12:00:00Z", "v": 2}, **more)
    assert len(batch) == 1
    assert told in batch.rejected[0].reason


@pytest.mark.parametrize(
    "fields",
    [
        *({"time_zone": each} for each in ("Mars/Olympus", "+99", "")),
        *({"time_format": each} for each in ("yyyy", "%d/%Q", "")),
    ],
)
def test_a_zone_or_format_that_is_none_is_a_mistake_of_the_settings(fields: dict[str, str]) -> None:
    """An unknown zone or format is told with its line by ``tocsin check``."""
    from tocsin import config

    text = json.dumps(
        {
            "monitors": {
                "m": {"model": "m", "source": {"type": "socket", "port": 1, "fields": fields}}
            }
        }
    )
    with pytest.raises(ConfigError, match=next(iter(fields))):
        config.parse(text)


def journal(i: int) -> dict[str, Any]:
    """Return a message as ``journalctl -o json`` writes it; the 91st is critical, and bytes."""
    odd = {"PRIORITY": "2", "MESSAGE": [*b"panic ", 255, 254]} if i == 90 else {}
    return {
        "__CURSOR": f"s=0;i={i:x}",
        "__REALTIME_TIMESTAMP": str(1_767_355_200_123_456 + 2_000_000 * i),
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "sshd" if i % 2 else "cron",
        "_HOSTNAME": "host1",
        "MESSAGE": f"session opened for user u{i}",
        "TAG": ["a", "b"],
        **odd,
    }


def test_the_journal_of_systemd_as_events_and_as_lines() -> None:
    """journald: times in microseconds, levels of PRIORITY, bytes that are no UTF-8 as text."""
    batch = events(*map(journal, range(110)))
    assert batch.times[1] == np.datetime64("2026-01-02T12:00:02.123456", "us")
    assert set(batch.entities or ()) == {"host1"}
    assert batch.frame["MESSAGE"][90] == "panic \ufffd\ufffd"
    lines = [json.dumps(journal(i)) for i in range(110)]
    records = list(parse((RawLine("j", i, x) for i, x in enumerate(lines)), recognise(lines)))
    assert [record.level for record in records].index("CRITICAL") == 90
    assert {record.level for record in records} == {"INFO", "CRITICAL"}
    assert records[90].message == "panic \ufffd\ufffd"
    assert records[1].time == pytest.approx(1_767_355_202.123456)
    assert {record.component for record in records} == {"sshd", "cron"}
