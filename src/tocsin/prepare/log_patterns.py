"""The known formats of log lines: regular expressions, JSON, and patterns that a user gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any

from tocsin.errors import ParameterError
from tocsin.prepare import log_w3c
from tocsin.prepare.log_levels import Levels, level_of_priority, level_of_status, level_of_word
from tocsin.prepare.log_pairs import Parts, clean, read_json, read_logfmt
from tocsin.prepare.log_times import TIMES
from tocsin.prepare.log_traces import is_of_trace

__all__ = ["FORMATS", "GENERAL", "PLAIN", "Format", "Parts", "clean", "format_named", "w3c_format"]

_SHARED = 20_000


@dataclass(frozen=True, slots=True)
class Format:
    """How lines are read. ``read`` returns None for a line of another format.

    ``among_others``: whether a line among those of another format may be of this one.
    """

    name: str
    read: Callable[[str], Parts | None]
    among_others: bool = True


def w3c_format(fields: Sequence[str]) -> Format:
    """Return the W3C format of these fields, which its name repeats."""
    return Format(" ".join([log_w3c.NAME, *fields]), log_w3c.reader_of(fields))


_PARTS = ("time", "level", "component", "message")


def _by_pattern(name: str, pattern: str, level: Callable[[str], str] = level_of_word) -> Format:
    """Return the format of a regular expression, whose groups are the parts and the fields.

    ``level``: turns what is written as the level into one.
    """
    names = re.compile(pattern).groupindex
    absent = "".join(f"(?P<{part}>)" for part in _PARTS if part not in names)
    regex = re.compile(pattern + absent, re.DOTALL)
    when, grade, component, message = (regex.groupindex[part] - 1 for part in _PARTS)
    extra = {name: place - 1 for name, place in regex.groupindex.items() if name not in _PARTS}
    levels = Levels(level)
    fields = _Shared(extra)
    key_of = itemgetter(*extra.values()) if extra else len
    match = regex.fullmatch

    def read(text: str) -> Parts | None:
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
    literals = [r"\s++".join(map(re.escape, re.split(r"\s+", piece))) for piece in pieces[::2]]
    pattern = literals[0]
    for name, after in zip(names, literals[1:], strict=True):
        # A name takes all up to what stands after it, and blanks are looked at once, where they
        # begin: no line can make the search long.
        begin = r"(?<!\s)" if after.startswith(r"\s") else ""
        inside = f"(?:(?!{begin}{after}).)" if after else "."
        inside += "*+" if name == "message" else "++"
        if name == "time":
            inside = "|".join([*TIMES.values(), inside])
        pattern += f"(?P<{name}>{inside}){after}"
    return pattern


def _kubernetes(text: str) -> Parts | None:
    """Read a line of a container, and what the program in it wrote by its own format."""
    outer = _CRI.read(text)
    if outer is None:
        return None
    for name in ("json", "logfmt", "klog", "levelled"):
        inner = FORMATS[name].read(outer[3])
        if inner is not None:
            return outer[0], *inner[1:4], {**outer[4], **inner[4]}
    return outer


def _compose(text: str) -> Parts | None:
    """Read a line after the name of its container, by the line's own format."""
    outer = _COMPOSE.read(text)
    if outer is None:
        return None
    for format in FORMATS.values():
        if format.among_others and (inner := format.read(outer[3])) is not None:
            return *inner[:2], inner[2] or outer[2], inner[3], {**outer[4], **inner[4]}
    return None


def _compose_plain(text: str) -> Parts | None:
    """Read a line after the name of its container, whatever it is."""
    return None if is_of_trace(text) else _compose(text) or _COMPOSE.read(text)


_LEVEL = (
    r"(?i:TRACE|DEBUG|FINE(?:R|ST)?|INFO(?:RMATION)?|NOTICE|WARN(?:ING)?|ERR(?:OR)?|SEVERE|"
    r"CRIT(?:ICAL)?|ALERT|EMERG(?:ENCY)?|FATAL|PANIC)"
)
_QUOTED = r'(?:[^"\\]|\\.)*+'
_ISO = TIMES["iso"]
_ANY = "|".join(
    TIMES[name]
    for name in (
        *("iso", "short", "ctime", "request", "dotted"),
        *("month_first", "day_first", "named", "stamp"),
        *("bsd_year", "bsd", "dashed", "dotted_short", "slashed"),
    )
)
_BETWEEN = r"[ \t|:-]*+"
_OPEN, _CLOSE = r"[\[(<【*]?", r"[\])>】]?"  # * is a clock that is not set
_TIME = rf"{_OPEN}(?P<time>{_ANY}){_CLOSE}"
_GRADE = rf"{_OPEN}(?P<level>{_LEVEL})\b{_CLOSE}"
_REST = r"(?:(?P<component>[A-Za-z_][\w.$/-]*)\s*(?::| -|\|)\s+)?(?P<message>.*)"

_CRI = _by_pattern(
    "kubernetes", rf"(?P<time>{_ISO}) (?P<stream>stdout|stderr) [FP] (?P<message>.*)"
)

