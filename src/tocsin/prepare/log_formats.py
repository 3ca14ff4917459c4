r"""Log lines to records: time, level, component and message, in the formats that are common.

The rules. Terminal codes, such as those of colours, are dropped before anything else. The format
is the one that fits most of the first 1,000 lines that are not of a stack trace, and at least
half of them; of those within a tenth of the best the most specific one. A line
that does not fit may be of any other known format, and is counted. Lines that fit none
continue the record before them in their file: those of a stack trace however many they are, and
up to 100 others in a row. They are added to its message, after a line feed, up to 8,192
characters in all. Further ones, those without a record before them, and all where no format
was recognised are messages of their own. Blank lines are left out, and so are the headers of the
W3C format, which name its fields; longer lines than 8,192 characters are cut.

Times without a zone are UTC. Whether 01/02/2026 is of January or of February is decided by the
first 1,000 lines. Times without a year take the one that brings them closest to the
last of these times in their file, the first to the record before it, or else the latest that is not
in the future. A
time that cannot be read is None; one more than a day ahead of now is kept; both are counted.
Text is only ever text: nothing in a line is interpreted as markup, and nothing is executed.

Formats: ``FORMATS``, or a pattern such as ``<time> <level> [<thread>] <component>: <message>``,
in which ``<message>`` is needed, names other than these five become fields, and blanks stand
for any run of blanks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from sys import intern
from typing import NamedTuple, Protocol

from tocsin.prepare import log_w3c
from tocsin.prepare.log_codes import without_codes
from tocsin.prepare.log_patterns import (
    FORMATS,
    GENERAL,
    PLAIN,
    Format,
    Parts,
    format_named,
    w3c_format,
)
from tocsin.prepare.log_times import Clock, find_order
from tocsin.prepare.log_traces import is_of_trace
from tocsin.readers.years import DAY

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
_KEPT = 1000


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


class LogRecord(NamedTuple):
    """The parts of a line, with the lines that continue it.

    ``file``, ``number``: where it stands, the first line from 1. ``time``: seconds since 1970,
    UTC, None if it cannot be read. ``level``: in capitals, "" for none. ``fields``: what else
    the format names, such as the host, or the keys of JSON.
    """

    file: str
    number: int
    time: float | None
    level: str
    component: str
    message: str
    fields: Mapping[str, str]


@dataclass(slots=True)
class ParseCounts:
    """What was done while lines were read."""

    lines: int = 0
    records: int = 0
    blank: int = 0
    coded: int = 0
    headers: int = 0
    continued: int = 0
    unknown: int = 0
    untimed: int = 0
    ahead: int = 0
    cut: int = 0
    open_order: bool = False
    others: Counter[str] = field(default_factory=Counter)

    @property
    def notes(self) -> list[str]:
        """The same in words, without what did not occur."""
        others = ", ".join(f"{name} ({n:,})" for name, n in self.others.most_common())
        counts = [
            (self.blank, f"{self.blank:,} blank lines left out"),
            (self.coded, f"terminal codes dropped from {self.coded:,} lines"),
            (self.headers, f"{self.headers:,} header lines left out"),
            (self.cut, f"{self.cut:,} lines cut at {MOST_CHARACTERS:,} characters"),
            (self.continued, f"{self.continued:,} lines continue the record before them"),
            (self.others, f"lines of other formats: {others}"),
            (self.unknown, f"{self.unknown:,} lines fit no format: taken as messages"),
            (self.untimed, f"{self.untimed:,} records without a readable time"),
            (self.open_order, "dates such as 01/02/2026 were read day first"),
            (self.ahead, f"{self.ahead:,} records lie more than a day in the future: kept"),
        ]
        return [text for happened, text in counts if happened]


def recognise(lines: Iterable[str]) -> Format:
    """Return the format of lines, judged by the first 1,000; PLAIN if none fits half of them.

    >>> recognise(["Jun  1 10:00:00 host sshd[3]: Connection closed"]).name
    'syslog'
    """
    sample = [without_codes(line)[:MOST_CHARACTERS] for line in islice(lines, _SAMPLE)]
    if fields := next(filter(None, map(log_w3c.fields_of, sample)), None):
        return w3c_format(fields)
    sample = [line for line in sample if line.strip() and not is_of_trace(line)]
    fits = {name: sum(map(bool, map(each.read, sample))) for name, each in FORMATS.items()}
    best = max(fits.values())
    if 2 * best < len(sample) or not sample:
        return PLAIN
    return FORMATS[next(name for name, fit in fits.items() if fit >= 0.9 * best)]


def parse(
    lines: Iterable[Line],
    format: Format,
    counts: ParseCounts | None = None,
    *,
    now: float | None = None,
) -> Iterator[LogRecord]:
    """Yield the records of lines. ``now``: seconds since 1970, today by default.

    ``counts``, if given, is filled as the records are read.
    """
    counts = counts if counts is not None else ParseCounts()
    reader = _Reader(format, counts, now)
    rest = iter(lines)
    sample = list(islice(rest, _SAMPLE))
    order = find_order(line.text for line in sample)
    reader.clock.day_first, counts.open_order = order is not False, order is None
    record: _Growing | None = None
    room = 0
    for line in chain(sample, rest):
        text = reader.text_of(line)
        if not text:
            continue
        found = reader.read(text)
        if found is None and room and record is not None and record.first.file == line.file:
            counts.continued += 1
            record.add(text)
            room = _MOST_MORE if is_of_trace(text) else room - 1
            continue
        if record is not None:
            yield reader.record(record)
        room = 0 if found is None or format is PLAIN else _MOST_MORE
        counts.unknown += found is None
        record = _Growing(line, found or ("", "", "", text, {}))
    if record is not None:
        yield reader.record(record)


class _Growing:
    """A record whose further lines are still being read; its length is limited."""

    __slots__ = ("_room", "first", "more", "parts")

    def __init__(self, first: Line, parts: Parts) -> None:
        self.first, self.parts = first, parts
        self.more: list[str] = []
        self._room = MOST_CHARACTERS

    def add(self, text: str) -> None:
        if self._room > 0:
            self.more.append(text)
            self._room -= len(text) + 1


class _Reader:
    """Reads lines by the format of their file, else by any other."""

    def __init__(self, format: Format, counts: ParseCounts, now: float | None) -> None:
        # The most general format fits lines of most others, which read more from them.
        self.given = format
        self.format = PLAIN if format is GENERAL else format
        self.others = [x for x in FORMATS.values() if x is not self.format and x.among_others]
        self.is_w3c = format.name.startswith(log_w3c.NAME)
        self.counts = counts
        self.clock = Clock(now)
        self.limit = self.clock.now + DAY
        self.file = ""
        self.seen: dict[str, tuple[Format, Parts | None]] = {}

    def text_of(self, line: Line) -> str:
        """Return the part of a line to be read, "" for nothing."""
        self.counts.lines += 1
        text = without_codes(line.text)
        self.counts.coded += text is not line.text
        if not text or text.isspace():
            self.counts.blank += 1
            return ""
        if self.is_w3c and log_w3c.is_directive(text):
            self.counts.headers += 1
            if fields := log_w3c.fields_of(text):
                self.format = w3c_format(fields)
            return ""
        if len(text) > MOST_CHARACTERS:
            self.counts.cut += 1
            text = text[:MOST_CHARACTERS]
        return text

    def read(self, text: str) -> Parts | None:
        """Return what the format reads from a line, or else another one."""
        found = self.format.read(text)
        if found is not None or text[0].isspace():  # no known format begins with a blank
            return found
        if text not in self.seen:  # lines without a time repeat themselves
            if len(self.seen) >= _KEPT:
                self.seen.clear()
            fits = ((each, each.read(text)) for each in self.others)
            self.seen[text] = next((fit for fit in fits if fit[1] is not None), (PLAIN, None))
        format, found = self.seen[text]
        if found is not None and format is not self.given:
            self.counts.others[format.name] += 1
        return found

    def record(self, grown: _Growing) -> LogRecord:
        """Return the record of a line and of those that continue it."""
        line = grown.first
        if line.file != self.file:
            self.file = line.file
            self.clock.restart()
        when, level, component, message, fields = grown.parts
        moment = self.clock.read(when) if when else None
        self.counts.records += 1
        self.counts.untimed += moment is None
        self.counts.ahead += moment is not None and moment > self.limit
        if grown.more:
            message = "\n".join([message, *grown.more])[:MOST_CHARACTERS]
        # Logs repeat themselves: what is equal is kept once.
        message, component = intern(message), intern(component)
        return LogRecord(line.file, line.number, moment, level, component, message, fields)
