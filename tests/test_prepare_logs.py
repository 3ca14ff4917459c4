"""Preparation of logs: formats, times, continuation, sessions, windows, numbers, state."""

import json
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.base import check_sessions
from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch
from tocsin.prepare.log_codes import without_codes
from tocsin.prepare.log_formats import ParseCounts, format_named, parse, recognise
from tocsin.prepare.log_times import Clock
from tocsin.prepare.logs import LogPreparer
from tocsin.readers.lines import RawLine, read_lines
from tocsin.store.folder import load_state, save_state

NOW = datetime(2024, 7, 1, tzinfo=UTC).timestamp()

# The format, a line of it, and its time, level, component, message and some fields.
LINES = [
    (
        "syslog",
        "Jun  3 04:05:06 gate sshd[311]: Accepted key for kim from 10.0.0.9 port 52144",
        ("2024-06-03T04:05:06", "", "sshd", "Accepted key for kim from 10.0.0.9 port 52144"),
        {"host": "gate", "pid": "311"},
    ),
    (
        "syslog",
        "<11>Dec 31 23:59:59 gate kernel: disk sda: timeout",
        ("2023-12-31T23:59:59", "ERROR", "kernel", "disk sda: timeout"),
        {"host": "gate"},
    ),
    (
        "syslog_iso",
        "2024-06-03T04:05:06.250000+02:00 gate cron[7]: (root) CMD (backup)",
        ("2024-06-03T02:05:06.25", "", "cron", "(root) CMD (backup)"),
        {"pid": "7"},
    ),
    (
        "syslog_5424",
        '<34>1 2024-06-03T04:05:06.5Z gate shop 99 ID47 [a@1 x="1 \\] 2"][b@2 y=""] Paid 3 orders',
        ("2024-06-03T04:05:06.5", "CRITICAL", "shop", "Paid 3 orders"),
        {"msgid": "ID47", "pid": "99"},
    ),
    (
        "apache_error",
        "[Mon Jun 03 04:05:06.000007 2024] [core:error] [pid 8:tid 9] [client 10.0.0.9:80] No file",
        ("2024-06-03T04:05:06.000007", "ERROR", "core", "No file"),
        {"client": "10.0.0.9:80", "pid": "8"},
    ),
    (
        "apache_access",
        '10.0.0.9 - kim [03/Jun/2024:04:05:06 -0100] "GET /a?b=\\"c HTTP/1.1" 404 12 "-" "curl/8"',
        ("2024-06-03T05:05:06", "WARNING", "", '"GET /a?b=\\"c HTTP/1.1" 404 12'),
        {"client": "10.0.0.9", "user": "kim", "agent": "curl/8"},
    ),
    (
        "json",
        '{"@timestamp": "2024-06-03T04:05:06Z", "severity": "warn", "logger": "pay", '
        '"msg": "slow", "ctx": {"user": "kim", "ms": 12}}',
        ("2024-06-03T04:05:06", "WARNING", "pay", "slow"),
        {"ctx.user": "kim", "ctx.ms": "12"},
    ),
    (
        "json",
        '{"time": 1717387506123, "level": 50, "ok": true, "ids": [1, 2]}',
        ("2024-06-03T04:05:06.123", "ERROR", "", "ok=true ids=[1, 2]"),
        {"ok": "true"},
    ),
    (
        "hdfs",
        "240603 040506 35 WARN dfs.Keeper$Mover: Moving block blk_-77 of 12 bytes",
        ("2024-06-03T04:05:06", "WARNING", "dfs.Keeper$Mover", "Moving block blk_-77 of 12 bytes"),
        {"thread": "35"},
    ),
    (
        "bgl",
        "KERNX 1717387506 2024.06.03 R1-N0 2024-06-03-04.05.06.125000 R1-N0 RAS KERNEL FATAL "
        "bus error at 0x0f",
        ("2024-06-03T04:05:06.125", "FATAL", "KERNEL", "bus error at 0x0f"),
        {"alert": "KERNX", "node": "R1-N0"},
    ),
    (
        "klog",
        "W0603 04:05:06.500000   12 pods.go:88] Pod web-1 is slow",
        ("2024-06-03T04:05:06.5", "WARNING", "pods.go", "Pod web-1 is slow"),
        {"pid": "12"},
    ),
    (
        "kubernetes",
        "2024-06-03T04:05:06.5Z stdout F plain words",
        ("2024-06-03T04:05:06.5", "", "", "plain words"),
        {"stream": "stdout"},
    ),
    (
        "kubernetes",
        '2024-06-03T04:05:06.5Z stderr F {"level": "error", "msg": "lost", "trace_id": "t1"}',
        ("2024-06-03T04:05:06.5", "ERROR", "", "lost"),
        {"stream": "stderr", "trace_id": "t1"},
    ),
    (
        "python",
        "2024-06-03 04:05:06,250 - shop.cart - ERROR - Cart 7 is gone",
        ("2024-06-03T04:05:06.25", "ERROR", "shop.cart", "Cart 7 is gone"),
        {},
    ),
    ("python_basic", "WARNING:shop.cart:Cart: 7", (None, "WARNING", "shop.cart", "Cart: 7"), {}),
    (
        "spark",
        "24/06/03 04:05:06 INFO storage.Keeper: Kept rdd_1_2",
        ("2024-06-03T04:05:06", "INFO", "storage.Keeper", "Kept rdd_1_2"),
        {},
    ),
    (
        "zookeeper",
        "2024-06-03 04:05:06,250 - WARN  [Peer[id=1]/0:0:2181:Election$Vote@774] - Late: 3",
        ("2024-06-03T04:05:06.25", "WARNING", "Election$Vote", "Late: 3"),
        {"thread": "Peer[id=1]/0:0:2181"},
    ),
    (
        "levelled",
        "2024-06-03 04:05:06.250  INFO 12 --- [main] org.shop.Cart  : Cart ready",
        ("2024-06-03T04:05:06.25", "INFO", "org.shop.Cart", "Cart ready"),
        {},
    ),
    (
        "levelled",
        "[2024-06-03 04:05:06,250] ERROR in app: Exception on /cart",
        ("2024-06-03T04:05:06.25", "ERROR", "app", "Exception on /cart"),
        {},
    ),
    (
        "levelled",
        "2024/06/03 04:05:06 [error] 12#0: *1 open() failed",
        ("2024-06-03T04:05:06", "ERROR", "", "12#0: *1 open() failed"),
        {},
    ),
    (
        "dated",
        "2024-06-03T04:05:06Z | backup done",
        ("2024-06-03T04:05:06", "", "", "backup done"),
        {},
    ),
]


