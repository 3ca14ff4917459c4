"""MQTT and Kafka, to real brokers that are killed and come back."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from support.notifications import alarm, hostile, notification
from support.servers import Server, free_port, mosquitto, tansu
from tocsin.responders.kafka import Kafka
from tocsin.responders.mqtt import Mqtt


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    with mosquitto(tmp_path) as running:
        yield running


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Server]:
    with tansu(tmp_path) as running:
        yield running


def mqtt(port: int, **settings: Any) -> Mqtt:
    given = {"host": "127.0.0.1", "port": port, "topic": "alarms/pumps", "timeout": 3}
    return Mqtt.model_validate({**given, **settings})


async def subscriber(port: int, ready: asyncio.Event, count: int) -> list[Any]:
    import aiomqtt

    found = []
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("alarms/#", qos=1)
        ready.set()
        async for message in client.messages:
            found.append(message)
            if len(found) == count:
                break
    return found


def test_a_notice_is_published_by_mqtt(broker: Server) -> None:
    async def exchange() -> list[Any]:
        ready = asyncio.Event()
        reading = asyncio.create_task(subscriber(broker.port, ready, 2))
        await ready.wait()
        responder = mqtt(broker.port)
        for told in (notification(), hostile()):
            delivery = await asyncio.to_thread(responder.respond, told)
            assert delivery.status == "delivered", delivery
        return await asyncio.wait_for(reading, 5)

    assert mqtt(broker.port).check() is None
    first, second = asyncio.run(exchange())
    assert (str(first.topic), first.qos) == ("alarms/pumps", 1)
    assert json.loads(first.payload)["key"] == "k-1"
    assert len(second.payload) <= 256_000


def test_mqtt_waits_for_a_broker_that_was_killed(broker: Server) -> None:
    broker.kill()
    away = mqtt(broker.port).send(b"{}", "k")
    assert (away.status, "refused" in away.reason) == ("retry", True), away
    broker.start()
    assert mqtt(broker.port).respond(notification()).status == "delivered"


def test_mqtt_login_is_checked_and_kept_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER", "hush")
    with mosquitto(tmp_path, config="allow_anonymous false") as guarded:
        responder = mqtt(guarded.port, username="me", password={"env": "BROKER"})
        delivery = responder.respond(notification())
        assert delivery.status == "retry"
        assert "hush" not in delivery.reason + repr(responder)
        assert "uthori" in delivery.reason or "password" in delivery.reason


@pytest.mark.parametrize("greeting", [b"", b"\x20\x02\x00\x00"])
def test_a_silent_mqtt_broker_takes_no_longer_than_the_timeout(greeting: bytes) -> None:
    """Silent at once, or after it accepted the connection: then nobody knows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve() -> None:
            connection, _ = listener.accept()
            held.append(connection)
            connection.recv(1_000)
            connection.sendall(greeting)

        threading.Thread(target=serve, daemon=True).start()
        started = time.monotonic()
        delivery = mqtt(listener.getsockname()[1], timeout=0.6).send(b"{}", "k")
        assert delivery.status == ("unknown" if greeting else "retry")
        assert time.monotonic() - started < 2.5
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    "settings", [{"topic": "a/#"}, {"topic": "+"}, {"topic": ""}, {"topic": "a\0"}, {"port": 0},
                 {"password": {"env": "X"}}]
)  # fmt: skip
def test_mqtt_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        mqtt(**{"port": 1, **settings})


def to_kafka(port: int, **settings: Any) -> Kafka:
    given = {"servers": [f"127.0.0.1:{port}"], "topic": "alarms", "timeout": 5}
    return Kafka.model_validate({**given, **settings})


async def records(server: Server, count: int) -> list[Any]:
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(
        "alarms", bootstrap_servers=server.address, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        return [await asyncio.wait_for(consumer.getone(), 8) for _ in range(count)]
    finally:
        await consumer.stop()


def test_each_alarm_is_a_record_of_kafka(kafka: Server) -> None:
    responder = to_kafka(kafka.port)
    assert responder.check() is None
    sent = responder.respond(notification(alarm("a1"), alarm("a2")))
    assert sent.status == "delivered", sent
    assert responder.respond(hostile()).status == "delivered"
    found = asyncio.run(records(kafka, 3))
    assert sorted(each.key for each in found) == [b"f-a1", b"f-a1", b"f-a2"]
    assert len({each.partition for each in found if each.key == b"f-a1"}) == 1
    assert {each.headers for each in found} == {(("tocsin-key", b"k-1"),)}
    for each in found:
        body = json.loads(each.value)
        assert [f"f-{alarm['id']}".encode() for alarm in body["alarms"]] == [each.key]


def test_kafka_waits_for_a_broker_that_was_killed(kafka: Server) -> None:
    kafka.kill()
    started = time.monotonic()
    away = to_kafka(kafka.port).respond(notification())
    assert (away.status, f"127.0.0.1:{kafka.port}" in away.reason) == ("retry", True), away
    assert time.monotonic() - started < 6
    kafka.start()
    assert to_kafka(kafka.port).respond(notification()).status == "delivered"


def test_a_silent_kafka_broker_takes_no_longer_than_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        delivery = to_kafka(silent.getsockname()[1], timeout=0.5).respond(notification())
        assert delivery.status == "retry"
        assert time.monotonic() - started < 3


def test_kafka_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    responder = to_kafka(free_port(), username="me", password={"env": "NOT_SET"})
    assert "NOT_SET" in str(responder.check())
    assert responder.respond(notification()).status == "retry"
    for settings in ({"topic": "a b"}, {"servers": ["here"]}, {"username": "me"}):
        with pytest.raises(ValidationError):
            to_kafka(1, **settings)
