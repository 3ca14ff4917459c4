"""Kafka against a real broker: resuming, crashes on both sides, several consumers, bad records."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.collecting import Monitored, collect, read, rows, taken
from support.servers import HOST, Server, tansu
from tocsin.errors import ParameterError
from tocsin.sources.kafka import Kafka, _Group
from tocsin.types import Batch

pytest.importorskip("aiokafka")

BAD = [b"{", b"\xff\xfe", b"[1]", b"{}" + b" " * 300_000, None, b"[" * 90_000, b'{"time": "x"}']


async def send(
    server: Server, topic: str, values: Sequence[bytes | None], partitions: int = 1
) -> None:
    """Send records to a topic, which is made if it is not there; equal calls, equal records."""
    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=server.address)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1)])
    await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=server.address, max_request_size=4_000_000
    ) as producer:
        start = 1_700_000_000_000
        sent = [
            await producer.send(
                topic, value, key=b"k", partition=i % partitions, timestamp_ms=start + i
            )
            for i, value in enumerate(values)
        ]
        await asyncio.gather(*sent)


def some(which: range) -> list[bytes]:
    return [json.dumps({"n": n}).encode() for n in which]


def source(server: Server, topic: str, **settings: Any) -> Kafka:
    return Kafka(servers=(server.address,), topics=(topic,), group=topic, **settings)


def numbers(batches: list[Batch]) -> list[int]:
    return [int(row["n"]) for row in rows(batches)]


@dataclass
class Read:
    """What was read of the broker, all topics at once: a group takes seconds to come together."""

    server: Server

    async def resume(self) -> tuple[list[Batch], list[Batch]]:
        await send(self.server, "resume", some(range(2_500)), partitions=2)
        first = await collect(source(self.server, "resume"), 900, acknowledge=False)
        rest = 2_500 - taken(first)
        return first, await collect(source(self.server, "resume"), rest, first[-1].offset)

    async def ids(self) -> list[Batch]:
        own = b'{"n": 2, "id": "own", "time": "2026-03-01T08:20Z"}'
        await send(self.server, "ids", [b'{"n": 1}', own])
        return await collect(source(self.server, "ids"), 2)

    async def poison(self) -> list[Batch]:
        await send(self.server, "poison", [*BAD, b'{"n": 7}'])
        return await collect(source(self.server, "poison"), 8)

    async def lines(self) -> list[Batch]:
        await send(self.server, "lines", [b"up \xff\n", b"{"])
        return await collect(source(self.server, "lines", format="lines"), 2)

    async def end(self) -> tuple[list[Batch], list[Batch]]:
        tail = source(self.server, "end", start="end")
        await send(self.server, "end", some(range(5)))
        reading = asyncio.create_task(collect(tail, 3))
        while not reading.done():
            await send(self.server, "end", some(range(8, 9)))
            await asyncio.sleep(0.5)
        await send(self.server, "end", some(range(20, 23)))
        after = []
        async for batch in tail.read(None):
            after.append(batch)
            if 22 in numbers(after):
                break
        return await reading, after

    async def lag(self) -> tuple[int | None, list[Batch]]:
        """The group's place after 10 records, and what is read from an earlier one in the store."""
        from aiokafka import AIOKafkaConsumer, TopicPartition

        await send(self.server, "lag", some(range(10)))
        await collect(source(self.server, "lag"), 10)
        again = await collect(source(self.server, "lag"), 6, {"lag/0": 4}, acknowledge=False)
        async with AIOKafkaConsumer(bootstrap_servers=self.server.address, group_id="lag") as other:
            return await other.committed(TopicPartition("lag", 0)), again

    def of(self, *names: str) -> dict[str, Any]:
        async def work() -> list[Any]:
            return await asyncio.gather(*(getattr(self, name)() for name in names))

        return dict(zip(names, asyncio.run(asyncio.wait_for(work(), 90)), strict=True))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with tansu(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="module")
def found(broker: Server) -> dict[str, Any]:
    return Read(broker).of("ids", "poison", "lines")


@pytest.fixture(scope="module")
def found_twice(broker: Server) -> dict[str, Any]:
    return Read(broker).of("resume", "end", "lag")


