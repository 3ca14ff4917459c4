r"""Log lines to records: time, level, component and message, in the formats that are common.

The rules. The format is the one that fits most of the first 1,000 lines that are not indented,
and at least half of them; of those within a tenth of the best the most specific one. A line
that it does not fit may be of any other known format, counted as such. What fits none continues
the record before it in its file, as stack traces do: it is added to the message, after a line
feed, up to 100 lines and 8,192 characters in all. Without a record before it, or without a
format, it is a message of its own. Blank lines are left out; longer lines than 8,192 characters
are cut.

Times without a zone are UTC. Times without a year follow the record before them: the year is
the one that brings them closest to it, for the first the latest that is not in the future. A
time that cannot be read is None; one more than a day ahead of now is kept; both are counted.
Text is only ever text: nothing in a line is interpreted as markup, and nothing is executed.

Formats: ``FORMATS``, or a pattern such as ``<time> <level> [<thread>] <component>: <message>``,
in which ``<message>`` is needed, names other than these five become fields, and blanks stand
for any run of blanks.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from sys import intern
from types import MappingProxyType
from typing import Any, Protocol

from tocsin.errors import ParameterError
from tocsin.prepare.log_times import DAY, TIMES, Clock

__all__ = [
    "FORMATS",
    "Format",
    "Line",
    "LogRecord",
    "ParseCounts",
    "format_named",
    "parse",
    "recognise",
]

MOST_CHARACTERS = 8192
_SAMPLE = 1000
_MOST_MORE = 100
_NONE: Mapping[str, str] = MappingProxyType({})
_SHARED = 20_000

_Parts = tuple[str, str, str, str, Mapping[str, str]]
"""The texts of time, level, component and message, and the fields."""


class Line(Protocol):
    """A line of a file, numbered from 1."""

    @property
    def file(self) -> str:
        """The file's path."""
        ...

    @property
    def number(self) -> int:
        """The number of the line."""
        ...

    @property
    def text(self) -> str:
        """The line without its end."""
        ...


@dataclass(frozen=True, slots=True)
class LogRecord:
    """What a line says, with the lines that continue it.

    ``file``, ``number``: where it stands, the first line from 1. ``time``: seconds since 1970,
    UTC, None without a readable one. ``level``: in capitals, "" for none. ``fields``: what else
    the format names, such as the host, or the keys of JSON.
    """

    file: str
    number: int
    time: float | None
    level: str
    component: str
    message: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Format:
    """How lines are read. ``read`` returns None for a line of another format."""

    name: str
    read: Callable[[str], _Parts | None]


@dataclass(slots=True)
class ParseCounts:
    """What was done while lines were read."""

    lines: int = 0
    records: int = 0
    blank: int = 0
    continued: int = 0
    unknown: int = 0
    untimed: int = 0
    ahead: int = 0
    cut: int = 0
    others: Counter[str] = field(default_factory=Counter)

    @property
    def notes(self) -> list[str]:
        """The same in words, without what did not happen."""
        others = ", ".join(f"{name} ({n:,})" for name, n in self.others.most_common())
        told = [
            (self.blank, f"{self.blank:,} blank lines left out"),
            (self.cut, f"{self.cut:,} lines cut at {MOST_CHARACTERS:,} characters"),
            (self.continued, f"{self.continued:,} lines continue the record before them"),
            (self.others, f"lines of other formats: {others}"),
            (self.unknown, f"{self.unknown:,} lines fit no format: taken as messages"),
            (self.untimed, f"{self.untimed:,} records without a readable time"),
            (self.ahead, f"{self.ahead:,} records lie more than a day in the future: kept"),
        ]
        return [text for happened, text in told if happened]


def recognise(lines: Iterable[str]) -> Format:
    """Return the format of lines, judged by the first 1,000; PLAIN if none fits half of them.

    >>> recognise(["Jun  1 10:00:00 host sshd[3]: Connection closed"]).name
    'syslog'
    """
    sample = [line[:MOST_CHARACTERS] for line in islice(lines, _SAMPLE)]
    sample = [line for line in sample if line.strip() and not line[0].isspace()]
    fits = {name: sum(map(bool, map(each.read, sample))) for name, each in FORMATS.items()}
    best = max(fits.values())
    if 2 * best < len(sample) or not sample:
        return PLAIN
    return FORMATS[next(name for name, fit in fits.items() if fit >= 0.9 * best)]


