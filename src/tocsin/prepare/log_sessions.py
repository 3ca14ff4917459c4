"""Which log records belong together: by a key they share, by windows of time, or none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain

from tocsin.errors import ParameterError
from tocsin.prepare.log_formats import LogRecord
from tocsin.settings.patterns import compiled

__all__ = [
    "ALL",
    "ATTRIBUTES",
    "LINE",
    "check_session",
    "find_session",
    "group_records",
    "place_of",
]

LINE, ALL = "line", "all"
ATTRIBUTES = ("file", "component", "level")
"""What may distinguish sessions besides the fields of a format."""

_BLOCKS = r"(blk_-?\d+)"
_KEYS = frozenset({"sessionid", "requestid", "traceid", "correlationid", "transactionid"})
_SAMPLE = 1_000


def check_session(session: str | None) -> None:
    """Raise ParameterError for an expression that has not exactly one group, or is endless."""
    if session and "(" in session:
        try:
            groups = compiled(session).groups
        except ValueError as error:
            raise ParameterError(f"session cannot be read: {error}.") from error
        if groups != 1:
            raise ParameterError(
                f'session="{session}" has {groups} groups; the one group is the key.'
            )


def find_session(records: list[LogRecord]) -> str:
    """Return what distinguishes sessions in most of the first records, LINE if nothing does."""
    sample = records[:_SAMPLE]
    block = re.compile(_BLOCKS)
    if 2 * sum(block.search(record.message) is not None for record in sample) > len(sample):
        return _BLOCKS
    names = Counter(chain.from_iterable(record.fields for record in sample))
    for name, count in names.most_common():
        plain = re.sub("[^a-z]", "", name.rpartition(".")[2].lower())
        values = {record.fields.get(name) for record in sample}
        if 2 * count > len(sample) and plain in _KEYS and len(values) > 1:
            return name
    return LINE


def _key_reader(session: str) -> Callable[[LogRecord], list[str]]:
    """Return a function that gives the keys of the sessions of a record."""
    if session == ALL:
        return lambda record: [""]
    if "(" in session:
        find = re.compile(session).findall
        return lambda record: [key for key in dict.fromkeys(find(record.message)) if key]
    if session in ATTRIBUTES:
        return lambda record: [key for key in (getattr(record, session),) if key]
    return lambda record: [key for key in (record.fields.get(session),) if key]


def group_records(
    records: list[LogRecord], session: str, window: float | None, *, counted: bool
) -> tuple[dict[str, list[int]], int]:
    """Return the positions of each session's records by its key, and how many are on their own.

    ``window``: seconds, or lines where they are ``counted``, None for no windows.
    """
    keys_of = _key_reader(session)
    windows = _windows(records, window, counted=counted) if window else None
    groups: dict[str, list[int]] = {}
    alone = 0
    for position, record in enumerate(records):
        keys = keys_of(record)
        if not keys:
            alone += 1
            groups.setdefault(place_of(record), []).append(position)
        for key in keys:
            name = key if windows is None else f"{key} {windows[position]}".strip()
            groups.setdefault(name, []).append(position)
    return groups, alone


def _windows(records: list[LogRecord], length: float, *, counted: bool) -> list[str]:
    """Return the name of each record's window, its beginning."""
    if counted:
        size = max(1, round(length))
        return [f"from {place_of(records[i - i % size])}" for i in range(len(records))]
    names: dict[float, str] = {}
    last = next((record.time for record in records if record.time is not None), 0.0)
    windows = []
    for record in records:
        last = last if record.time is None else record.time
        begin = last // length * length
        if begin not in names:
            names[begin] = datetime.fromtimestamp(begin, UTC).isoformat()
        windows.append(names[begin])
    return windows


def place_of(record: LogRecord) -> str:
    """Return where a record stands: ``file:number``, or ``line number`` without a file."""
    return f"{record.file}:{record.number}" if record.file else f"line {record.number}"