_COMPOSE = _by_pattern(
    "compose", rf"(?P<component>(?!{_LEVEL} )[A-Za-z][\w.-]*) +\| ?(?P<message>.*)"
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
        r"(?: \[pid (?P<pid>\d++)[^\]]*+\])?(?: \[client (?P<client>[^\]]++)\])? ?(?P<message>.*)",
    ),
    _by_pattern(
        "apache_access",
        rf"(?P<client>\S+) \S+ (?P<user>\S+) \[(?P<time>{TIMES['request']})\] "
        rf'(?P<message>"{_QUOTED}" (?P<level>\d{{3}}|-) \S+)'
        rf'(?: "(?P<referer>{_QUOTED})" "(?P<agent>{_QUOTED})")?.*',
        level_of_status,
    ),
    Format("json", read_json),
    _by_pattern(
        "audit",
        r"(?:node=(?P<host>\S+) )?type=(?P<component>\S+) "
        r"msg=audit\((?P<time>\d+\.\d+):(?P<serial>\d+)\): ?(?P<message>.*)",
    ),
    Format("logfmt", read_logfmt),
    Format("kubernetes", _kubernetes),
    Format("compose", _compose, among_others=False),
    w3c_format([]),
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
        level_of_priority,
    ),
    _by_pattern(
        "syslog",
        rf"(?:<(?P<level>\d{{1,3}})>)?(?P<time>{TIMES['bsd']}) (?P<host>\S+) +"
        r"(?:(?P<component>[^\s:\[]+(?: [\d.]+)?)(?:\[(?P<pid>[^\]\s]*)\])?:\s*+)?(?P<message>.*)",
        level_of_priority,
    ),
    _by_pattern(
        "syslog_iso",
        rf"(?:<(?P<level>\d{{1,3}})>)?(?P<time>\d{{4}}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) "
        rf"(?!\[?{_LEVEL}\b)(?P<host>[\w.-]+) (?P<component>[^\s:\[]+)(?:\[(?P<pid>[^\]\s]*)\])?: "
        r"(?P<message>.*)",
        level_of_priority,
    ),
    _by_pattern(
        "logcat",
        rf"(?P<time>{TIMES['no_year']}) +(?P<pid>\d+) +(?P<thread>\d+) "
        r"(?P<level>[VDIWEFA]) (?P<component>[^:]*?) *: (?P<message>.*)",
    ),
    _by_pattern(
        "vpc_flow",
        r"(?P<message>\d (?:\d{12}|unknown) eni-\w+(?: \S+){7}) (?P<time>\d{10}) \d{10} "
        r"(?P<component>ACCEPT|REJECT|-) (?P<status>OK|NODATA|SKIPDATA)",
    ),
    _by_pattern("syslog_bare", r"<(?P<level>\d{1,3})>(?P<message>.*)", level_of_priority),
    _by_pattern(
        "python",
        rf"(?P<time>{_ISO}) - (?P<component>\S+) - (?P<level>{_LEVEL}) - (?P<message>.*)",
    ),
    _by_pattern(
        "python_basic",
        r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?P<component>[^\s:]+):(?P<message>.*)",
    ),
    _by_pattern(
        "level_first",
        rf"{_GRADE}{_BETWEEN}(?:\[(?P<thread>[^\]]*)\]{_BETWEEN})??{_TIME}{_BETWEEN}{_REST}",
    ),
    _by_pattern(
        "component_first",
        rf"\[(?P<component>[^\[\]]*)\]{_BETWEEN}{_TIME}{_BETWEEN}(?:{_GRADE})?{_BETWEEN}"
        r"(?P<message>.*)",
    ),
    _by_pattern(
        "levelled",
        rf"{_TIME}{_BETWEEN}(?:\[(?P<thread>[^\]]*)\]{_BETWEEN})??"
        rf"{_GRADE}{_BETWEEN}(?:\d+ --- )?(?:\[[^\]]*\]{_BETWEEN})?(?:in )?{_REST}",
    ),
    Format("compose_plain", _compose_plain, among_others=False),
    _by_pattern("dated", rf"{_TIME}(?:[ \t|:-]++|(?=[\[(<【]))(?P<message>.*)"),
]
FORMATS: dict[str, Format] = {format.name: format for format in _KNOWN}
"""Known formats by name, the specific ones before the general ones."""

GENERAL = _KNOWN[-1]
"""A time, and then a message."""


def _plain(_text: str) -> Parts | None:
    return None


PLAIN = Format("plain", _plain)
"""No format in common: each line is read by any format that it fits."""


def format_named(text: str) -> Format:
    """Return the format of that name, or the one that a pattern with ``<message>`` describes.

    Raises ParameterError for anything else.

    >>> format_named("<level> <component>: <message>").read("WARN disk: nearly full")[1:4]
    ('WARNING', 'disk', 'nearly full')
    """
    if text in FORMATS or text == PLAIN.name:
        return FORMATS.get(text, PLAIN)
    if text.startswith(f"{log_w3c.NAME} "):
        return w3c_format(text.split()[1:])
    if "<message>" not in text:
        raise ParameterError(
            f'Unknown log format "{text}". Known: {", ".join(FORMATS)}; or give a pattern '
            'such as "<time> <level> <component>: <message>".'
        )
    return _by_pattern(text, _pattern_of(text))