def format_named(text: str) -> Format:
    """Return the format of that name, or the one that a pattern with ``<message>`` describes.

    Raises ParameterError for anything else.

    >>> format_named("<level> <component>: <message>").read("WARN disk: nearly full")[1:4]
    ('WARNING', 'disk', 'nearly full')
    """
    if text in FORMATS or text == PLAIN.name:
        return FORMATS.get(text, PLAIN)
    if "<message>" not in text:
        raise ParameterError(
            f'There is no log format "{text}". Known: {", ".join(FORMATS)}; or give a pattern '
            'such as "<time> <level> <component>: <message>".'
        )
    return _by_pattern(text, _pattern_of(text))


def parse(
    lines: Iterable[Line],
    format: Format,
    counts: ParseCounts | None = None,
    *,
    now: float | None = None,
) -> Iterator[LogRecord]:
    """Yield the records of lines. ``now``: seconds since 1970, today by default.

    ``counts``, if given, is filled as the records are taken.
    """
    counts = counts if counts is not None else ParseCounts()
    reader = _Reader(format, counts, now)
    first: Line | None = None
    parts: _Parts | None = None
    more: list[str] = []
    for line in lines:
        counts.lines += 1
        text = line.text
        if not text or text.isspace():
            counts.blank += 1
            continue
        if len(text) > MOST_CHARACTERS:
            counts.cut += 1
            text = text[:MOST_CHARACTERS]
        found = reader.read(text)
        if found is None:
            if first is not None and format is not PLAIN and first.file == line.file:
                counts.continued += 1
                if len(more) < _MOST_MORE:
                    more.append(text)
                continue
            counts.unknown += 1
            found = ("", "", "", text, _NONE)
        if first is not None and parts is not None:
            yield reader.record(first, parts, more)
        first, parts, more = line, found, []
    if first is not None and parts is not None:
        yield reader.record(first, parts, more)


class _Reader:
    """Reads lines by the format of their file, else by any other."""

    def __init__(self, format: Format, counts: ParseCounts, now: float | None) -> None:
        self.first = PLAIN.read if format is PLAIN else format.read
        self.others = [each for each in FORMATS.values() if each.name != format.name]
        self.counts = counts
        self.clock = Clock(now)
        self.limit = self.clock.now + DAY
        self.file = ""

    def read(self, text: str) -> _Parts | None:
        found = self.first(text)
        if found is None:
            for each in self.others:
                found = each.read(text)
                if found is not None:
                    self.counts.others[each.name] += 1
                    break
        return found

    def record(self, line: Line, parts: _Parts, more: list[str]) -> LogRecord:
        if line.file != self.file:
            self.file = line.file
            self.clock.restart()
        when, level, component, message, fields = parts
        moment = self.clock.read(when) if when else None
        self.counts.records += 1
        self.counts.untimed += moment is None
        self.counts.ahead += moment is not None and moment > self.limit
        if more:
            message = "\n".join([message, *more])[:MOST_CHARACTERS]
        return LogRecord(line.file, line.number, moment, level, intern(component), message, fields)


def _plain(_text: str) -> _Parts | None:
    return None


PLAIN = Format("plain", _plain)
"""No format in common: each line is read by any format that it fits."""


_PARTS = ("time", "level", "component", "message")
_WORDS = {
    "WARN": "WARNING",
    "ERR": "ERROR",
    "CRIT": "CRITICAL",
    "EMERG": "EMERGENCY",
    "INFORMATION": "INFO",
    "D": "DEBUG",
    "I": "INFO",
    "W": "WARNING",
    "E": "ERROR",
    "F": "FATAL",
    # Numbers as some JSON loggers write them.
    "10": "TRACE",
    "20": "DEBUG",
    "30": "INFO",
    "40": "WARNING",
    "50": "ERROR",
    "60": "FATAL",
}
_SEVERITIES = ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"]


