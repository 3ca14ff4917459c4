"""Entries of Redis streams, by a consumer group."""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, model_validator

from tocsin.base.source import Source
from tocsin.errors import InputError, MissingExtra, ParameterError
from tocsin.settings import Duration
from tocsin.settings.login import Login
from tocsin.settings.tls import Tls
from tocsin.settings.urls import PlainUrl
from tocsin.sources._pauses import Pauses
from tocsin.sources._records import Fields, batch_of, lines_of, shown, times_of
from tocsin.types import Batch, Offset, Rejection

if TYPE_CHECKING:
    import redis.asyncio

log = logging.getLogger(__name__)

_MOST = 1_000
_LOOK = 500  # ms
_PATIENCE = 10.0

_Entry = tuple[str, str, dict[bytes, bytes]]


class Redis(Source, Login):
    """Entries of ``streams`` at a ``url`` such as redis://host:6379/0, or rediss:// for TLS.

    Several consumers of one ``group`` share the entries; each needs a name of its own, by default
    the machine's. An entry is acknowledged once it is stored; entries that a lost consumer left
    are taken over ``claim_after`` this time. An event is the entry's own fields, numbers as such,
    or what its ``field`` holds: a JSON object, or with ``format: lines`` a line of a log. An event
    without an id is identified by stream and entry; one without a time has that of its entry. A
    new group starts at the offset in the store, else at ``start``; a stream that was made anew with
    lower ids is read from its beginning.
    """

    url: PlainUrl = Field("redis://127.0.0.1:6379/0", pattern=r"^rediss?://")
    streams: tuple[str, ...] = Field(min_length=1)
    group: str = Field(min_length=1)
    consumer: str | None = None
    start: Literal["beginning", "end"] = "beginning"
    field: str | None = None
    format: Literal["json", "lines"] = "json"
    fields: Fields = Fields()
    claim_after: Duration = Field(60.0, ge=0.1)
    tls: Tls | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.format == "lines" and self.field is None:
            raise ValueError("format: lines needs the field that holds the line")
        if self.tls is not None and not self.url.startswith("rediss:"):
            raise ValueError("tls needs a url that begins with rediss://")
        if self.password is not None and not self.url.startswith("rediss:"):
            host = urlsplit(self.url).hostname or ""
            self.refuse_clear_text([host], "write a url that begins with rediss://")
        return self

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield entries; the offset is the last one of each stream."""
        try:
            from redis.exceptions import RedisError
        except ImportError as error:
            raise MissingExtra("redis", extra="redis") from error
        pauses, reader = Pauses(log), _Reader(self, offset)
        while True:
            try:
                await reader.open()
                pauses.reset()
                while True:
                    batch = await reader.more()
                    if batch is not None:
                        yield batch
            except (RedisError, OSError) as error:
                self._explain(error)
                await pauses.pause(self.describe(), error)
            finally:
                await reader.close()

    def describe(self) -> str:
        """Return the streams and the server."""
        parts = urlsplit(self.url)
        return f"{', '.join(self.streams)} of Redis at {parts.hostname}:{parts.port or 6379}"

    def client(self) -> redis.asyncio.Redis:
        """Return a client. Raises ParameterError for a secret that is missing."""
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        more: dict[str, Any] = {}
        if self.url.startswith("rediss:"):
            # Not all versions of redis look at the name in the certificate by themselves.
            more = {"ssl_check_hostname": True, "ssl_cert_reqs": "required"}
        if self.tls is not None:
            self.tls.context()  # raises for a file that cannot be used
            found = {
                "ssl_ca_certs": self.tls.ca,
                "ssl_certfile": self.tls.certificate,
                "ssl_keyfile": self.tls.key,
            }
            more |= {name: str(path) for name, path in found.items() if path is not None}
        return Redis.from_url(
            self.url,
            username=self.username,
            password=self.revealed_password(),
            protocol=2,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
            client_name="tocsin",
            **more,
        )

    def _explain(self, error: Exception) -> None:
        """Raise an error of Tocsin where no pause can mend this one."""
        from redis import exceptions

        refused = (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
            exceptions.NoPermissionError,
            exceptions.AuthenticationWrongNumberOfArgsError,
        )
        if isinstance(error, refused):
            raise ParameterError(f"{self.describe()} cannot be read: {error}.") from error
        passing = ("NOGROUP", "UNBLOCKED", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "MISCONF")
        if isinstance(error, exceptions.ResponseError) and not (
            isinstance(error, exceptions.ReadOnlyError | exceptions.OutOfMemoryError)
            or str(error).startswith(passing)
        ):
            raise InputError(f"{self.describe()} cannot be read: {error}.") from error


class _Reader:
    """A consumer: what it has read, and what it has yet to acknowledge."""

    def __init__(self, settings: Redis, offset: Offset) -> None:
        self._settings = settings
        self._last: dict[str, str] = dict(offset or {})
        self._name = settings.consumer or platform.node() or "tocsin"
        self._left: dict[str, str] = {}
        self._kept: dict[str, list[str]] = {}
        self._claimed = 0.0
        self._client: redis.asyncio.Redis | None = None

    async def open(self) -> None:
        """Connect, and make the groups that are not there."""
        from redis.exceptions import ResponseError

        self._client = client = self._settings.client()
        first = "0" if self._settings.start == "beginning" else "$"
        for stream in self._settings.streams:
            place = await self._place(client, stream) or first
            try:
                await client.xgroup_create(stream, self._settings.group, place, mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        # What it was given before, and may never have seen.
        self._left = dict.fromkeys(self._settings.streams, "0")

    async def _place(self, client: redis.asyncio.Redis, stream: str) -> str | None:
        """Return where reading stopped, the beginning of a stream that was made anew since."""
        from redis.exceptions import ResponseError

        place = self._last.get(stream)
        if place is None:
            return None
        try:
            newest = (await client.xinfo_stream(stream))["last-generated-id"].decode()
        except ResponseError:
            newest = "0-0"  # there is no such stream
        if _order(newest) < _order(place):
            log.warning("%s begins anew, below %s; reading it from its beginning", stream, place)
            self._last[stream] = place = "0"
        return place

    async def more(self) -> Batch | None:
        """Acknowledge what is stored, and return the next entries, None if none come soon."""
        await self._tell()
        if self._left:
            return self._batch(await self._leftover())
        if time.monotonic() - self._claimed > self._settings.claim_after / 2:
            abandoned = await self._abandoned()
            if len(abandoned) < _MOST:
                self._claimed = time.monotonic()
            return self._batch(abandoned)
        entries = await self._read(dict.fromkeys(self._settings.streams, ">"), block=_LOOK)
        self._last.update((stream, id_) for stream, id_, _ in entries)
        return self._batch(entries)

    async def close(self) -> None:
        """Acknowledge what is stored, and disconnect, even from a lost server."""
        from redis.exceptions import RedisError

        if self._client is not None:
            with suppress(RedisError, OSError, TimeoutError):
                await asyncio.wait_for(self._tell(), _PATIENCE)
            with suppress(RedisError, OSError):
                await self._client.aclose()
            self._client = None

    async def _tell(self) -> None:
        assert self._client is not None  # noqa: S101 - ``open`` comes first
        # What is not acknowledged stays pending: it comes again, and is recognised then.
        kept, self._kept = self._kept, {}
        for stream, ids in kept.items():
            await self._client.xack(stream, self._settings.group, *ids)

    async def _leftover(self) -> list[_Entry]:
        entries = await self._read(self._left)
        self._left = {stream: id_ for stream, id_, _ in entries}
        return entries

    async def _abandoned(self) -> list[_Entry]:
        assert self._client is not None  # noqa: S101 - ``open`` comes first
        idle = int(self._settings.claim_after * 1e3)
        found: list[_Entry] = []
        for stream in self._settings.streams:
            answer = await self._client.xautoclaim(
                stream, self._settings.group, self._name, idle, count=_MOST
            )
            found += [(stream, id_.decode(), fields or {}) for id_, fields in answer[1] if id_]
        return found

    async def _read(self, places: dict[Any, Any], block: int | None = None) -> list[_Entry]:
        assert self._client is not None  # noqa: S101 - ``open`` comes first
        answer: Any = await self._client.xreadgroup(
            self._settings.group, self._name, places, count=_MOST, block=block
        )
        return [
            (stream.decode(), id_.decode(), fields or {})
            for stream, entries in answer or ()
            for id_, fields in entries
        ]

    def _batch(self, entries: list[_Entry]) -> Batch | None:
        if not entries:
            return None

        async def acknowledge() -> None:
            for stream, id_, _ in entries:
                self._kept.setdefault(stream, []).append(id_)

        # Redis keeps no content of an entry that was trimmed while it was pending.
        there = [entry for entry in entries if entry[2]]
        trimmed = [
            Rejection("dropped", "it was trimmed from the stream before it was read", f"{s} {id_}")
            for s, id_, fields in entries
            if not fields
        ]
        there, without = self._with_field(there)
        millis = [int(id_.partition("-")[0]) for _, id_, _ in there]
        times = times_of(millis)
        ids = [f"{stream} {id_}" for stream, id_, _ in there]
        raw = [self._raw(fields) for _, _, fields in there]
        origins = [f"entry {id_} of {stream}" for stream, id_, _ in there]
        settings, offset = self._settings, dict(self._last) or None
        if settings.format == "lines":
            batch = lines_of(raw, settings.fields.largest, times=times, ids=ids, offset=offset)
        else:
            batch = batch_of(
                raw, settings.fields, times=times, ids=ids, origins=origins, offset=offset
            )
        return replace(
            batch, rejected=(*trimmed, *without, *batch.rejected), acknowledge=acknowledge
        )

    def _with_field(self, entries: list[_Entry]) -> tuple[list[_Entry], list[Rejection]]:
        """Return the entries that have the field asked for, and why the others are no events."""
        field = self._settings.field
        if field is None:
            return entries, []
        without = [
            Rejection(
                "empty",
                f'it has no field "{field}", only {", ".join(map(_text, fields))}; '
                f"from entry {id_} of {stream}",
                shown(msgspec.json.encode({_text(n): _text(v) for n, v in fields.items()})),
            )
            for stream, id_, fields in entries
            if field.encode() not in fields
        ]
        return [entry for entry in entries if field.encode() in entry[2]], without

    def _raw(self, fields: Mapping[bytes, bytes]) -> bytes:
        """Return the event of an entry as JSON, or as a line."""
        if self._settings.field is not None:
            return fields[self._settings.field.encode()]
        return msgspec.json.encode({_text(name): _value(v) for name, v in fields.items()})


def _order(id_: str) -> tuple[int, int]:
    """Return the id of an entry as numbers, by which entries are ordered."""
    millis, _, number = id_.partition("-")
    return int(millis), int(number or 0)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def _value(raw: bytes) -> Any:
    """Return a number for a text that is written like one, else the text."""
    if len(raw) < 64:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            number = msgspec.json.decode(raw)
            if isinstance(number, int | float) and not isinstance(number, bool):
                return number
    return _text(raw)
