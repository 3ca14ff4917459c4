"""More logs as programs write them: encodings, journald's export format, times left open."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.pipeline import LogPipeline
from tocsin.prepare.log_formats import ParseCounts, parse, recognise
from tocsin.readers.lines import ReadCounts, read_lines
from tocsin.readers.table import read_table
from tocsin.readers.text import read_texts

N, PLANTED = 150, 70
BEGIN = datetime(2026, 1, 2, 12, tzinfo=UTC)
MOMENTS = [BEGIN + timedelta(seconds=437 * i) for i in range(N)]


def message(i):
    return "Prüfsumme falsch: Daten verloren" if i == PLANTED else f"Anfrage {i} dauerte {i % 9} ms"


def save(tmp_path, content, name="a.log"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path):
    """Return the records of a file, and the notes on it."""
    counts, parsed = ReadCounts(), ParseCounts()
    lines = list(read_lines(path, counts=counts))
    records = list(parse(lines, recognise(line.text for line in lines), parsed))
    return records, counts.notes + parsed.notes


def first(path):
    """Return the place of the session that is most anomalous."""
    return int(LogPipeline().fit_detect(path).scores.values.argmax())


def line_of(how, after=" {level} app: {text}"):
    return lambda i: (
        f"{MOMENTS[i]:{how}}"
        + after.format(level="ERROR" if i == PLANTED else "INFO", text=message(i))
    )


WRITTEN = {
    "Tomcat": (line_of("%d-%b-%Y %H:%M:%S.000", " {level} [main] app: {text}"), True),
    "two digits of the year": (line_of("%d.%m.%y %H:%M:%S"), True),
    "a year behind the day": (line_of("%b %d %Y %H:%M:%S", ": %{level}-6-302: {text}"), False),
    "a clock that is not set": (line_of("*%b %d %H:%M:%S.000", ": %{level}-5-301: {text}"), False),
    "logcat": (
        lambda i: (
            f"{MOMENTS[i]:%m-%d %H:%M:%S}.000  71  72 {'E' if i == PLANTED else 'I'} app: "
            f"{message(i)}"
        ),
        True,
    ),
    "time as an object": (
        lambda i: json.dumps(
            {
                "t": {"$date": MOMENTS[i].isoformat()},
                "level": "error" if i == PLANTED else "info",
                "msg": message(i),
            }
        ),
        True,
    ),
    "seconds and nanoseconds": (
        lambda i: json.dumps(
            {
                "timestamp": {"seconds": int(MOMENTS[i].timestamp()), "nanos": 0},
                "severity": "ERROR" if i == PLANTED else "INFO",
                "message": message(i),
            }
        ),
        True,
    ),
    "time inside an object": (
        lambda i: json.dumps(
            {
                "metadata": {"timestamp": MOMENTS[i].isoformat()},
                "level": "error" if i == PLANTED else "info",
                "message": message(i),
            }
        ),
        True,
    ),
    "syslog's time in JSON": (
        lambda i: json.dumps(
            {
                "time": f"{MOMENTS[i]:%b %d %H:%M:%S}",
                "level": "error" if i == PLANTED else "info",
                "msg": message(i),
            }
        ),
        True,
    ),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_logs_of_more_programs(tmp_path, form):
    """Tomcat, logcat, routers, times as objects: read with their levels, the odd line is first."""
    write, has_level = WRITTEN[form]
    path = save(tmp_path, "\n".join(map(write, range(N))))
    records, _ = read(path)
    assert [record.time for record in records] == [t.timestamp() for t in MOMENTS]
    assert not has_level or records[PLANTED].level == "ERROR"
    assert first(path) == PLANTED


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_of_logs_and_texts(tmp_path, encoding):
    """Two and four bytes per character, with and without a mark; Windows-1252: read as UTF-8 is."""
    text = "\r\n".join(map(WRITTEN["two digits of the year"][0], range(N)))
    path = save(tmp_path, text.encode(encoding))
    records, notes = read(path)
    assert "Prüfsumme falsch" in records[PLANTED].message
    assert ("1 lines were read as Windows-1252" in notes) is (encoding == "cp1252")
    assert first(path) == PLANTED
    texts = read_texts(save(tmp_path, text.encode(encoding), "a.txt"))["text"]
    assert texts.tolist() == text.split("\r\n")


def exported(i, *, binary):
    """Return an entry of the journal in its export format; binary if its message has two lines."""
    head = f"__CURSOR=s={i}\n__REALTIME_TIMESTAMP={int(MOMENTS[i].timestamp()) * 10**6}\n"
    head += f"PRIORITY={2 if i == PLANTED else 6}\nSYSLOG_IDENTIFIER=app\n"
    if not binary:
        return f"{head}MESSAGE={message(i)}\n\n".encode()
    text = f"{message(i)}\n  more".encode()
    return head.encode() + b"MESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\n\n"


@pytest.mark.parametrize("binary", [False, True])
def test_export_format_of_the_journal(tmp_path, binary):
    """``journalctl -o export``: an entry is a record with time, level and component."""
    path = save(tmp_path, b"".join(exported(i, binary=binary) for i in range(N)), "journal.export")
    records, _ = read(path)
    assert [record.time for record in records] == [t.timestamp() for t in MOMENTS]
    assert (records[PLANTED].level, records[PLANTED].component) == ("CRITICAL", "app")
    assert records[3].message == message(3) + ("\n  more" if binary else "")
    assert first(path) == PLANTED


def flow(i):
    port, size = (4444, 90_000_000) if i == PLANTED else (443, 1_800 + 7 * (i % 31))
    at = int(MOMENTS[i].timestamp())
    return (
        f"2 123456789010 eni-0a1b2c3d 10.0.0.{i % 9} 10.0.1.5 {40_000 + 37 * i % 900} {port} 6 "
        f"{5 + i % 7} {size} {at} {at + 60} ACCEPT OK"
    )


NAMES = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start "
    "end action log-status"
)


def test_flows_below_a_line_of_names_are_a_table(tmp_path):
    """A .log of names and fields set apart by blanks: columns, and the odd flow is first."""
    path = save(tmp_path, "\n".join([NAMES, *map(flow, range(N))]))
    table = read_table(path)
    assert table.columns.tolist() == NAMES.split()
    assert table["bytes"].idxmax() == PLANTED


def test_flows_without_names_have_times(tmp_path):
    """The same lines without names: a log with times, where what was refused is of its own kind."""
    lines = [flow(i).replace("ACCEPT", "REJECT") if i == PLANTED else flow(i) for i in range(N)]
    path = save(tmp_path, "\n".join(lines))
    records, _ = read(path)
    assert [record.time for record in records] == [t.timestamp() for t in MOMENTS]
    assert first(path) == PLANTED


@pytest.mark.parametrize(
    ("how", "later"), [("%m/%d/%Y", True), ("%d/%m/%Y", True), ("%d/%m/%Y", False)]
)
def test_order_of_day_and_month_in_logs(tmp_path, how, later):
    """03/04/2026 is decided by all lines; where nothing does, day first, and the note says so."""
    moments = [
        datetime(2026, 4, 3 if not later else 3 + i // 9, 12, i % 60, tzinfo=UTC) for i in range(N)
    ]
    lines = [f"{t:{how} %H:%M:%S} INFO up {i}" for i, t in enumerate(moments)]
    records, notes = read(save(tmp_path, "\n".join(lines)))
    assert [record.time for record in records] == [t.timestamp() for t in moments]
    assert ("dates such as 01/02/2026 were read day first" in notes) is not later


def test_lines_that_are_cut_are_counted(tmp_path):
    """A line of 20,000 characters is cut, and the note counts it."""
    lines = [WRITTEN["two digits of the year"][0](i) for i in range(N)]
    lines[9] += "x" * 20_000
    _, notes = read(save(tmp_path, "\n".join(lines)))
    assert "1 overlong lines were cut" in notes
    detection = LogPipeline().fit_detect(save(tmp_path, "\n".join(lines)))
    assert any("overlong" in note for note in detection.notes)