def records_of(lines, format=None, counts=None):
    raw = [RawLine("a.log", i, line) for i, line in enumerate(lines, 1)]
    return list(parse(raw, format or recognise(lines), counts, now=NOW))


def seconds(text):
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("name", "line", "parts", "fields"), LINES)
def test_a_line_of_each_format(name, line, parts, fields):
    assert recognise([line] * 3).name == name
    (record,) = records_of([line])
    assert record.time == pytest.approx(seconds(parts[0]), abs=1e-6)
    assert (record.level, record.component, record.message) == parts[1:]
    assert fields.items() <= dict(record.fields).items()


def test_what_no_format_fits_continues_the_record_before():
    trace = ["Traceback (most recent call last):", '  File "x.py", line 3', "ValueError: bad"]
    line = LINES[13][1]
    counts = ParseCounts()
    records = records_of([trace[2], line, *trace, "", line], format_named("python"), counts)
    assert [record.number for record in records] == [1, 2, 7]
    assert records[0].message == "ValueError: bad"
    assert records[1].message.split("\n") == ["Cart 7 is gone", *trace]
    assert (counts.continued, counts.unknown, counts.blank) == (3, 1, 1)
    assert records[2].message == "Cart 7 is gone"


def test_records_take_a_hundred_more_lines_and_are_cut():
    counts = ParseCounts()
    lines = [LINES[13][1], *["x" * 5000] * 150, LINES[13][1]]
    records = records_of(lines, format_named("python"), counts)
    assert len(records[0].message) == 8192
    assert len(records) == 52
    assert (counts.continued, counts.unknown) == (100, 50)


def test_another_file_is_no_continuation():
    raw = [RawLine("a.log", 1, LINES[13][1]), RawLine("b.log", 1, "  left over")]
    assert [record.file for record in parse(raw, format_named("python"))] == ["a.log", "b.log"]


