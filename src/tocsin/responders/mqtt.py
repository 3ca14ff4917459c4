"""Notifications published to an MQTT broker."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from tocsin.errors import MissingExtra, ParameterError
from tocsin.responders._sending import (
    Sender,
    revealed,
    trouble,
    unresolved,
    unrevealed,
)
from tocsin.settings.login import Login
from tocsin.settings.tls import Tls
from tocsin.types import Delivery, DeliveryStatus


def _topic(value: str) -> str:
    if not value.isprintable() or not 0 < len(value.encode()) < 65_536 or {*"+#"} & {*value}:
        raise ValueError(f"a topic to publish to must not hold + or #; got {value!r}")
    return value


class Mqtt(Sender, Login):
    """Publishes each notification to ``topic`` as JSON, as the webhook posts it, with QoS 1.

    With ``tls`` the connection is encrypted. Needs ``pip install "tocsin[mqtt]"``.
    """

    acts: ClassVar[bool] = True

    host: str = "localhost"
    port: int | None = Field(None, ge=1, le=65_535)
    topic: Annotated[str, AfterValidator(_topic)]
    tls: Tls | None = None

    @model_validator(mode="after")
    def _login(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        if self.password is not None and self.tls is None:
            self.refuse_clear_text([self.host], "add tls: {}")
        return self

    def send(self, body: bytes, key: str) -> Delivery:
        """Publish JSON; ``key`` is in it."""
        password = None if self.password is None else revealed(self.password)
        return asyncio.run(self._published(body, password))

    def check(self) -> str | None:
        """Return what is wrong with the package, the password, the certificates or the host."""
        try:
            _package()
            if self.tls is not None:
                self.tls.context()
        except (MissingExtra, ParameterError) as error:
            return str(error)
        return unrevealed(self.password) or unresolved(self.host, self._port)

    @property
    def _port(self) -> int:
        return self.port or (1883 if self.tls is None else 8883)

    async def _published(self, body: bytes, password: str | None) -> Delivery:
        aiomqtt = _package()
        client = aiomqtt.Client(
            self.host,
            self._port,
            username=self.username,
            password=password,
            tls_context=None if self.tls is None else self.tls.context(),
            timeout=self.timeout,
        )
        so_far: DeliveryStatus = "retry"
        place = f"{self.host}:{self._port}"
        try:
            async with asyncio.timeout(self.timeout), client:
                so_far = "unknown"
                await client.publish(self.topic, body, qos=1)
                so_far = "delivered"
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            if so_far != "delivered":
                return Delivery(so_far, f"{place}: {trouble(error)}")
        return Delivery("delivered")


def _package() -> Any:
    try:
        import aiomqtt
    except ImportError as error:
        raise MissingExtra("aiomqtt", extra="mqtt") from error
    return aiomqtt