@pytest.mark.slow
class Record:
    """A record as the client gives it."""

    topic, partition = "t", 0

    def __init__(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        self.offset, self.key, self.value = offset, key, value
        self.timestamp = 1_700_000_000_000 + offset


RECORDS = [
    Record(0, b"pump1", b'{"n": 1}'),
    Record(1, b"pump2", b'{"n": 2, "entity": "own"}'),
    Record(2, None, b"3"),
    Record(3, b"gone", None),
    Record(4, b"pump1", b"{"),
]


def decoded(**settings: Any) -> Batch:
    """What becomes of the records; no broker is needed for that."""
    kafka = Kafka(servers=("h:1",), topics=("t",), group="g", **settings)
    return _Group(kafka, None)._decoded(RECORDS, {"t/0": 5}, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "entities", "columns"),
    [
        (None, ("", "own", ""), None),
        ("entity", ("pump1", "own", ""), None),
        ("machine_key", ("", "own", ""), ["pump1", "pump2", ""]),
    ],
)
def test_keys_are_entities_or_a_column_where_asked(
    key: str | None, entities: tuple[str, ...], columns: list[str | None] | None
) -> None:
    batch = decoded(key_as=key)
    assert batch.entities == entities
    assert columns is None or batch.frame["machine_key"].fillna("").tolist() == columns
    assert [row.get("n") or row["value"] for row in batch.frame.to_dict("records")][:2] == [1, 2]
    assert batch.frame["value"].tolist()[2] == 3


def test_tombstones_are_counted_and_no_events() -> None:
    batch = decoded()
    assert len(batch) == 3
    kinds = {rejection.kind: rejection for rejection in batch.rejected}
    assert kinds["empty"].raw == "gone"
    assert kinds["empty"].reason.endswith("; from offset 3 of t/0")
    assert kinds["malformed"].reason.endswith("; from offset 4 of t/0")
    lines = decoded(format="lines", key_as="entity")
    assert lines.frame["line"].tolist() == ['{"n": 1}', '{"n": 2, "entity": "own"}', "3", "{"]
    assert lines.entities == ("pump1", "pump2", "", "pump1")
    with pytest.raises(ValueError, match="key_as: entity"):
        decoded(format="lines", key_as="machine")


def test_goes_on_from_the_offset_that_was_kept(found_twice: dict[str, Any]) -> None:
    first, rest = found_twice["resume"]
    assert sum(first[-1].offset.values()) == taken(first) < 2_500
    assert sorted(numbers(first) + numbers(rest)) == list(range(2_500))


def test_ids_and_times_are_those_of_the_record(found: dict[str, Any]) -> None:
    (batch,) = found["ids"]
    assert batch.ids == ("ids-0-0-1700000000000", "own")
    assert [str(time) for time in batch.times] == [
        "2023-11-14T22:13:20.000000",
        "2026-03-01T08:20:00.000000",
    ]


def test_bad_records_are_refused_and_stop_nothing(found: dict[str, Any]) -> None:
    kinds = [rejection.kind for batch in found["poison"] for rejection in batch.rejected]
    assert numbers(found["poison"]) == [7]
    assert len(kinds) == len(BAD)
    assert kinds.count("oversized") == 1


def test_lines_are_taken_as_they_are(found: dict[str, Any]) -> None:
    (batch,) = found["lines"]
    assert batch.frame["line"].tolist() == ["up \ufffd", "{"]
    assert batch.ids is not None


@pytest.mark.slow
def test_the_end_is_only_for_a_group_that_is_new(found_twice: dict[str, Any]) -> None:
    first, after = found_twice["end"]
    assert set(numbers(first)) == {8}
    assert numbers(after)[-3:] == [20, 21, 22]


@pytest.mark.slow
def test_the_broker_is_told_what_is_kept_but_the_store_decides(
    found_twice: dict[str, Any],
) -> None:
    committed, again = found_twice["lag"]
    assert committed == 10
    assert numbers(again) == [4, 5, 6, 7, 8, 9]


@pytest.mark.slow
def test_a_consumer_that_is_killed_is_replaced_and_nothing_comes_twice(
    broker: Server, tmp_path: Path
) -> None:
    asyncio.run(send(broker, "killed", some(range(3_000)), partitions=2))
    settings = {"type": "kafka", "servers": [broker.address], "topics": ["killed"], "group": "k"}
    with Monitored(tmp_path, settings) as first:
        first.wait("n", 500)
        first.kill()
    with Monitored(tmp_path, settings) as second:
        asyncio.run(send(broker, "killed", some(range(3_000, 3_100)), partitions=2))
        stored = second.wait("n", 3_100)
    assert sorted(stored) == list(range(3_100))