def test_mixed_formats_are_read_line_by_line_and_counted():
    lines = [line for _, line, _, _ in LINES]
    counts = ParseCounts()
    records = records_of(lines, counts=counts)
    assert [record.message for record in records] == [parts[3] for _, _, parts, _ in LINES]
    assert counts.others["json"] == 2
    assert "dated" not in counts.others
    assert any("other formats" in note for note in counts.notes)


def test_plain_text_is_one_record_a_line():
    records = records_of(["hello", "  world", "<b>not markup</b> {x} %s $(rm)"])
    assert [record.message for record in records][1:] == [
        "  world",
        "<b>not markup</b> {x} %s $(rm)",
    ]
    assert all(record.time is None and not record.level for record in records)


def test_a_pattern_of_ones_own():
    format = format_named("<time> <level> [<thread>] <component>: <message>")
    line = "2024-06-03 04:05:06   Warn [pool 1] a.B::c: it is: late"
    (record,) = records_of([line], format)
    assert record.time == seconds("2024-06-03T04:05:06")
    assert (record.level, record.component, record.message) == ("WARNING", "a.B::c", "it is: late")
    assert record.fields["thread"] == "pool 1"
    (unread,) = records_of(["noon WARN [t] c: m"], format)
    assert (unread.time, unread.message) == (None, "m")
    for wrong in ("<time> <level>", "nonsense", "<a><message>", "<a> <a> <message>"):
        with pytest.raises(ParameterError, match="pattern"):
            format_named(wrong)


@pytest.mark.parametrize(
    "line", ["-" * 8192, "a:" * 4096, "[" * 8192, '"' * 8192, "{" * 8192, "1 " * 4096]
)
def test_no_line_takes_long(line):
    hard = format_named("<a>-<b>-<c>-<d>:<e>:<message>")
    start = time.process_time()
    records_of([line, '1 - - [03/Jun/2024:04:05:06 -0100] "' + line], hard)
    LogPreparer().fit_transform([line])
    assert time.process_time() - start < 1


def test_times_of_other_forms_in_between_do_not_change_the_year():
    clock = Clock(NOW)
    first = clock.read("2015-06-13 09:00:00"), clock.read("Jun 14 10:00:00")
    assert first[1] - first[0] == 25 * 3600
    clock.read("2005-06-03 15:42:50")
    assert clock.read("Jun 14 10:00:01") == first[1] + 1
    clock.restart()
    assert clock.read("Jun 14 10:00:00") > first[1]


def test_times_without_a_year_follow_each_other():
    clock = Clock(NOW)
    read = [clock.read(text) for text in ("Nov 30 10:00:00", "Dec 31 23:59:59", "Jan  1 00:00:01")]
    assert read[2] - read[1] == 2
    assert read[1] == seconds("2023-12-31T23:59:59")
    clock.restart()
    assert clock.read("Feb 29 10:00:00") == seconds("2024-02-29T10:00:00")
    assert clock.read("Feb 30 10:00:00") is None
    assert clock.read("2024-06-03 25:00:00") is None
    assert clock.read("0001-01-01 00:00:00") is None
    assert clock.read("9999-12-31T23:59:59-10:00") is None


def test_times_of_one_minute():
    clock = Clock(NOW)
    texts = ["06,5", "07", "08.25Z", "60", "61", "09+01:00", "09Z"]
    read = [clock.read(f"2024-06-03T04:05:{text}") for text in texts]
    start = seconds("2024-06-03T04:05:00")
    assert read[:4] == [start + 6.5, start + 7, start + 8.25, start + 60]
    assert read[4:] == [None, start + 9 - 3600, start + 9]


def test_future_and_unreadable_times_are_kept_and_counted():
    counts = ParseCounts()
    lines = [f"{year}-13-01 00:00:00 INFO x" for year in (2023, 2024)]
    lines += ["2031-01-01 00:00:00 INFO x", "2024-01-01 00:00:00 INFO x"]
    records = records_of(lines, counts=counts)
    assert [record.time is None for record in records] == [True, True, False, False]
    assert (counts.untimed, counts.ahead) == (2, 1)


