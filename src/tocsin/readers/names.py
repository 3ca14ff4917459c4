"""Names of columns that hold times, and of those that tell entities apart.

The one list of such names, of files and of events.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TIMES = frozenset(
    {"time", "timestamp", "date", "datetime", "ts", "t", "ds", "when", "epoch", "utc", "clock"}
    | {"zeit", "datum", "zeitstempel", "uhrzeit", "fecha", "horodatage"}
)
_ENTITIES = frozenset(
    {
        *("id", "ids", "key", "entity", "device", "machine", "host", "node", "server", "sensor"),
        *("unit", "station", "site", "asset", "item", "store", "shop", "vehicle", "engine"),
        "series",
    }
)
_OF_EVENTS = (
    *("time", "timestamp", "datetime", "ts", "eventtime", "eventtimestamp", "realtimetimestamp"),
    *("headerstamp", "stamp", "date", "when", "t", "epoch", "utc"),
    *("zeit", "zeitstempel", "datum", "fecha", "horodatage"),
)
_WATCHED = (
    *("entity", "host", "hostname", "tagshost", "tagshostname", "instance", "machine", "server"),
    *("node", "device", "sensor", "station", "asset", "vehicle", "engine"),
)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def words(name: str) -> list[str]:
    """Return the words of a name, in small letters.

    >>> words("machineId"), words("_HOSTNAME")
    (['machine', 'id'], ['hostname'])
    """
    return [word.lower() for word in _WORD.findall(name)]


def time_rank(name: str) -> int:
    """Return 0 for a name that means time, 1 for one that ends in such a word, 2 for others."""
    found = words(name)
    if "".join(found) in _TIMES:
        return 0
    return 1 if found and found[-1] in _TIMES else 2


def may_be_entity(name: str) -> bool:
    """Return whether a column of whole numbers may tell entities apart, by its name."""
    return not _ENTITIES.isdisjoint(words(name))


@lru_cache(maxsize=4_096)
def event_time_rank(name: str) -> int | None:
    """Return the place of a name among those of the time of an event, None for other names.

    >>> event_time_rank("time"), event_time_rank("@timestamp"), event_time_rank("response_time")
    (0, 1, None)
    """
    joined = "" if _DIGIT.search(name) else "".join(words(name))
    return _OF_EVENTS.index(joined) if joined in _OF_EVENTS else None


@lru_cache(maxsize=4_096)
def event_entity_rank(name: str) -> int | None:
    """Return the place of a name among those of what an event is about, None for other names.

    >>> event_entity_rank("host"), event_entity_rank("sensor_id"), event_entity_rank("unit")
    (1, 10, None)
    """
    found = [] if _DIGIT.search(name) else words(name)
    if len(found) > 1 and found[-1] in ("id", "name"):
        found = found[:-1]
    joined = "".join(found)
    return _WATCHED.index(joined) if joined in _WATCHED else None
