"""Log lines to sessions: formats, templates, and which lines belong together."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple, Self

import numpy as np

from tocsin.base import Stateful
from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch
from tocsin.prepare.log_formats import (
    Line,
    LogRecord,
    ParseCounts,
    format_named,
    parse,
    recognise,
)
from tocsin.prepare.log_patterns import clean
from tocsin.prepare.log_sessions import (
    ALL,
    ATTRIBUTES,
    LINE,
    check_session,
    find_session,
    group_records,
    place_of,
)
from tocsin.prepare.log_templates import ANY, TemplateMiner, mask
from tocsin.types import IntArray, LogSession, SessionArray

__all__ = ["LogPreparer", "PreparedLogs"]

Logs = Iterable[Line] | Sequence[str] | Sequence[Sequence[int]]
"""Lines of files, texts of one line each, or sessions of which only the kinds are known."""

_SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class PreparedLogs:
    """Log sessions, and the way back to the lines they come from.

    ``sessions``: (n,) LogSession, in the order of their first lines. ``keys``: n texts, the
    session's key, the beginning of its window of time, or the line as ``file:number``.
    ``lines``: n arrays (k,) int64, the positions in ``records`` of a session's lines; one array
    (n, 1) where each line is by itself. Single lines that are equal share one session.
    ``records``: the parsed lines, with file and number; none for sessions of numbers.
    """

    sessions: SessionArray
    keys: list[str]
    lines: list[IntArray] | IntArray
    records: list[LogRecord]

    def __len__(self) -> int:
        return len(self.keys)


class _Text(NamedTuple):
    """A line that is not from a file."""

    file: str
    number: int
    text: str


class _Messages(NamedTuple):
    """The distinct messages of records.

    ``texts``: d messages. ``which`` (n,): the message of each record. ``masked``: d pairs of the
    masked message and what the mask left out.
    """

    texts: list[str]
    which: IntArray
    masked: list[tuple[str, tuple[str, ...]]]

    @classmethod
    def of(cls, records: list[LogRecord]) -> _Messages:
        number: dict[str, int] = {}
        which = [number.setdefault(record.message, len(number)) for record in records]
        texts = list(number)
        return cls(texts, np.array(which, dtype=np.int64), [mask(text) for text in texts])


@contextmanager
def _without_collection() -> Iterator[None]:
    """Suspend garbage collection: with millions of new objects it would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class LogPreparer(Stateful):
    """Turns log lines into sessions of known kinds of lines.

    ``format``: a name or a pattern, see ``tocsin.prepare.log_formats``; None to recognise it.
    ``session``: what lines of a session share: a field of the format, such as "host", a regular
    expression with one group, such as "(blk_-?[0-9]+)", or "line", each line by itself.
    ``window``: seconds; lines within a window of time are a session, or the lines of
    a session within a window. The rules, each use of which is noted:

    - session None: HDFS block ids, if most lines name one; else a field of JSON such as
      session_id, request_id or trace_id, if most lines have it; else each line by itself. A
      line that names several keys belongs to each of these sessions, one without a key is by
      itself.
    - a window without a session takes all lines.
    - windows begin at multiples of their length since 1970. A line without a time has that of
      the line before it; if fewer than half of the lines have one, a window is a number of lines.
    - templates: see ``tocsin.prepare.log_templates``; a line of an unknown kind has -1.
    - sequences of numbers are sessions of which only the kinds of lines are known.

    After ``fit_transform``: ``format_`` and ``session_``, what was taken, ``miner_``, the kinds
    of messages, or ``events_``, the known numbers, ``notes_``.

    Raises InputError for logs that cannot be learned from, ParameterError for settings that
    cannot work, SchemaMismatch for lines after numbers or numbers after lines.

    >>> preparer = LogPreparer(session="(job [0-9]+)")
    >>> logs = preparer.fit_transform(["start of job 1", "start of job 2", "job 1 is over"])
    >>> logs.keys, [session.templates.tolist() for session in logs.sessions]
    (['job 1', 'job 2'], [[0, 1], [0]])
    """

    format_: str
    session_: str
    window_: float | None
    miner_: TemplateMiner
    events_: IntArray | None
    counted_: bool
    notes_: list[str]

    def __init__(
        self,
        *,
        format: str | None = None,
        session: str | None = None,
        window: float | None = None,
    ) -> None:
        self.format = format
        self.session = session
        self.window = window

    @_without_collection()
    def fit_transform(self, lines: Logs) -> PreparedLogs:
        """Learn the format, the sessions and the kinds of messages, and return the sessions."""
        self._check()
        self.window_ = self.window
        self.counted_ = False
        self.events_ = None
        self.miner_ = TemplateMiner()
        items, numbers = _split_kinds(lines)
        if numbers:
            return self._learn_numbers(items)
        source = _as_lines(items)
        sample = list(islice(source, _SAMPLE))
        found = format_named(self.format) if self.format else recognise(x.text for x in sample)
        self.format_ = self.format or found.name
        counts = ParseCounts()
        records = list(parse(chain(sample, source), found, counts))
        if not records:
            raise InputError(f"There is nothing to learn from: {counts.blank:,} blank lines.")
        self.notes_ = [f"format: {self.format_} ({_origin(self.format)})", *counts.notes]
        self._settle_sessions(records)
        messages = _Messages.of(records)
        counts_of = np.bincount(messages.which).tolist()
        ids = self.miner_.fit((text for text, _ in messages.masked), counts_of, masked=True)
        self.notes_.append(f"{len(self.miner_.templates_):,} kinds of messages")
        logs, remarks = self._sessions(records, messages, ids)
        self.notes_ += remarks
        return logs

    def transform(self, lines: Logs) -> PreparedLogs:
        """Return the sessions of lines, with -1 for kinds not known; changes nothing."""
        return self.prepare(lines)[0]

    def remarks(self, lines: Logs) -> list[str]:
        """Return what is done to these lines: cut, continued, not recognised and so on."""
        return self.prepare(lines)[1]

    @_without_collection()
    def prepare(self, lines: Logs) -> tuple[PreparedLogs, list[str]]:
        """Return what both ``transform`` and ``remarks`` return."""
        if not hasattr(self, "notes_"):
            raise NotFitted("This preparation is not fitted yet: call fit_transform first.")
        items, numbers = _split_kinds(lines)
        if numbers is not (self.events_ is not None):
            was, given = ("numbers", "lines") if self.events_ is not None else ("lines", "numbers")
            raise SchemaMismatch(f"Trained on log sessions of {was}; these are {given}.")
        if self.events_ is not None:
            return self._of_numbers(_as_numbers(items))
        counts = ParseCounts()
        records = list(parse(_as_lines(items), format_named(self.format_), counts))
        if not records:
            raise InputError(f"There is nothing to score: {counts.blank:,} blank lines.")
        messages = _Messages.of(records)
        ids = self.miner_.match((text for text, _ in messages.masked), masked=True)
        logs, remarks = self._sessions(records, messages, ids)
        return logs, counts.notes + remarks

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        check_session(self.session_)
        self.miner_ = TemplateMiner().set_state(state["miner_"])
        return self

    def _check(self) -> None:
        if self.window is not None and not 0 < self.window < float("inf"):
            raise ParameterError(f"A window has more than 0 seconds; got window={self.window}.")
        if self.window is not None and self.session == LINE:
            raise ParameterError('Lines by themselves have no windows: drop window or "line".')
        check_session(self.session)

    def _settle_sessions(self, records: list[LogRecord]) -> None:
        """Find what lines of a session share, and how windows are counted."""
        self.session_ = self.session or (ALL if self.window else find_session(records))
        if "(" not in self.session_ and self.session_ not in (LINE, ALL):
            names = Counter(chain.from_iterable(record.fields for record in records))
            if self.session_ not in {*names, *ATTRIBUTES}:
                known = ", ".join([*ATTRIBUTES, *(name for name, _ in names.most_common(20))])
                raise ParameterError(
                    f'No record has a field "{self.session_}" to distinguish sessions by. '
                    f"Known: {known}; or give a regular expression with one group."
                )
        timed = sum(record.time is not None for record in records)
        self.counted_ = self.window is not None and 2 * timed < len(records)
        kind = {LINE: "each line by itself", ALL: "all lines"}.get(self.session_, self.session_)
        if self.window:
            kind += f", in windows of {self.window:g} {'lines' if self.counted_ else 'seconds'}"
        self.notes_.append(f"sessions: {kind} ({_origin(self.session or self.window)})")

    def _sessions(
        self, records: list[LogRecord], messages: _Messages, ids: IntArray
    ) -> tuple[PreparedLogs, list[str]]:
        """Put lines together to sessions; ``ids``: the template of each distinct message."""
        parameters = self._parameters(messages, ids)
        of_record = ids[messages.which]
        lines: list[IntArray] | IntArray
        remarks = []
        if unknown := int((of_record < 0).sum()):
            remarks.append(f"{unknown:,} of {len(records):,} records are of an unknown kind")
        if self.session_ == LINE:
            keys = [place_of(record) for record in records]
            lines = np.arange(len(records))[:, None]
            sessions = _array(_single(records, messages, ids, parameters))
        else:
            groups, alone = group_records(
                records, self.session_, self.window_, counted=self.counted_
            )
            keys = list(groups)
            lines = [np.array(places, dtype=np.int64) for places in groups.values()]
            which = messages.which.tolist()
            sessions = _array(
                LogSession(
                    of_record[places],
                    tuple([messages.masked[which[i]][0] for i in places]),
                    tuple([records[i].level for i in places]),
                    tuple([records[i].component for i in places]),
                    tuple([parameters[which[i]] for i in places]),
                )
                for places in groups.values()
            )
            if alone:
                remarks.append(f"{alone:,} records without a session: each by itself")
        return PreparedLogs(sessions, keys, lines, records), remarks

    def _parameters(self, messages: _Messages, ids: IntArray) -> list[tuple[str, ...]]:
        """Return what varies in each message: what the mask found, or also the template."""
        varying = [ANY in template for template in self.miner_.templates_] + [False]
        return [
            self.miner_.parameters(text, i) if varying[i] else found
            for text, (_, found), i in zip(
                messages.texts, messages.masked, ids.tolist(), strict=True
            )
        ]

    def _learn_numbers(self, items: Iterable[Any]) -> PreparedLogs:
        self.format_, self.session_ = "numbers", "given"
        self.miner_.templates_ = []
        sessions = _as_numbers(items)
        self.events_ = np.unique(np.concatenate(sessions))
        self.notes_ = [f"{len(sessions):,} sessions of {len(self.events_):,} kinds of lines"]
        return self._of_numbers(sessions)[0]

    def _of_numbers(self, numbers: list[IntArray]) -> tuple[PreparedLogs, list[str]]:
        events = self.events_ if self.events_ is not None else np.empty(0, dtype=np.int64)
        sessions = np.empty(len(numbers), dtype=object)
        unknown = 0
        for i, session in enumerate(numbers):
            places = np.minimum(np.searchsorted(events, session), len(events) - 1)
            known = events[places] == session
            unknown += int((~known).sum())
            sessions[i] = LogSession(np.where(known, places, -1).astype(np.int64))
        keys = [str(i) for i in range(1, len(numbers) + 1)]
        nowhere: IntArray = np.empty(0, dtype=np.int64)
        remarks = [f"{unknown:,} numbers were not known in training"] if unknown else []
        return PreparedLogs(sessions, keys, [nowhere] * len(keys), []), remarks