def test_lines_by_themselves_lead_back_to_file_and_number(tmp_path):
    path = tmp_path / "app.log"
    path.write_text(f"{LINES[13][1]}\n\n" * 3)
    preparer = LogPreparer()
    logs = preparer.fit_transform(read_lines(path))
    assert logs.keys == [f"{path}:1", f"{path}:3", f"{path}:5"]
    assert [record.number for record in logs.records] == [1, 3, 5]
    assert {record.file for record in logs.records} == {str(path)}
    session = logs.sessions[0]
    assert session.messages == ("Cart * is gone",)
    assert (session.levels, session.components) == (("ERROR",), ("shop.cart",))
    assert session.parameters == (("7",),)
    assert [lines.tolist() for lines in logs.lines] == [[i] for i in range(len(logs))]
    assert preparer.notes_[0] == "format: python (found)"


def hdfs(blocks=20):
    stamp = "240603 040506 35 INFO dfs.Keeper: "
    lines = [f"{stamp}Receiving block blk_-{b} from 10.0.0.{b}" for b in range(blocks)]
    lines += [f"{stamp}Block blk_-{b} stored" for b in range(blocks)]
    return [*lines, f"{stamp}Copied blk_-1 beside blk_-2", f"{stamp}Heart beats"]


def test_sessions_are_found_by_block():
    preparer = LogPreparer()
    logs = preparer.fit_transform(hdfs())
    assert logs.keys[:2] == ["blk_-0", "blk_-1"]
    assert logs.keys[-1] == "line 42"
    assert logs.sessions[1].templates.tolist() == [0, 1, 2]
    assert logs.lines[2].tolist() == [2, 22, 40]
    assert check_sessions(logs.sessions) is not None
    again, remarks = preparer.prepare([*hdfs(3), "240603 040506 35 INFO dfs.X: Unseen blk_-0 !"])
    assert again.sessions[0].templates.tolist() == [0, 1, -1]
    assert "1 of 9 records are of an unknown kind" in remarks
    assert preparer.remarks(hdfs(3)) == ["1 records without a session: each by itself"]


def test_sessions_are_found_by_request_in_json():
    lines = [json.dumps({"msg": "go", "ctx": {"requestId": f"r{i % 4}"}}) for i in range(20)]
    preparer = LogPreparer()
    logs = preparer.fit_transform(lines)
    assert preparer.session_ == "ctx.requestId"
    assert logs.keys == ["r0", "r1", "r2", "r3"]
    assert all(len(session) == 5 for session in logs.sessions)


def test_sessions_by_field_attribute_and_expression():
    lines = [f"Jun  3 04:05:{i:02} h{i % 2} app[{i % 3}]: user u{i % 5} in" for i in range(60)]
    assert LogPreparer(session="host").fit_transform(lines).keys == ["h0", "h1"]
    assert LogPreparer(session="pid").fit_transform(lines).keys == ["0", "1", "2"]
    assert LogPreparer(session="component").fit_transform(lines).keys == ["app"]
    assert len(LogPreparer(session=r"user (\w+)").fit_transform(lines)) == 5
    assert len(LogPreparer(session="line").fit_transform(lines)) == 60
    for wrong in ("planet", "(a)(b)", "(", "(?:a)"):
        with pytest.raises(ParameterError):
            LogPreparer(session=wrong).fit_transform(lines)


def test_windows_of_time_and_of_lines():
    lines = [f"2024-06-03 04:{i // 60:02}:{i % 60:02} INFO beat {i}" for i in range(150)]
    preparer = LogPreparer(window=60)
    logs = preparer.fit_transform(lines)
    assert [len(session) for session in logs.sessions] == [60, 60, 30]
    assert logs.keys[1] == "2024-06-03T04:01:00+00:00"
    assert "windows of 60 seconds" in preparer.notes_[1]
    plain = LogPreparer(window=40).fit_transform([f"beat {i}" for i in range(100)])
    assert [len(session) for session in plain.sessions] == [40, 40, 20]
    assert plain.keys[1] == "from line 41"
    both = LogPreparer(window=60, session=r"beat \d*([05])$").fit_transform(lines)
    assert both.keys[:2] == ["0 2024-06-03T04:00:00+00:00", "line 2"]
    for wrong in ({"window": 0}, {"window": -1}, {"window": float("nan")}):
        with pytest.raises(ParameterError):
            LogPreparer(**wrong).fit_transform(lines)
    with pytest.raises(ParameterError, match="drop window"):
        LogPreparer(window=5, session="line").fit_transform(lines)


