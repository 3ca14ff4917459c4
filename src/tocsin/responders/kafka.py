"""Alarms published to a Kafka topic."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tocsin.base.responder import Responder
from tocsin.errors import MissingExtra, TocsinError
from tocsin.responders._sending import payload, revealed, trouble, unresolved
from tocsin.settings.login import CompleteLogin
from tocsin.settings.tls import Tls
from tocsin.types import Delivery, Notification


class Kafka(Responder, CompleteLogin):
    """Publishes each alarm of a notification to ``topic``, acknowledged by all replicas.

    A record's key is the alarm's fingerprint, so that the records of one entity keep their order;
    its value is what the webhook posts for that one alarm, at most ``largest`` bytes; its header
    ``tocsin-key`` is the notification's key, the same if it comes twice. Needs
    ``pip install "tocsin[kafka]"``.
    """

    servers: tuple[Annotated[str, Field(pattern=r"^.+:\d{1,5}$")], ...] = Field(min_length=1)
    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    tls: Tls | None = None
    largest: int = Field(256_000, ge=16_384, le=1_000_000)

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.password is not None and self.tls is None and self.mechanism == "PLAIN":
            hosts = [server.rpartition(":")[0] for server in self.servers]
            self.refuse_clear_text(hosts, "add tls: {}, or take a SCRAM mechanism")
        return self

    def respond(self, notification: Notification) -> Delivery:
        """Publish the alarms."""
        records = [
            (alarm.fingerprint, payload(replace(notification, alarms=(alarm,)), self.largest))
            for alarm in notification.alarms
        ]
        try:
            return asyncio.run(self._published(notification.key, records))
        except TocsinError as error:
            return Delivery("retry", str(error))

    def check(self) -> str | None:
        """Return what is wrong with the package, the password, the certificates or the hosts."""
        try:
            _package()
            self._connection()
        except TocsinError as error:
            return str(error)
        places = [server.rpartition(":") for server in self.servers]
        found = [unresolved(host, int(port)) for host, _, port in places]
        return found[0] if all(found) else None

    def _connection(self) -> dict[str, Any]:
        sasl = self.password is not None
        found: dict[str, Any] = {
            "security_protocol": f"{'SASL_' if sasl else ''}{'SSL' if self.tls else 'PLAINTEXT'}",
            "ssl_context": self.tls.context() if self.tls else None,
        }
        if self.password is not None:
            found |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": revealed(self.password),
            }
        return found

    async def _published(self, key: str, records: list[tuple[str, bytes]]) -> Delivery:
        aiokafka = _package()
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=list(self.servers),
            acks="all",
            request_timeout_ms=max(1, int(self.timeout * 1_000)),
            **self._connection(),
        )
        headers = [("tocsin-key", key.encode())]
        try:
            async with asyncio.timeout(self.timeout):
                await producer.start()
                sent = [
                    await producer.send(self.topic, value, key=about.encode(), headers=headers)
                    for about, value in records
                ]
                await asyncio.gather(*sent)
        except (aiokafka.errors.KafkaError, OSError) as error:
            lasting = isinstance(error, aiokafka.errors.BrokerResponseError) and not error.retriable
            reason = f"{', '.join(self.servers)}: {trouble(error)}"
            return Delivery("rejected" if lasting else "retry", reason)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await producer.stop()
        return Delivery("delivered")


def _package() -> Any:
    try:
        import aiokafka
        import aiokafka.errors
    except ImportError as error:
        raise MissingExtra("aiokafka", extra="kafka") from error
    return aiokafka
