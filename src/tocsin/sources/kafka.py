"""Records of Kafka topics, by a consumer group whose place is kept in the store."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tocsin.base.source import Source
from tocsin.errors import MissingExtra, ParameterError
from tocsin.settings.login import Login
from tocsin.settings.tls import Tls
from tocsin.sources._pauses import Pauses
from tocsin.sources._records import Fields, batch_of, lines_of, shown, times_of, with_value
from tocsin.types import Batch, Offset, Rejection

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

log = logging.getLogger(__name__)

_MOST = 1_000
_LOOK = 500  # ms
_PATIENCE = 5.0
_SILENCE = 10.0  # seconds after which the broker is asked whether it is there


class Kafka(Source, Login):
    """Records of ``topics``, each a JSON object or, with ``format: lines``, a line of a log.

    Several processes with one ``group`` and one store share the partitions. Reading continues from
    the offset in the store, else from the group's, else from ``start``; the group's offset is
    committed to the broker after each commit to the store, so that its lag can be watched. An
    event without an id is identified by topic, partition, offset and time; one without a time has
    that of its record. ``key_as`` is what a record's key becomes where its event does not say it:
    the ``entity``, or a column of another name; by default keys are not read. A record without a
    value (a tombstone) is not an event: it is counted, and quarantined with its key. Records that
    retention deleted before they were read are skipped. Records compressed by snappy, lz4 or zstd
    need the package cramjam.
    """

    servers: tuple[Annotated[str, Field(pattern=r"^.+:\d+$")], ...] = Field(min_length=1)
    topics: tuple[str, ...] = Field(min_length=1)
    group: str = Field(min_length=1)
    start: Literal["beginning", "end"] = "beginning"
    format: Literal["json", "lines"] = "json"
    key_as: str | None = Field(None, min_length=1)
    fields: Fields = Fields()
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    tls: Tls | None = None

    @model_validator(mode="after")
    def _names_entities(self) -> Self:
        if self.format == "lines" and self.key_as not in (None, "entity"):
            raise ValueError("a key of lines is their entity: write key_as: entity")
        return self

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.password is not None and self.tls is None and self.mechanism == "PLAIN":
            hosts = [server.rpartition(":")[0] for server in self.servers]
            self.refuse_clear_text(hosts, "add tls: {}, or take a SCRAM mechanism")
        return self

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield records; the offset is the next one of each partition that is held."""
        try:
            from aiokafka.errors import KafkaError, UnsupportedCodecError
        except ImportError as error:
            raise MissingExtra("aiokafka", extra="kafka") from error
        pauses, group = Pauses(log), _Group(self, offset)
        while True:
            try:
                await group.join()
                pauses.reset()
                while True:
                    batch = await group.more()
                    if batch is not None:
                        yield batch
            except UnsupportedCodecError as error:
                raise MissingExtra("cramjam", extra=None) from error
            except (KafkaError, OSError, TimeoutError) as error:
                await self._explain(error)
                await pauses.pause(self.describe(), error)
            finally:
                await group.leave()

    def describe(self) -> str:
        """Return the topics and the servers."""
        return f"{', '.join(self.topics)} of Kafka at {', '.join(self.servers)}"

    def connection(self) -> dict[str, Any]:
        """Return how to connect. Raises ParameterError for a secret or file that is missing."""
        sasl, tls = self.username is not None, self.tls is not None
        protocol = f"{'SASL_' if sasl else ''}{'SSL' if tls else 'PLAINTEXT'}"
        found: dict[str, Any] = {"security_protocol": protocol}
        if self.tls is not None:
            found["ssl_context"] = self.tls.context()
        if sasl:
            found["sasl_mechanism"] = self.mechanism
            found["sasl_plain_username"] = self.username
            found["sasl_plain_password"] = self.revealed_password() or ""
        return found

    async def _explain(self, error: Exception) -> None:
        """Raise ParameterError where no pause can mend an error.

        The client reports of each failed connection only that it failed, so one more is tried.
        """
        from aiokafka import errors
        from aiokafka.conn import create_conn

        if isinstance(error, errors.KafkaConnectionError):
            host, _, port = self.servers[0].rpartition(":")
            try:
                conn = await create_conn(host, int(port), **self.connection())
                conn.close()
            except (errors.KafkaError, OSError, TimeoutError) as found:
                error = found
        refused = (
            errors.AuthenticationFailedError,
            errors.AuthenticationMethodNotSupported,
            errors.SaslAuthenticationFailed,
            errors.UnsupportedSaslMechanismError,
            errors.TopicAuthorizationFailedError,
            errors.GroupAuthorizationFailedError,
            errors.InvalidTopicError,
            errors.InvalidGroupIdError,
        )
        if isinstance(error, refused):
            reason = str(error) or type(error).__name__
            raise ParameterError(f"{self.describe()} cannot be read: {reason}.") from error


