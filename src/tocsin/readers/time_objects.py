"""Times written as objects, in JSON and messages of other systems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_FARTHEST = 2**60  # seconds or milliseconds: no date is so far
_PAIRS = (
    *(("sec", "nanosec", 9), ("secs", "nsecs", 9), ("seconds", "nanos", 9), ("sec", "nsec", 9)),
    *(("seconds", "nanoseconds", 9), ("_seconds", "_nanoseconds", 9)),
    *(("epochSecond", "nanoOfSecond", 9), ("epochSecond", "nano", 9)),
    *(("tv_sec", "tv_nsec", 9), ("tv_sec", "tv_usec", 6), ("sec", "usec", 6)),
)


def time_of_object(value: Mapping[str, Any]) -> str | int | float | None:
    """Return the time that an object holds, as text or number, None if it holds anything else.

    Known are MongoDB's {"$date": …}, Parse's {"__type": "Date", "iso": …}, and seconds with
    nanoseconds or microseconds as ROS, protobuf and others write them.

    >>> time_of_object({"sec": 1767355200, "nanosec": 250000000})
    '2026-01-02T12:00:00.250000000'
    """
    if set(value) == {"$date"}:
        inner = value["$date"]
        if isinstance(inner, Mapping) and set(inner) == {"$numberLong"}:
            inner = inner["$numberLong"]
        if isinstance(inner, str) and inner.lstrip("-").isdigit():
            inner = int(inner)
        if isinstance(inner, int) and not isinstance(inner, bool):
            return str(np.datetime64(inner, "ms")) if abs(inner) < _FARTHEST else None
        return inner if isinstance(inner, str) else None
    if value.get("__type") == "Date" and isinstance(value.get("iso"), str):
        return str(value["iso"])
    return _of_pair(value) if len(value) == 2 else None


def _of_pair(value: Mapping[str, Any]) -> str | None:
    """Return the time of seconds and a part of one, None for any other two values."""
    for seconds, part, digits in _PAIRS:
        if seconds in value and part in value:
            try:
                whole, fine = int(value[seconds]), int(value[part])
            except (TypeError, ValueError, OverflowError):
                return None
            if abs(whole) < _FARTHEST and 0 <= fine < 10**digits:
                return f"{np.datetime64(whole, 's')}.{fine:0{digits}d}"
    return None
