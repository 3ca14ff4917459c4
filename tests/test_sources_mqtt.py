"""MQTT against a real broker: sessions, acknowledgement, crashes on both sides, bad messages."""

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.collecting import Monitored, collect, read, rows
from support.servers import HOST, Server, mosquitto, program
from tocsin.errors import ParameterError
from tocsin.sources.mqtt import Mqtt
from tocsin.types import Batch

aiomqtt = pytest.importorskip("aiomqtt")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with mosquitto(tmp_path_factory.mktemp("mqtt")) as server:
        yield server


def source(server: Server, topic: str, **settings: Any) -> Mqtt:
    given = {"topics": (topic,), "client_id": topic.split("/", maxsplit=1)[0], **settings}
    return Mqtt(host=HOST, port=server.port, **given)


async def publish(
    server: Server, topic: str, payloads: Sequence[bytes], *, qos: int = 1, retain: bool = False
) -> None:
    async with aiomqtt.Client(HOST, server.port) as client:
        for payload in payloads:
            await client.publish(topic, payload, qos=qos, retain=retain)


def send(server: Server, topic: str, payloads: Sequence[bytes], **options: Any) -> None:
    asyncio.run(publish(server, topic, payloads, **options))


def subscribe(server: Server, topic: str, **settings: Any) -> None:
    """Let the broker keep a session from now on."""
    send(server, topic, [b"0"], retain=True)  # comes at once, and tells that it is subscribed
    read(source(server, topic, **settings), 1)


def some(which: range) -> list[bytes]:
    return [b'{"n": %d}' % n for n in which]


def numbers(batches: list[Batch]) -> list[int]:
    return [int(row["n"]) for row in rows(batches)]


def test_what_came_while_away_is_read(broker: Server) -> None:
    subscribe(broker, "away")
    send(broker, "away", some(range(300)))
    assert numbers(read(source(broker, "away"), 300)) == list(range(300))


def test_what_is_not_acknowledged_comes_again(broker: Server) -> None:
    subscribe(broker, "again")
    send(broker, "again", some(range(10)))
    lost = read(source(broker, "again"), 10, acknowledge=False)
    assert numbers(read(source(broker, "again"), 10)) == numbers(lost) == list(range(10))
    send(broker, "again", some(range(10, 11)))
    assert numbers(read(source(broker, "again"), 1)) == [10]


def test_what_is_kept_while_it_stops_does_not_come_again(broker: Server) -> None:
    subscribe(broker, "stop")
    send(broker, "stop", some(range(10)))

    async def work() -> None:
        reading: Any = source(broker, "stop").read(None)
        batches = [await anext(reading)]
        while sum(map(len, batches)) < 10:
            batches.append(await anext(reading))
        stopping = asyncio.create_task(reading.aclose())
        await asyncio.sleep(0.2)
        for batch in batches:
            assert batch.acknowledge is not None
            await batch.acknowledge()
        await stopping

    asyncio.run(asyncio.wait_for(work(), 20))
    send(broker, "stop", some(range(10, 11)))
    assert numbers(read(source(broker, "stop"), 1)) == [10]


def test_numbers_objects_and_what_is_refused(broker: Server) -> None:
    listening = source(broker, "mixed/#")
    send(broker, "mixed/start", [b"1"], retain=True)
    (first,) = read(listening, 1)
    assert first.entities == ("mixed/start",)
    assert rows([first]) == [{"value": 1}]
    bad = [b"", b"{", b"\xff", b"[1]", b"true", b"nan", b"{}" + b" " * 300_000]
    for payload in bad:
        send(broker, "mixed/a", [payload])
    send(broker, "mixed/b/c", [b"21.5", b'{"value": 2, "entity": "pump", "time": 0, "id": 7}'])
    batches = read(listening, len(bad) + 2)
    kinds = [rejection.kind for batch in batches for rejection in batch.rejected]
    assert [row["value"] for row in rows(batches)] == [21.5, 2]
    assert [e for batch in batches for e in batch.entities or ()] == ["mixed/b/c", "pump"]
    assert sorted(kinds) == ["empty"] + ["malformed"] * 5 + ["oversized"]
    reasons = [rejection.reason for batch in batches for rejection in batch.rejected]
    assert all(reason.endswith("; from the topic mixed/a") for reason in reasons)


