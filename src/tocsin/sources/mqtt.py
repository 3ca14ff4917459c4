"""Messages of MQTT topics, in a session that the broker keeps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from tocsin.base.source import Source
from tocsin.errors import MissingExtra, ParameterError
from tocsin.settings import Duration
from tocsin.settings.login import Login
from tocsin.settings.tls import Tls
from tocsin.sources._pauses import Pauses
from tocsin.sources._records import Fields, batch_of, with_value
from tocsin.types import Batch, Offset, Rejection

if TYPE_CHECKING:
    from aiomqtt import Client, Message

log = logging.getLogger(__name__)

_MOST = 1_000
_WAITING = 20_000
_PATIENCE = 2.0
_REFUSED = {132, 133, 134, 135, 138, 140}  # protocol, client, password, rights, ban, method


class Mqtt(Source, Login):
    """Messages of ``topics``, wildcards allowed, from an MQTT 5 broker at ``host`` and ``port``.

    The broker keeps the session of ``client_id``, which no other client may have, for
    ``session_expiry``, with messages of QoS 1 and 2 that come meanwhile, as far as its own limits
    go (Mosquitto: max_queued_messages, 1,000). Each is acknowledged once it is kept, so none is
    lost in a crash, but those on the way at a crash or a lost connection come again: where twice
    matters, an event holds an ``id``. The broker has only so many on the way at once (Mosquitto:
    max_inflight_messages, 20), which bounds the rate. Messages of QoS 0 that come while this is
    away, or faster than they are kept, are lost.

    An event is a JSON object, or a bare number, its ``value``; its time, if it names none, is
    that of arrival. ``topic_as`` is what a message's topic becomes where its event does not say it:
    the entity, or a column of another name. A retained message counts once.
    """

    host: str
    port: int = Field(1883, ge=1, le=65_535)
    topics: tuple[str, ...] = Field(min_length=1)
    client_id: str = Field(min_length=1)
    session_expiry: Duration = Field(7 * 86_400.0, le=4_294_967_295)
    topic_as: str = Field("entity", min_length=1)
    fields: Fields = Fields()
    tls: Tls | None = None

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.password is not None and self.tls is None:
            self.refuse_clear_text([self.host], "add tls: {}, and its port")
        return self

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield messages; the broker keeps the position, so there is no offset."""
        try:
            from aiomqtt import MqttError
        except ImportError as error:
            raise MissingExtra("aiomqtt", extra="mqtt") from error
        pauses = Pauses(log)
        while True:
            session = _Session(self)
            try:
                async with session.client:
                    try:
                        await session.subscribe()
                        pauses.reset()
                        while True:
                            yield await session.more()
                    finally:
                        await session.drain()
            except MqttError as error:
                self._explain(error)
                await pauses.pause(self.describe(), error)

    def describe(self) -> str:
        """Return the topics and the broker."""
        return f"{', '.join(self.topics)} of MQTT at {self.host}:{self.port}"

    def client(self, inbox: type[asyncio.Queue[Message]]) -> Client:
        """Return a client. Raises ParameterError for a secret or file that is missing."""
        from aiomqtt import Client, ProtocolVersion
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = int(self.session_expiry)
        properties.ReceiveMaximum = _MOST
        client = Client(
            self.host,
            self.port,
            identifier=self.client_id,
            protocol=ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            queue_type=inbox,
            username=self.username,
            password=self.revealed_password(),
            tls_context=self.tls.context() if self.tls else None,
            logger=log.getChild("client"),
        )
        # aiomqtt has no name for this; without it messages are acknowledged as they come.
        client._client.manual_ack_set(True)
        return client

    def _explain(self, error: Exception) -> None:
        """Raise ParameterError where no pause can mend an error."""
        code = getattr(error, "rc", None)
        if getattr(code, "value", code) in _REFUSED:
            raise ParameterError(f"{self.describe()} cannot be read: {error}.") from error


class _Session:
    """One connection: what it received, and what is not acknowledged yet."""

    def __init__(self, settings: Mqtt) -> None:
        self._settings = settings
        self._dropped = dropped = [0]
        self._unkept = 0

        class Inbox(asyncio.Queue["Message"]):
            """Bounded: the broker holds back messages of QoS 1, but not those of QoS 0."""

            def put_nowait(self, item: Message) -> None:
                if item.qos or self.qsize() < _WAITING:
                    super().put_nowait(item)
                else:
                    dropped[0] += 1

        self.client = settings.client(Inbox)

    async def subscribe(self) -> None:
        """Subscribe to all topics. Raises ParameterError where the broker refuses one."""
        from paho.mqtt.subscribeoptions import SubscribeOptions

        once = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        for topic in self._settings.topics:
            try:
                options = SubscribeOptions(qos=1, retainHandling=once)
                (code,) = await self.client.subscribe(topic, options=options)
            except ValueError as error:
                raise ParameterError(f'"{topic}" is not an MQTT topic: {error}.') from error
            if (code if isinstance(code, int) else code.value) >= 128:
                raise ParameterError(f'{self._settings.describe()}: "{topic}" is refused: {code}.')

    async def more(self) -> Batch:
        """Return the messages that are there, at least one."""
        messages = [await anext(self.client.messages)]
        while len(self.client.messages) and len(messages) < _MOST:
            messages.append(await anext(self.client.messages))
        return self._batch(messages)

    async def drain(self) -> None:
        """Wait a little for events on their way into the store, so that they do not come again."""
        from aiomqtt import MqttError

        with suppress(TimeoutError, MqttError):
            async with asyncio.timeout(_PATIENCE):
                while self._unkept:
                    await asyncio.sleep(0.02)
                # The broker answers this once it has read all acknowledgements before it.
                await self.subscribe()

    def _batch(self, messages: Sequence[Message]) -> Batch:
        self._unkept += 1

        async def acknowledge() -> None:
            self._unkept -= 1
            for message in messages:
                self.client._client.ack(message.mid, message.qos)

        settings = self._settings
        topics = [str(message.topic) for message in messages]
        is_entity = settings.topic_as in ("entity", settings.fields.entity)
        batch = batch_of(
            [_raw(message.payload) for message in messages],
            settings.fields,
            entities=topics if is_entity else None,
            known=None if is_entity else {settings.topic_as: topics},
            origins=[f"the topic {topic}" for topic in topics],
            acknowledge=acknowledge,
        )
        if not self._dropped[0]:
            return batch
        reason = f"{self._dropped[0]:,} messages of QoS 0 came faster than they were kept"
        self._dropped[0] = 0
        return replace(batch, rejected=(*batch.rejected, Rejection("dropped", reason, "")))


def _raw(payload: Any) -> bytes:
    """Return a payload as the JSON of an event."""
    return with_value(payload if isinstance(payload, bytes) else bytes(payload or b""))
