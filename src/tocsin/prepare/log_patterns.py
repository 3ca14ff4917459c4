"""The known formats of log lines: regular expressions, JSON, and patterns that a user gives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from sys import intern
from types import MappingProxyType
from typing import Any

from tocsin.errors import ParameterError
from tocsin.prepare.log_times import TIMES

__all__ = ["FORMATS", "GENERAL", "PLAIN", "Format", "Parts", "clean", "format_named"]

_SHARED = 20_000

Parts = tuple[str, str, str, str, Mapping[str, str]]
"""The texts of time, level, component and message, and the fields."""


@dataclass(frozen=True, slots=True)
class Format:
    """How lines are read. ``read`` returns None for a line of another format."""

    name: str
    read: Callable[[str], Parts | None]


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


def _json(text: str) -> Parts | None:
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


def _container(text: str) -> Parts | None:
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
    if "<message>" not in text:
        raise ParameterError(
            f'There is no log format "{text}". Known: {", ".join(FORMATS)}; or give a pattern '
            'such as "<time> <level> <component>: <message>".'
        )
    return _by_pattern(text, _pattern_of(text))