class _Levels(dict[str, str]):
    """Levels by how they are written."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self.read = read

    def __missing__(self, written: str) -> str:
        level = self.read(written)
        if len(self) < 1000:
            self[written] = level
        return level


def _level_of_word(word: str) -> str:
    upper = word.upper()
    return _WORDS.get(upper, upper)


def _level_of_priority(number: str) -> str:
    return _SEVERITIES[int(number) % 8] if number else ""


def _level_of_status(status: str) -> str:
    return "ERROR" if status >= "5" else "WARNING" if status >= "4" else "INFO"


def _by_pattern(name: str, pattern: str, level: Callable[[str], str] = _level_of_word) -> Format:
    """Return the format of a regular expression, whose groups are the parts and the fields.

    ``level``: turns what is written as the level into one.
    """
    names = re.compile(pattern).groupindex
    absent = "".join(f"(?P<{part}>)" for part in _PARTS if part not in names)
    regex = re.compile(pattern + absent, re.DOTALL)
    when, grade, component, message = (regex.groupindex[part] - 1 for part in _PARTS)
    extra = {name: place - 1 for name, place in regex.groupindex.items() if name not in _PARTS}
    levels = _Levels(level)
    fields = _Shared(extra)
    key_of = itemgetter(*extra.values()) if extra else len
    match = regex.fullmatch

    def read(text: str) -> _Parts | None:
        found = match(text)
        if found is None:
            return None
        values = found.groups("")
        key = key_of(values)
        shared = fields.get(key)
        if shared is None:
            shared = fields.of(key, values)
        return values[when], levels[values[grade]], values[component], values[message], shared

    return Format(name, read)


class _Shared(dict[Any, Mapping[str, str]]):
    """Fields by their values: lines of the same host and process share theirs."""

    def __init__(self, places: dict[str, int]) -> None:
        self.places = places

    def of(self, key: Any, values: tuple[str, ...]) -> Mapping[str, str]:
        found = {name: values[i] for name, i in self.places.items() if values[i]}
        fields = MappingProxyType(found)
        if len(self) < _SHARED:
            self[key] = fields
        return fields


def _pattern_of(text: str) -> str:
    """Return the regular expression of a pattern such as ``<time> <level>: <message>``."""
    pieces = re.split(r"<([A-Za-z_]\w*)>", text)
    names = pieces[1::2]
    if len(set(names)) < len(names) or "" in pieces[2:-1:2]:
        raise ParameterError(
            f'The pattern "{text}" is ambiguous: each name stands once, and between two of them '
            "stands a blank or another character."
        )
    literals = [r"\s+".join(map(re.escape, re.split(r"\s+", piece))) for piece in pieces[::2]]
    pattern = literals[0]
    for name, after in zip(names, literals[1:], strict=True):
        # A name takes all up to what stands after it: no line can make the search long.
        inside = f"(?:(?!{after}).)" if after else "."
        inside += "*+" if name == "message" else "++"
        if name == "time":
            inside = "|".join([*TIMES.values(), inside])
        pattern += f"(?P<{name}>{inside}){after}"
    return pattern


_JSON_KEYS = {
    "time": [
        "time",
        "timestamp",
        "@timestamp",
        "ts",
        "datetime",
        "date",
        "asctime",
        "eventtime",
        "@t",
        "t",
    ],
    "level": ["level", "severity", "loglevel", "log.level", "levelname", "lvl", "@l", "priority"],
    "component": [
        "logger",
        "component",
        "module",
        "service",
        "name",
        "logger_name",
        "log.logger",
        "app",
        "source",
    ],
    "message": [
        "message",
        "msg",
        "@message",
        "event",
        "text",
        "log",
        "body",
        "short_message",
        "@m",
        "@mt",
    ],
}
_DEEPEST = 4


def _json(text: str) -> _Parts | None:
    if not text.startswith("{"):
        return None
    try:
        content = json.loads(text)
        flat: dict[str, str] = {}
        _flatten(content, "", 0, flat)
    except (ValueError, RecursionError):
        return None
    keys = {key.lower(): key for key in reversed(flat)}
    found = {}
    for part, names in _JSON_KEYS.items():
        key = next((keys[name] for name in names if name in keys), None)
        found[part] = "" if key is None else flat.pop(key).rstrip("\n")
    message = found["message"] or " ".join(f"{key}={value}" for key, value in flat.items())
    level = _level_of_word(found["level"])
    return found["time"], level, found["component"], message, flat


def _flatten(content: dict[str, Any], prefix: str, depth: int, flat: dict[str, str]) -> None:
    for key, value in content.items():
        name = intern(clean(prefix + key))
        if isinstance(value, dict) and depth < _DEEPEST:
            _flatten(value, f"{name}.", depth + 1, flat)
        else:
            flat[name] = clean(value) if isinstance(value, str) else json.dumps(value)


def clean(text: str) -> str:
    """Return text without halves of characters, which JSON can hold and no file can."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _container(text: str) -> _Parts | None:
    """Read a line of a container, and what the program in it wrote by its own format."""
    outer = _CRI.read(text)
    if outer is None:
        return None
    for name in ("json", "klog", "levelled"):
        inner = FORMATS[name].read(outer[3])
        if inner is not None:
            return outer[0], *inner[1:4], {**outer[4], **inner[4]}
    return outer


_LEVEL = (
    r"(?i:TRACE|DEBUG|FINE(?:R|ST)?|INFO(?:RMATION)?|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|"
    r"CRIT(?:ICAL)?|ALERT|EMERG(?:ENCY)?|FATAL|PANIC)"
)
_QUOTED = r'(?:[^"\\]|\\.)*+'
_ISO = TIMES["iso"]
_ANY = "|".join(TIMES[name] for name in ("iso", "short", "ctime", "request"))
_BETWEEN = r"[ \t|:-]*+"