def test_sessions_of_numbers():
    preparer = LogPreparer()
    logs = preparer.fit_transform([[5, 5, 22], np.array([7]), (22, 5)])
    assert [session.templates.tolist() for session in logs.sessions] == [[0, 0, 2], [1], [2, 0]]
    assert logs.keys == ["1", "2", "3"]
    assert logs.records == []
    new, remarks = preparer.prepare([[22, 99, -4]])
    assert new.sessions[0].templates.tolist() == [2, -1, -1]
    assert remarks == ["2 numbers were not known in training"]
    with pytest.raises(InputError, match="number 2"):
        preparer.transform([[5], []])
    with pytest.raises(SchemaMismatch, match="numbers"):
        preparer.transform(["a line"])
    of_lines = LogPreparer()
    of_lines.fit_transform(["a line"])
    with pytest.raises(SchemaMismatch, match="lines"):
        of_lines.transform([[1, 2]])


@pytest.mark.parametrize(
    "lines", [[], "one text", 3, [" ", ""], ["a", 3], [[1.5]], [["a"]], [None]]
)
def test_what_is_no_log_is_refused(lines):
    with pytest.raises(InputError):
        LogPreparer().fit_transform(lines)


def test_unfitted():
    with pytest.raises(NotFitted):
        LogPreparer().transform(["a"])


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({}, hdfs()),
        ({"window": 30}, [line for _, line, _, _ in LINES]),
        ({"format": "<level> <message>"}, ["INFO a 1", "WARN b 2"]),
        ({}, [[3, 1], [1]]),
    ],
)
def test_saved_and_loaded_it_does_the_same(tmp_path, settings, lines):
    preparer = LogPreparer(**settings)
    preparer.fit_transform(lines)
    save_state(tmp_path / "m", preparer.get_state(), {"kind": "test"})
    loaded = LogPreparer().set_state(load_state(tmp_path / "m")[0])
    before, remarks = preparer.prepare(lines)
    after, same = loaded.prepare(lines)
    assert (after.keys, same) == (before.keys, remarks)
    for one, other in zip(before.sessions, after.sessions, strict=True):
        np.testing.assert_array_equal(one.templates, other.templates)
        assert (one.messages, one.parameters) == (other.messages, other.parameters)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=20))
def test_any_text_is_prepared(lines):
    preparer = LogPreparer()
    if not any(without_codes(line).strip() for line in lines):
        with pytest.raises(InputError):
            preparer.fit_transform(lines)
        return
    logs = preparer.fit_transform(lines)
    again = preparer.transform(lines)
    for one, other in zip(logs.sessions, again.sessions, strict=True):
        assert one.templates.tolist() == other.templates.tolist()
        assert min(one.templates) >= 0


def test_halves_of_characters_do_no_harm(tmp_path):
    lines = ["bad \ud800 text", '{"msg": "bad \\ud83d text", "k\\udc00": "\\udc00"}']
    preparer = LogPreparer()
    preparer.fit_transform(lines)
    save_state(tmp_path / "m", preparer.get_state(), {"kind": "test"})
    assert preparer.transform(lines).records[1].message == "bad ? text"


def test_overlong_lines_are_cut():
    logs = LogPreparer().fit_transform(["word " * 2_000_000])
    assert len(logs.records[0].message) == 8192


def test_equal_lines_share_what_they_hold():
    lines = ["job 7 started", "job 8 started", "disk full"] * 20
    logs = LogPreparer().fit_transform(lines)
    assert [len(lines) for lines in logs.lines] == [1] * 60
    assert len({id(session) for session in logs.sessions}) == 3
    assert [session.parameters for session in logs.sessions[:3]] == [(("7",),), (("8",),), ((),)]
    assert logs.sessions[0].templates is logs.sessions[1].templates


def test_lines_of_an_array_are_texts():
    logs = LogPreparer().fit_transform(np.array(["job 7 started", "disk full"] * 5))
    assert type(logs.records[0].message) is str
    assert len(logs) == 10
