"""Logs as people have them: times and levels in any usual form, colours, traces, headers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from tocsin import detect
from tocsin.prepare.log_formats import LogRecord, ParseCounts, format_named, parse, recognise
from tocsin.prepare.logs import LogPreparer
from tocsin.readers.lines import RawLine
from tocsin.types import LogDetection

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
Write = Callable[[datetime, str, str], str]
"""How a format writes a time, a level and a message."""

USUAL = ("connection from 10.0.0.{n} accepted", "request {n} took {m} ms", "cache holds {n} items")
ODD = "checksum mismatch on volume archive: data lost"


def time_as(how: str, before: str = "", after: str = " {level} {text}") -> Write:
    return lambda t, level, text: f"{before}{t:{how}}{after}".format(level=level, text=text)


def in_ms(t: datetime) -> int:
    return round(t.timestamp() * 1000)


WRITTEN: dict[str, Write] = {
    "a time, a level": time_as("%Y-%m-%d %H:%M:%S"),
    "syslog": time_as("%b %d %H:%M:%S", after=" gate app[71]: {level} {text}"),
    "Python's logging": time_as("%Y-%m-%d %H:%M:%S,000", after=" - app - {level} - {text}"),
    "logfmt": time_as("%Y-%m-%dT%H:%M:%SZ", "time=", ' level={level} msg="{text}" pid=7'),
    "logfmt, short keys": time_as("%Y-%m-%dT%H:%M:%S.5Z", "ts=", ' lvl={level} msg="{text}"'),
    "pipes": time_as("%Y-%m-%d %H:%M:%S", after=" | {level} | app | {text}"),
    "brackets": time_as("%Y-%m-%d %H:%M:%S", "[", "][{level}][app] {text}"),
    "brackets, the level first": time_as("%Y-%m-%d %H:%M:%S", "[{level}] [", "] {text}"),
    "brackets, the part first": time_as("%Y-%m-%d %H:%M:%S", "[app] [", "] [{level}] {text}"),
    "wide brackets": time_as("%Y-%m-%d %H:%M:%S", "【", "】【{level}】{text}"),
    "the level first": time_as("%Y-%m-%d %H:%M:%S,000", "{level} ", " [main] {text}"),
    "milliseconds since 1970": lambda t, level, text: f"{in_ms(t)} {level} {text}",
    "milliseconds in brackets": lambda t, level, text: f"[{in_ms(t)}] {level}: {text}",
    "seconds since 1970": lambda t, level, text: f"{t.timestamp():.3f} {level} {text}",
    "AM and PM": time_as("%m/%d/%Y %I:%M:%S %p"),
    "AM and PM, ISO date": time_as("%Y-%m-%d %I:%M:%S %p"),
    "AM and PM, named month": time_as("%b %d, %Y %I:%M:%S %p"),
    "German dates": time_as("%d.%m.%Y %H:%M:%S"),
    "docker compose": time_as("%Y-%m-%d %H:%M:%S", "web-1  | "),
    "docker compose, logfmt": time_as(
        "%Y-%m-%dT%H:%M:%SZ", "db | time=", ' level={level} msg="{text}"'
    ),
    "docker compose, JSON": lambda t, level, text: (
        "api_1      | " + json.dumps({"time": t.isoformat(), "level": level, "msg": text})
    ),
}


def lines_of(write: Write, seed: int, n: int = 300) -> tuple[list[str], int]:
    """Return lines of a format, 437 s apart, and the place of the odd one among them."""
    draw = random.Random(seed)  # noqa: S311
    odd = draw.randrange(n // 2, n)
    lines = []
    for i in range(n):
        text = draw.choice(USUAL).format(n=draw.randrange(1, 250), m=draw.randrange(5, 90))
        level, text = ("ERROR", ODD) if i == odd else ("INFO", text)
        lines.append(write(BEGIN + timedelta(seconds=437 * i), level, text))
    return lines, odd


def records_of(lines: Sequence[str], counts: ParseCounts | None = None) -> list[LogRecord]:
    raw = [RawLine("app.log", i, line) for i, line in enumerate(lines, 1)]
    now = (BEGIN + timedelta(days=9)).timestamp()
    return list(parse(raw, recognise(lines), counts, now=now))


def found_in(lines: Sequence[str]) -> LogDetection:
    found = detect(list(lines), modality="logs")
    assert isinstance(found, LogDetection)
    return found


@pytest.mark.parametrize("format", WRITTEN)
def test_formats(format: str) -> None:
    """A log in a common format: its times and levels are read, and the odd line is first."""
    lines, odd = lines_of(WRITTEN[format], seed=len(format))
    records = records_of(lines)
    expected = [BEGIN.timestamp() + 437 * i for i in range(len(lines))]
    half = 0.5 if ".5Z" in lines[0] else 0.0
    assert [record.time for record in records] == [time + half for time in expected]
    assert "ERROR" in (records[odd].level or records[odd].message)
    assert records[odd].message.endswith(ODD)
    found = found_in(lines)
    assert found.scores.values.argmax() == odd
    assert odd in found.anomalies


def red(text: str) -> str:
    return f"\x1b[1;31m{text}\x1b[0m"


COLOURED: dict[str, Callable[[str], str]] = {
    "the time dim": lambda line: f"\x1b[2m{line[:19]}\x1b[22m{line[19:]}",
    "the line in colour": red,
    "no reset": lambda line: f"\x1b[38;5;208m{line}",
    "24 bits of colour": lambda line: f"\x1b[38;2;255;0;10m{line}\x1b[m",
    "each word": lambda line: " ".join(map(red, line.split(" "))),
    "erasing and cursor": lambda line: f"\r\x1b[2K\x1b[1G{line}\x1b[K\r",
    "a link": lambda line: line.replace("app", "\x1b]8;;http://x/7\x07app\x1b]8;;\x07"),
    "a link, other end": lambda line: f"\x1b]8;;http://x/7\x1b\\{line}\x1b]8;;\x1b\\",
    "a title": lambda line: f"\x1b]0;build 7\x07{line}",
    "character sets": lambda line: f"\x1b(B\x1b[m{line}\x1b=",
    "one-byte codes": lambda line: f"\x9b31m{line}\x9b0m",
    "as rsyslog writes them": lambda line: f"#033[32m{line}#033[0m",
    "as caret notation": lambda line: f"^[[32m{line}^[[0m",
    "as backslash escapes": lambda line: rf"\x1b[32m{line}\x1b[0m",
}


@pytest.mark.parametrize("codes", COLOURED)
def test_codes_of_terminals(codes: str) -> None:
    """Colours, links and cursor codes: every format reads the same as without them."""
    for format, write in WRITTEN.items():
        plain, _ = lines_of(write, seed=3, n=30)
        counts = ParseCounts()
        coloured = [COLOURED[codes](line) for line in plain]
        changed = sum(a != b for a, b in zip(plain, coloured, strict=True))
        assert records_of(coloured, counts) == records_of(plain), format
        assert counts.coded == changed


def test_codes_in_json() -> None:
    """Colours inside the texts of JSON lines are dropped."""
    plain, _ = lines_of(lambda t, level, text: json.dumps({"ts": t.timestamp(), "level": level,
                        "msg": text}), seed=1, n=30)  # fmt: skip
    coloured = [line.replace("INFO", red("INFO")).replace("took", red("took")) for line in plain]
    assert records_of([line.replace("\x1b", "\\u001b") for line in coloured]) == records_of(plain)


@pytest.mark.parametrize("codes", ["the time dim", "each word", "a link", "as caret notation"])
def test_codes_are_shown_nowhere_but_in_the_raw_line(codes: str) -> None:
    """The odd line of a coloured log is first; no reason or kind has codes, the raw line has."""
    plain, odd = lines_of(WRITTEN["pipes"], seed=5)
    lines = [COLOURED[codes](line) for line in plain]
    found = found_in(lines)
    assert found.scores.values.argmax() == odd
    assert odd in found.anomalies
    told = [reason for each in found.explanations.values() for reason in each.reasons]
    shown = "".join(f"{r.name}{r.seen}{r.expected}" for r in told) + repr(found.nearest)
    preparer = LogPreparer()
    preparer.fit_transform(lines)
    for mark in ("\x1b", "\\x1b", "[0m", "^[", "\x07"):
        assert mark not in shown
        assert mark not in "".join(preparer.miner_.templates_)
    assert found.lines[odd][0].text == lines[odd]


def java(depth: int, name: str) -> list[str]:
    frames = [f"\tat org.{name}.Cart${i % 9}.pay(Cart.java:{i})" for i in range(depth)]
    return [f"java.lang.{name}: no", *frames, f"Caused by: java.io.{name}: x", *frames[:3],
            "\t... 71 more"]  # fmt: skip


def python(depth: int, name: str) -> list[str]:
    frames = [
        x for i in range(depth) for x in (f'  File "/app/{name}.py", line {i}, in f', "    f()")
    ]
    return ["Traceback (most recent call last):", *frames, f"{name}: no", "",
            "During handling of the above exception, another exception occurred:", "",
            "Traceback (most recent call last):", *frames[:4], f"{name}: no"]  # fmt: skip


def go(depth: int, name: str) -> list[str]:
    frames = [
        x
        for i in range(depth)
        for x in (f"main.(*{name}).f{i % 7}(0xc00001{i:x}, 0x{i:x})", f"\t/app/{name}.go:{i} +0x1d")
    ]
    return [f"panic: {name}", "", "goroutine 1 [running]:", *frames, "created by main.main",
            "\t/app/main.go:9 +0x25", "exit status 2"]  # fmt: skip


def dotnet(depth: int, name: str) -> list[str]:
    frames = [f"   at Shop.{name}.F{i % 9}(String s) in C:\\a\\b.cs:line {i}" for i in range(depth)]
    return [f"System.{name}: no", f" ---> System.IO.{name}: x", *frames,
            "   --- End of inner exception stack trace ---", *frames[:5],
            "--- End of stack trace from previous location ---"]  # fmt: skip


def node(depth: int, name: str) -> list[str]:
    return [
        f"{name}: no",
        *(f"    at {name}.f{i % 9} (/app/{name}.js:{i}:7)" for i in range(depth)),
    ]


@pytest.mark.parametrize("depth", [20, 150, 5_000])
@pytest.mark.parametrize("trace", [java, python, go, dotnet, node])
@pytest.mark.parametrize("format", ["a time, a level", "docker compose", "logfmt"])
def test_stack_traces(format: str, trace: Callable[[int, str], list[str]], depth: int) -> None:
    """A stack trace of any length stays with its record, of which at most 8,192 characters."""
    plain, odd = lines_of(WRITTEN[format], seed=depth, n=40)
    before = plain[0][: plain[0].index("|") + 2] if "compose" in format else ""
    inside = [f"{before}{line}" for line in trace(depth, "Broken")]
    lines = [x for i, line in enumerate(plain) for x in ([line, *inside] if i == odd else [line])]
    counts = ParseCounts()
    records = records_of(lines, counts)
    assert len(records) == len(plain)
    assert counts.continued == sum(map(bool, inside))
    assert len(records[odd].message) <= 8_192
    assert records[odd].message.startswith(ODD)
    assert [r.message for r in records[odd + 1 :]] == [
        r.message for r in records_of(plain)[odd + 1 :]
    ]


def test_usual_and_other_traces() -> None:
    """Among twenty long traces of one kind the one of another is first, and no frame is a line."""
    plain, odd = lines_of(WRITTEN["a time, a level"], seed=2, n=400)
    plain[odd] = plain[odd - 1]
    lines, number = [], 0
    for i, line in enumerate(plain):
        lines.append(line)
        if i == odd:
            number = len(lines)
            lines += java(140, "OutOfMemoryError")
        elif i % 19 == 0:
            lines += java(120 + i % 30, "TimeoutException")
    found = found_in(lines)
    assert found.numbers[found.scores.values.argmax()] == number
    assert len(found) == len(plain)


FIELDS = ("date time s-ip cs-method cs-uri-stem cs-username c-ip cs(User-Agent) sc-status x-ms",
          "date time c-ip cs-method cs-uri-stem sc-status sc-bytes",
          "date time action protocol src-ip dst-ip src-port dst-port size")  # fmt: skip


def header(fields: str) -> list[str]:
    return ["#Software: Microsoft Internet Information Services 10.0", "#Version: 1.0",
            f"#Date: {BEGIN:%Y-%m-%d %H:%M:%S}", f"#Fields: {fields}"]  # fmt: skip


def w3c_row(fields: str, i: int, draw: random.Random, *, is_odd: bool) -> str:
    values = {"date": f"{BEGIN + timedelta(seconds=3 * i):%Y-%m-%d}", "cs-method": "GET",
              "time": f"{BEGIN + timedelta(seconds=3 * i):%H:%M:%S}", "cs-username": "-",
              "cs-uri-stem": "/" + draw.choice("abc"), "cs(User-Agent)": "Mozilla/5.0",
              "sc-status": "200", "action": "ALLOW", "protocol": "TCP"}  # fmt: skip
    odd = {"cs-method": "DELETE", "sc-status": "500", "action": "DROP", "protocol": "ICMP"}
    values |= odd if is_odd else {}
    return " ".join(values.get(name, str(draw.randrange(20, 250))) for name in fields.split())


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("again", [False, True])
def test_w3c_headers(fields: str, again: bool) -> None:
    """A W3C log, of IIS or a firewall: its headers are no records, and the odd request is first."""
    draw = random.Random(len(fields))  # noqa: S311
    rows = [w3c_row(fields, i, draw, is_odd=i == 211) for i in range(300)]
    lines = [*header(fields), *rows[:100], *(header(fields) if again else []), *rows[100:]]
    counts = ParseCounts()
    records = records_of(lines, counts)
    assert counts.headers == (8 if again else 4)
    assert [record.time for record in records] == [BEGIN.timestamp() + 3 * i for i in range(300)]
    assert records[211].level == ("ERROR" if "sc-status" in fields else "")
    found = found_in(lines)
    assert len(found) == 300
    assert found.scores.values.argmax() == 211
    assert 211 in found.anomalies


def test_w3c_lines_without_a_header() -> None:
    """Lines of a W3C log that come without its header are read as those of training."""
    draw = random.Random(1)  # noqa: S311
    rows = [w3c_row(FIELDS[0], i, draw, is_odd=False) for i in range(60)]
    preparer = LogPreparer()
    preparer.fit_transform([*header(FIELDS[0]), *rows])
    (record,) = preparer.transform(rows[7:8]).records
    assert record.fields["cs-method"] == "GET"
    assert format_named(preparer.format_).read(rows[7]) is not None


def test_audit_logs() -> None:
    """Linux audit records keep their time, type and pairs."""
    lines = [f"type=SYSCALL msg=audit({BEGIN.timestamp() + i:.3f}:{i}): arch=c000003e syscall=59 "
             f'success=yes pid={300 + i} comm="ls"' for i in range(40)]  # fmt: skip
    records = records_of(lines)
    assert [record.time for record in records] == [BEGIN.timestamp() + i for i in range(40)]
    assert records[7].component == "SYSCALL"
    assert records[7].message.endswith('comm="ls"')