class _Group:
    """A consumer's part in the group: what it holds, has read, and has yet to commit."""

    def __init__(self, settings: Kafka, offset: Offset) -> None:
        self._settings = settings
        self._next: dict[str, int] = dict(offset or {})
        self._first = True
        self._heard = time.monotonic()
        self._held: set[TopicPartition] = set()
        self._kept: dict[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer | None = None

    async def join(self) -> None:
        """Connect and join. Raises KafkaError when that fails."""
        from aiokafka import AIOKafkaConsumer
        from aiokafka.abc import ConsumerRebalanceListener
        from aiokafka.errors import AuthenticationFailedError

        group = self

        class Listener(ConsumerRebalanceListener):  # type: ignore[misc]
            async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
                await group.commit()
                group._held.clear()

            async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
                await group._take(assigned)

        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=list(self._settings.servers),
            group_id=self._settings.group,
            client_id="tocsin",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=_MOST,
            **self._settings.connection(),
        )
        self._consumer.subscribe(list(self._settings.topics), listener=Listener())
        try:
            await self._consumer.start()
        except (KeyError, ValueError) as error:  # how the client takes a refusal by SCRAM
            raise AuthenticationFailedError("the credentials are refused") from error

    async def more(self) -> Batch | None:
        """Commit what is stored, and return the next records, None if none come soon.

        Raises KafkaError for a broker that is gone.
        """
        assert self._consumer is not None  # noqa: S101 - ``join`` comes first
        await self.commit()
        found = await self._consumer.getmany(timeout_ms=_LOOK)
        records = [record for part in found.values() for record in part]
        if records or time.monotonic() - self._heard > _SILENCE:
            if not records:  # the client tries for ever to reach a broker that is gone
                await self._consumer.topics()
            self._heard = time.monotonic()
        return self._batch(records) if records else None

    async def commit(self) -> None:
        """Commit to the broker what is stored; the store knows it in any case."""
        from aiokafka.errors import KafkaError

        kept, self._kept = self._kept, {}
        kept = {part: place for part, place in kept.items() if part in self._held}
        if kept and self._consumer is not None:
            try:
                await asyncio.wait_for(self._consumer.commit(kept), _PATIENCE)
            except (KafkaError, TimeoutError) as error:
                log.debug(
                    "%s: the group's offset is not committed: %s", self._settings.topics, error
                )

    async def leave(self) -> None:
        """Commit what is stored, leave the group and disconnect, even from a lost broker."""
        consumer = self._consumer
        if consumer is not None:
            await self.commit()
            self._consumer = None
            # Awaited as a task of its own: its parts may be cancelled by itself, and this is not.
            stopping = asyncio.create_task(consumer.stop())
            await asyncio.wait([stopping], timeout=_PATIENCE)
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)

    async def _take(self, assigned: set[TopicPartition]) -> None:
        """Go to where each partition is read on."""
        assert self._consumer is not None  # noqa: S101 - it calls this
        for part in assigned:
            place = self._next.get(_key(part))
            if self._first and place is not None:
                self._consumer.seek(part, place)
                continue
            committed = await self._consumer.committed(part)
            if place is not None:  # another may have held it meanwhile
                self._consumer.seek(part, max(place, committed or 0))
            elif committed is None and self._first and self._settings.start == "end":
                await self._consumer.seek_to_end(part)
        self._held = set(assigned)
        self._first = False

    def _batch(self, records: Sequence[ConsumerRecord]) -> Batch:
        from aiokafka import TopicPartition

        place = {TopicPartition(r.topic, r.partition): r.offset + 1 for r in records}
        self._next.update((_key(part), next_) for part, next_ in place.items())
        return self._decoded(records, self._offset(), place)

    def _offset(self) -> Mapping[str, int]:
        # Of what another holds now, the group knows more.
        held = [_key(part) for part in self._held]
        return {key: self._next[key] for key in held if key in self._next}

    def _decoded(
        self, records: Sequence[ConsumerRecord], offset: Offset, place: dict[TopicPartition, int]
    ) -> Batch:
        async def acknowledge() -> None:
            for part, next_ in place.items():
                self._kept[part] = max(next_, self._kept.get(part, 0))

        batch = self._events([record for record in records if record.value is not None])
        tombstones = [_tombstone(record) for record in records if record.value is None]
        return replace(
            batch,
            offset=offset,
            rejected=(*batch.rejected, *tombstones),
            acknowledge=acknowledge,
        )

    def _events(self, records: Sequence[ConsumerRecord]) -> Batch:
        times = times_of([record.timestamp for record in records])
        ids = [f"{r.topic}-{r.partition}-{r.offset}-{r.timestamp}" for r in records]
        settings = self._settings
        is_entity = settings.key_as in ("entity", settings.fields.entity)
        keys = None if settings.key_as is None else [_text(record.key) for record in records]
        if settings.format == "lines":
            entities = None if keys is None else [key or "" for key in keys]
            raw = [record.value for record in records]
            return lines_of(raw, settings.fields.largest, times=times, ids=ids, entities=entities)
        return batch_of(
            [with_value(record.value) for record in records],
            settings.fields,
            times=times,
            ids=ids,
            entities=keys if is_entity else None,
            known={settings.key_as: keys} if settings.key_as and keys and not is_entity else None,
            origins=[f"offset {r.offset} of {r.topic}/{r.partition}" for r in records],
        )


def _tombstone(record: ConsumerRecord) -> Rejection:
    where = f"offset {record.offset} of {record.topic}/{record.partition}"
    reason = f"it has no value (a tombstone), and is no event; from {where}"
    return Rejection("empty", reason, _text(record.key) or "")


def _text(key: bytes | None) -> str | None:
    return None if key is None else shown(key)


def _key(part: TopicPartition) -> str:
    return f"{part.topic}/{part.partition}"