_CRI = _by_pattern(
    "kubernetes", rf"(?P<time>{_ISO}) (?P<stream>stdout|stderr) [FP] (?P<message>.*)"
)

_KNOWN = [
    _by_pattern(
        "bgl",
        rf"(?P<alert>\S+) \d{{9,10}} \d{{4}}\.\d\d\.\d\d (?P<node>\S+) (?P<time>{_ISO}) \S+ "
        r"(?P<type>\S+) (?P<component>\S+) (?P<level>\S+)(?: (?P<message>.*))?",
    ),
    _by_pattern(
        "hdfs",
        rf"(?P<time>{TIMES['compact']}) (?P<thread>\d+) (?P<level>[A-Z]+) "
        r"(?P<component>[^\s:]+): (?P<message>.*)",
    ),
    _by_pattern(
        "zookeeper",
        rf"(?P<time>{_ISO}) - (?P<level>[A-Z]+) +\[(?P<thread>.*?):(?P<component>[\w$.]+)@\d+\] - "
        r"(?P<message>.*)",
    ),
    _by_pattern(
        "spark",
        rf"(?P<time>{TIMES['short']}) (?P<level>[A-Z]+) (?P<component>[^\s:]+): (?P<message>.*)",
    ),
    _by_pattern(
        "apache_error",
        rf"\[(?P<time>{TIMES['ctime']})\] \[(?:(?P<component>\w+):)?(?P<level>\w+)\]"
        r"(?: \[pid (?P<pid>\d+)[^\]]*\])?(?: \[client (?P<client>[^\]]+)\])? ?(?P<message>.*)",
    ),
    _by_pattern(
        "apache_access",
        rf"(?P<client>\S+) \S+ (?P<user>\S+) \[(?P<time>{TIMES['request']})\] "
        rf'(?P<message>"{_QUOTED}" (?P<level>\d{{3}}|-) \S+)'
        rf'(?: "(?P<referer>{_QUOTED})" "(?P<agent>{_QUOTED})")?.*',
        _level_of_status,
    ),
    Format("json", _json),
    Format("kubernetes", _container),
    _by_pattern(
        "klog",
        rf"(?P<level>[IWEF])(?P<time>{TIMES['klog']})\s+(?P<pid>\d+) "
        r"(?P<component>[^\]\s:]+):\d+\] ?(?P<message>.*)",
    ),
    _by_pattern(
        "syslog_5424",
        rf"<(?P<level>\d{{1,3}})>\d{{1,2}} (?P<time>{_ISO}|-) (?P<host>\S+) (?P<component>\S+) "
        r"(?P<pid>\S+) (?P<msgid>\S+) "
        r"(?P<data>-|(?:\[(?:[^\]\\]|\\.)*+\])++) ?\ufeff?(?P<message>.*)",
        _level_of_priority,
    ),
    _by_pattern(
        "syslog",
        rf"(?:<(?P<level>\d{{1,3}})>)?(?P<time>{TIMES['bsd']}) (?P<host>\S+) +"
        r"(?:(?P<component>[^\s:\[]+(?: [\d.]+)?)(?:\[(?P<pid>[^\]\s]*)\])?:\s*+)?(?P<message>.*)",
        _level_of_priority,
    ),
    _by_pattern(
        "syslog_iso",
        rf"(?:<(?P<level>\d{{1,3}})>)?(?P<time>\d{{4}}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) "
        rf"(?!\[?{_LEVEL}\b)(?P<host>[\w.-]+) (?P<component>[^\s:\[]+)(?:\[(?P<pid>[^\]\s]*)\])?: "
        r"(?P<message>.*)",
        _level_of_priority,
    ),
    _by_pattern(
        "python",
        rf"(?P<time>{_ISO}) - (?P<component>\S+) - (?P<level>{_LEVEL}) - (?P<message>.*)",
    ),
    _by_pattern(
        "python_basic",
        r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?P<component>[^\s:]+):(?P<message>.*)",
    ),
    _by_pattern(
        "levelled",
        rf"\[?(?P<time>{_ANY})\]?{_BETWEEN}(?:\[(?P<thread>[^\]]*)\]{_BETWEEN})??"
        rf"\[?(?P<level>{_LEVEL})\b\]?{_BETWEEN}(?:\d+ --- )?(?:\[[^\]]*\]{_BETWEEN})?(?:in )?"
        r"(?:(?P<component>[A-Za-z_][\w.$/-]*)\s*(?::| -|\|)\s+)?(?P<message>.*)",
    ),
    _by_pattern("dated", rf"\[?(?P<time>{_ANY})\]?[ \t|:-]++(?P<message>.*)"),
]
FORMATS: dict[str, Format] = {format.name: format for format in _KNOWN}
"""Known formats by name, the specific ones before the general ones."""
