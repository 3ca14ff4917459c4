"""The tables of the store, the same on SQLite and on PostgreSQL.

Times are integers, microseconds since 1970 in UTC. Texts from outside, such as the name of an
entity, are stored as UTF-8 bytes, because PostgreSQL's text cannot hold every character.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from tocsin.errors import InputError
from tocsin.types import Alarm, Notification

REVISION = "0002"
"""The newest version in ``migrations/versions``."""

VERSION_TABLE = "tocsin_version"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Return a time as microseconds since 1970. Raises InputError when it has no time zone.

    >>> micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    if time.tzinfo is None:
        raise InputError(f"{time.isoformat()} has no time zone, which stored times need.")
    return (time - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """Return microseconds since 1970 as a time in UTC."""
    return _EPOCH + value * _MICROSECOND


class Moment(TypeDecorator[datetime]):
    """A time."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return what is stored."""
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return what was stored."""
        return None if value is None else moment(value)


class Exact(TypeDecorator[str]):
    """A text of any characters."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Return what is stored."""
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Return what was stored."""
        return None if value is None else bytes(value).decode("utf-8", "surrogatepass")


class Json(TypeDecorator[Any]):
    """JSON values, or a dataclass of them, with texts of any characters, as names of files are."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type[Any] | None = None) -> None:
        super().__init__()
        self.of = of
        self._decode: Callable[[str], Any] = msgspec.json.Decoder(of or Any).decode

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return what is stored. Raises InputError for what JSON cannot hold."""
        if value is None:
            return None
        try:
            try:
                return msgspec.json.encode(value, enc_hook=_plain, order="deterministic").decode()
            except UnicodeEncodeError:
                return json.dumps(msgspec.to_builtins(value, enc_hook=_plain), sort_keys=True)
        except TypeError as error:
            raise InputError(f"This cannot be stored as JSON: {error}.") from error

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Return what was stored."""
        if value is None:
            return None
        try:
            return self._decode(value)
        except msgspec.DecodeError:
            return msgspec.convert(json.loads(value), self.of or Any)


def _plain(value: Any) -> Any:
    """Return values of NumPy and times of pandas as JSON has them."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def _number() -> Column[int]:
    return Column(
        "number",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    )


metadata = MetaData()

batches = Table(
    "batches",
    metadata,
    _number(),
    Column("monitor", Text, nullable=False),
    Column("events", Integer, nullable=False),
    Column("anomalies", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("threshold", Float),
    Column("model", Text),
    Column("content", LargeBinary, nullable=False),
    Index("batches_by_number", "monitor", "number"),
    Index("batches_by_time", "monitor", "last"),
    sqlite_autoincrement=True,
)

event_ids = Table(
    "event_ids",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)

offsets = Table(
    "offsets",
    metadata,
    Column("monitor", Text, primary_key=True),
    Column("position", Json),
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", Text, primary_key=True),
    Column("monitor", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("opened", Moment, nullable=False),
    Column("content", Json(Alarm), nullable=False),
    Index("alarms_by_time", "opened"),
    Index("alarms_by_state", "state", "monitor", "opened"),
)

alarm_history = Table(
    "alarm_history",
    metadata,
    _number(),
    Column("alarm", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("before", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("who", Exact, nullable=False),
    Column("note", Exact, nullable=False),
    Index("alarm_history_by_alarm", "alarm", "number"),
    sqlite_autoincrement=True,
)

alarm_states = Table(
    "alarm_states",
    metadata,
    Column("monitor", Text, primary_key=True),
    Column("entity", Exact, primary_key=True),
    Column("state", Json, nullable=False),
)

silences = Table(
    "silences",
    metadata,
    Column("id", Text, primary_key=True),
    Column("match", Json, nullable=False),
    Column("starts", Moment, nullable=False),
    Column("ends", Moment, nullable=False),
    Column("who", Exact, nullable=False),
    Column("note", Exact, nullable=False),
    Index("silences_by_end", "ends"),
)

notices = Table(
    "notices",
    metadata,
    Column("key", Text, primary_key=True),
    Column("responder", Text, nullable=False),
    Column("group", Json, nullable=False),
    Column("kind", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("leased_until", Moment),
    Column("sent", Moment),
    Column("reason", Exact, nullable=False),
    Column("content", Json(Notification)),
    # One value per responder, group and kind while a notification may be joined, then none.
    Column("joinable", Text, unique=True),
    Index("notices_by_due", "responder", "status", "due"),
    Index("notices_by_sent", "responder", "sent"),
)

notice_alarms = Table(
    "notice_alarms",
    metadata,
    Column("key", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("alarm", Text, primary_key=True),
)

quarantine = Table(
    "quarantine",
    metadata,
    _number(),
    Column("monitor", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reason", Exact, nullable=False),
    Column("raw", Exact, nullable=False),
    Column("known", Json),
    Index("quarantine_by_monitor", "monitor", "number"),
    sqlite_autoincrement=True,
)

counters = Table(
    "counters",
    metadata,
    Column("monitor", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    _number(),
    Column("at", Moment, nullable=False),
    Column("who", Exact, nullable=False),
    Column("what", Exact, nullable=False),
    Column("detail", Json, nullable=False),
    sqlite_autoincrement=True,
)

claims = Table("claims", metadata, Column("key", Text, primary_key=True))