def _split_kinds(lines: Any) -> tuple[Iterable[Any], bool]:
    """Return the items of logs, and whether they are sessions of numbers."""
    if isinstance(lines, str) or not isinstance(lines, Iterable):
        raise InputError(
            f"Logs are a list of lines, or sessions of numbers; got a {type(lines).__name__}."
        )
    items = iter(lines)
    first = next(items, None)
    if first is None:
        raise InputError("There are no log lines: the files or the list are empty.")
    return chain([first], items), not isinstance(first, str) and not hasattr(first, "text")


def _as_lines(items: Iterable[Any]) -> Iterator[Line]:
    for number, item in enumerate(items, 1):
        if isinstance(item, str):
            yield _Text("", number, clean(str(item)))
        elif hasattr(item, "text"):
            yield item
        else:
            raise InputError(f"Logs are lines of text; item {number} is a {type(item).__name__}.")


def _as_numbers(items: Iterable[Any]) -> list[IntArray]:
    sessions = []
    for number, item in enumerate(items, 1):
        try:
            session = np.asarray(item)
        except ValueError:  # lists of different lengths in each other
            session = np.empty((0, 0))
        if session.ndim != 1 or session.dtype.kind not in "iu" or not session.size:
            raise InputError(
                f"A session is a sequence of whole numbers, at least one; number {number} "
                f"has the shape {session.shape} and the type {session.dtype}."
            )
        sessions.append(session.astype(np.int64))
    return sessions


def _single(
    records: list[LogRecord],
    messages: _Messages,
    ids: IntArray,
    parameters: list[tuple[str, ...]],
) -> Iterator[LogSession]:
    """Yield each record as a session; equal ones, and those but for parameters, share parts."""
    shared: dict[tuple[int, str, str], LogSession] = {}
    of_kind: dict[tuple[int, str, str, str], LogSession] = {}
    for which, record in zip(messages.which.tolist(), records, strict=True):
        level, component = record.level, record.component
        session = shared.get((which, level, component))
        if session is None:
            text = messages.masked[which][0]
            kind = (int(ids[which]), text, level, component)
            if kind not in of_kind:
                template = ids[which : which + 1].copy()
                of_kind[kind] = LogSession(template, (text,), (level,), (component,))
            parts = of_kind[kind]
            session = LogSession(
                parts.templates,
                parts.messages,
                parts.levels,
                parts.components,
                (parameters[which],),
            )
            shared[which, level, component] = session
        yield session


def _array(sessions: Iterable[LogSession]) -> SessionArray:
    items = list(sessions)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _origin(setting: object) -> str:
    return "found" if setting is None else "named"