def test_senml_is_refused_in_words_and_the_stream_goes_on(broker: Server) -> None:
    subscribe(broker, "senml")
    pack = (
        b'[{"bn": "urn:dev:ow:10e2:", "n": "temp", "u": "Cel", "v": 23.1}, {"n": "hum", "v": 67}]'
    )
    send(broker, "senml", [pack, b'\xef\xbb\xbf{"n": 1}'])
    batches = read(source(broker, "senml"), 2)
    (refused,) = [rejection for batch in batches for rejection in batch.rejected]
    assert "a list of 2 SenML records, of which each is to be sent by itself" in refused.reason
    assert refused.raw == pack.decode()
    assert refused.known == {"entity": "senml"}
    assert numbers(batches) == [1]


def test_the_topic_may_be_a_column(broker: Server) -> None:
    """``topic_as: topic``: models tell temperatures from pressures."""
    listening = source(broker, "hall/#", topic_as="topic")
    send(broker, "hall/start", [b"1"], retain=True)
    read(listening, 1)
    send(broker, "hall/temp", [b"21.5", b'{"value": 2, "sensor": "north"}'])
    send(broker, "hall/pressure", [b"990"])
    batches = read(listening, 3)
    assert rows(batches) == [
        {"value": 21.5, "topic": "hall/temp"},
        {"value": 2, "topic": "hall/temp"},
        {"value": 990, "topic": "hall/pressure"},
    ]
    assert [e for batch in batches for e in batch.entities or ("",) * len(batch)] == [
        "",
        "north",
        "",
    ]


def test_a_retained_message_counts_once(broker: Server) -> None:
    subscribe(broker, "kept")
    send(broker, "kept", some(range(5, 6)))
    assert numbers(read(source(broker, "kept"), 1)) == [5]


def test_a_broker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as server:
        settings = {"type": "mqtt", "host": HOST, "port": server.port, "topics": ["crash/+"]}
        send(server, "crash/a", some(range(1)), retain=True)
        with Monitored(tmp_path, {**settings, "client_id": "c"}) as monitored:
            monitored.wait("n", 1)
            send(server, "crash/a", some(range(1, 200)))
            monitored.wait("n", 200)
            server.restart()
            send(server, "crash/a", some(range(200, 300)))
            stored = monitored.wait("n", 300)
    assert set(stored) == set(range(300))


def test_a_monitor_that_is_killed_loses_nothing(broker: Server, tmp_path: Path) -> None:
    subscribe(broker, "killed")
    settings = {"type": "mqtt", "host": HOST, "port": broker.port, "topics": ["killed"]}
    settings["client_id"] = "killed"
    payloads = [b'{"n": %d, "id": %d}' % (n, n) for n in range(900)]
    send(broker, "killed", payloads)
    with Monitored(tmp_path, settings) as first:
        first.wait("n", 100)
        first.kill()
    with Monitored(tmp_path, settings) as second:
        stored = second.wait("n", 900)
    assert sorted(stored) == list(range(900))


def test_waits_for_a_broker_that_is_away(tmp_path: Path) -> None:
    server = mosquitto(tmp_path)

    async def work() -> list[Batch]:
        reading = asyncio.create_task(collect(source(server, "later"), 1))
        await asyncio.sleep(0.7)
        await asyncio.to_thread(server.start)
        await publish(server, "later", [b"3"], retain=True)
        return await reading

    try:
        assert rows(asyncio.run(work())) == [{"value": 3}]
    finally:
        server.stop()


def test_wrong_credentials_are_told_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = tmp_path / "passwords"
    command = [program("mosquitto_passwd", "apt-get install mosquitto"), "-b", "-c"]
    subprocess.run([*command, str(passwords), "ann", "battery"], check=True)
    monkeypatch.setenv("MQTT_PASSWORD", "correct-horse")
    config = f"allow_anonymous false\npassword_file {passwords}"
    with mosquitto(tmp_path, config=config) as server:
        for given in ({}, {"username": "ann", "password": {"env": "MQTT_PASSWORD"}}):
            with pytest.raises(ParameterError, match="locked of MQTT") as error:
                read(source(server, "locked", **given), 1)
            assert "correct-horse" not in str(error.value)


def test_a_topic_that_is_none_is_told(broker: Server) -> None:
    with pytest.raises(ParameterError, match="a/#/b"):
        read(source(broker, "a/#/b"), 1)