@pytest.mark.slow
def test_partitions_move_between_consumers(broker: Server) -> None:
    """What both read has the same id, so that a store keeps it once."""

    async def work() -> tuple[list[Batch], list[Batch]]:
        mine: list[Batch] = []
        theirs: list[Batch] = []

        async def consume(into: list[Batch]) -> None:
            async for batch in source(broker, "moves").read(None):
                into.append(batch)
                assert batch.acknowledge is not None
                await batch.acknowledge()

        async def until(n: int) -> None:
            while len({*numbers(mine), *numbers(theirs)}) < n:
                await asyncio.sleep(0.05)

        await send(broker, "moves", some(range(100)), 2)
        first = asyncio.create_task(consume(mine))
        await until(100)
        second = asyncio.create_task(consume(theirs))
        sent = 100
        while not theirs:
            await send(broker, "moves", some(range(sent, sent + 20)), 2)
            sent += 20
            await asyncio.sleep(0.3)
        await until(sent)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await send(broker, "moves", some(range(sent, sent + 20)), 2)
        await until(sent + 20)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return mine, theirs

    mine, theirs = asyncio.run(asyncio.wait_for(work(), 90))
    known = {
        (id_, n)
        for batch in (*mine, *theirs)
        for id_, n in zip(batch.ids or (), batch.frame["n"], strict=True)
    }
    assert len({id_ for id_, _ in known}) == len(known) == len({n for _, n in known})


@pytest.mark.slow
def test_a_broker_that_freezes_or_is_killed_comes_back(tmp_path: Path) -> None:
    with tansu(tmp_path) as server:
        asyncio.run(send(server, "crash", some(range(100))))
        settings = {"type": "kafka", "servers": [server.address], "topics": ["crash"], "group": "g"}
        with Monitored(tmp_path, settings) as monitored:
            monitored.wait("n", 100)
            server.freeze(1.0)
            asyncio.run(send(server, "crash", some(range(100, 200))))
            monitored.wait("n", 200)
            server.restart()
            # This broker forgets; one that keeps its log has all of these at the same places.
            for part in (range(100), range(100, 200), range(200, 450)):
                asyncio.run(send(server, "crash", some(part)))
            stored = monitored.wait("n", 450)
    assert sorted(stored) == list(range(450))


def test_a_broker_that_is_gone_is_told_and_so_is_its_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By the source, with its name and growing pauses, not by its client many times a second."""
    monkeypatch.setattr("tocsin.sources.kafka._SILENCE", 0.5)
    monkeypatch.setattr("tocsin.sources.kafka._PATIENCE", 0.5)
    caplog.set_level("INFO", "tocsin.sources.kafka")
    with tansu(tmp_path) as server:
        asyncio.run(send(server, "gone", some(range(1))))

        def come_back() -> None:
            time.sleep(4.0)
            server.start()
            asyncio.run(send(server, "gone", some(range(3))))

        def kill(_: int) -> None:
            if not back.is_alive():
                server.kill()
                back.start()

        back = threading.Thread(target=come_back)
        batches = read(source(server, "gone"), 2, after_each=kill, within=60)
        back.join()
    assert numbers(batches)[0] == 0
    told = [record.getMessage() for record in caplog.records]
    assert 1 <= sum("gone of Kafka at" in each and "Trying again" in each for each in told) <= 6
    assert any("it works again" in each for each in told)


def test_waits_for_a_broker_that_is_away(tmp_path: Path) -> None:
    server = tansu(tmp_path)

    async def work() -> list[Batch]:
        reading = asyncio.create_task(collect(source(server, "later"), 3))
        await asyncio.sleep(0.7)
        await asyncio.to_thread(server.start)
        await send(server, "later", some(range(3)))
        return await reading

    try:
        assert numbers(asyncio.run(work())) == [0, 1, 2]
    finally:
        server.stop()


def test_wrong_credentials_are_told_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = tansu(tmp_path)
    server.command.append("--authentication")
    monkeypatch.setenv("KAFKA_PASSWORD", "correct-horse")
    password = {"env": "KAFKA_PASSWORD"}
    locked = source(server, "t", username="ann", password=password, mechanism="SCRAM-SHA-256")
    with server, pytest.raises(ParameterError) as error:
        read(locked, 1)
    assert "t of Kafka" in str(error.value)
    assert "correct-horse" not in str(error.value)


def test_a_server_needs_a_port() -> None:
    with pytest.raises(ValueError, match="servers"):
        Kafka(servers=(HOST,), topics=("t",), group="g")
