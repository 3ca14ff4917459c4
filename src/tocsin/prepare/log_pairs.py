"""Log lines of names with values: JSON objects, and logfmt."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from sys import intern
from typing import Any

from tocsin.prepare.log_codes import without_codes
from tocsin.prepare.log_levels import level_of_priority, level_of_word
from tocsin.readers import journal
from tocsin.readers.time_objects import time_of_object

__all__ = ["Parts", "clean", "read_json", "read_logfmt"]

Parts = tuple[str, str, str, str, Mapping[str, str]]
"""The texts of time, level, component and message, and the fields."""

_KEYS = {
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
        "__realtime_timestamp",
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
        "syslog_identifier",
        "_comm",
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
_PRIORITIES = frozenset("01234567")
_DEEPEST = 4
_NAME = r"[A-Za-z_@][\w.@/-]*+"
_VALUE = r'"(?:[^"\\]|\\.)*+"|(?!")\S*+'
_LOGFMT = re.compile(rf"{_NAME}=(?:{_VALUE})(?:\s++{_NAME}=(?:{_VALUE}))++\s*")
_PAIR = re.compile(rf"({_NAME})=({_VALUE})")
_ESCAPED = re.compile(r'\\(["\\])')


def read_json(text: str) -> Parts | None:
    """Return the parts of a JSON object, None for another line."""
    if not text.startswith("{"):
        return None
    try:
        content = json.loads(text)
        flat: dict[str, str] = {}
        _flatten(content, "", 0, flat)
    except (ValueError, RecursionError):
        return None
    return _parts(flat)


def read_logfmt(text: str) -> Parts | None:
    """Return the parts of ``name=value`` pairs, None for a line without a time or a level."""
    if _LOGFMT.fullmatch(text) is None:
        return None
    pairs = {intern(name): value for name, value in _PAIR.findall(text)}
    for name, value in pairs.items():
        if value.startswith('"'):
            pairs[name] = _ESCAPED.sub(r"\1", value[1:-1])
    parts = _parts(pairs)
    return parts if parts[0] or parts[1] else None


def _parts(flat: dict[str, str]) -> Parts:
    keys = {key.lower(): key for key in reversed(flat)}
    by_priority = _counts_priorities(flat)
    found = {}
    for part, names in _KEYS.items():
        key = next((keys[name] for name in names if name in keys), None)
        if key is None and part == "time":
            key = _inner_time(keys)
        found[part] = "" if key is None else flat.pop(key).rstrip("\n")
    if by_priority and found["level"] in _PRIORITIES:
        found["level"] = level_of_priority(found["level"])
    message = found["message"] or " ".join(f"{key}={value}" for key, value in flat.items())
    return found["time"], level_of_word(found["level"]), found["component"], message, flat


def _inner_time(keys: Mapping[str, str]) -> str | None:
    """Return the key of a time that stands inside an object, as in metadata.timestamp."""
    inner = {name.rpartition(".")[2]: key for name, key in keys.items() if "." in name}
    return next((inner[name] for name in _KEYS["time"][:6] if name in inner), None)


def _counts_priorities(flat: Mapping[str, str]) -> bool:
    """Return whether levels are the numbers of syslog: those of journald and of GELF are."""
    return "PRIORITY" in flat or "short_message" in flat


def _flatten(content: dict[str, Any], prefix: str, depth: int, flat: dict[str, str]) -> None:
    for key, value in content.items():
        name = intern(clean(prefix + key))
        if isinstance(value, str):
            flat[name] = without_codes(clean(value))
        elif isinstance(value, dict) and (moment := time_of_object(value)) is not None:
            flat[name] = str(moment)
        elif isinstance(value, dict) and depth < _DEEPEST:
            _flatten(value, f"{name}.", depth + 1, flat)
        else:
            text = journal.text_of(key, value)
            flat[name] = json.dumps(value) if text is None else without_codes(clean(text))


def clean(text: str) -> str:
    """Return text without halves of characters, which JSON can hold but UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
