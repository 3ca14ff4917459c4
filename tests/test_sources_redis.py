"""Redis streams against a real server: groups, what is left behind, crashes, bad entries."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.collecting import Monitored, collect, read, rows, until
from support.servers import Server, redis_server
from tocsin.errors import InputError, ParameterError
from tocsin.sources.redis import Redis
from tocsin.types import Batch

redis = pytest.importorskip("redis")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(tmp_path_factory.mktemp("redis")) as started:
        yield started


def client(server: Server, **more: Any) -> Any:
    return redis.Redis(port=server.port, **more)


def is_loaded(server: Server) -> bool:
    """Return whether a server that was started again has read what it keeps."""
    with client(server) as c:
        try:
            return bool(c.ping())
        except redis.RedisError:
            return False


def add(server: Server, stream: str, which: range) -> None:
    # Until then some commands of a pipeline are refused, and the client sends all of them again.
    until(lambda: is_loaded(server), "end of loading")
    with client(server) as c, c.pipeline(transaction=False) as many:
        for n in which:
            many.xadd(stream, {"n": n})
        many.execute()


def source(server: Server, stream: str, **settings: Any) -> Redis:
    given = {"streams": (stream,), "group": "g", **settings}
    return Redis(url=f"redis://{server.address}/0", **given)


def pending(server: Server, stream: str) -> int:
    with client(server) as c:
        return int(c.xpending(stream, "g")["pending"])


def numbers(batches: list[Batch]) -> list[int]:
    return [int(row["n"]) for row in rows(batches)]


def test_what_is_kept_is_acknowledged_and_the_rest_comes_again(server: Server) -> None:
    add(server, "again", range(1_500))
    kept = read(source(server, "again"), 1_000)
    assert pending(server, "again") == 0
    lost = read(source(server, "again"), 500, acknowledge=False)
    assert pending(server, "again") == 500
    assert numbers(kept) + numbers(lost) == list(range(1_500))
    again = read(source(server, "again"), 500)
    assert numbers(again) == numbers(lost)
    assert again[0].ids == lost[0].ids
    assert pending(server, "again") == 0


def test_the_own_fields_are_values_and_numbers_are_numbers(server: Server) -> None:
    with client(server) as c:
        fields = {"heat": "21.5", "count": "3", "name": "007x", "odd": b"\xff", "time": "0"}
        c.xadd("fields", {**fields, "entity": "pump"}, id="1700000000000-0")
        c.xadd("fields", {"heat": "1"}, id="1700000000000-5")
        c.xadd("fields", {"heat": "1"}, id="18446744073709551615-1")
    (batch,) = read(source(server, "fields"), 3)
    first = batch.frame.iloc[0].to_dict()
    assert first == {"heat": 21.5, "count": 3, "name": "007x", "odd": "\ufffd"}
    assert batch.entities == ("pump", "", "")
    assert batch.ids is not None
    assert batch.ids[1] == "fields 1700000000000-5"
    assert [str(time)[:19] for time in batch.times[:2]] == [
        "1970-01-01T00:00:00",
        "2023-11-14T22:13:20",
    ]


def test_bad_entries_are_refused_and_stop_nothing(server: Server) -> None:
    with client(server) as c:
        for body in (b"{", b"\xff", b"[1]", b"", b"{}" + b" " * 300_000, b'{"time": "never"}'):
            c.xadd("poison", {"event": body})
        c.xadd("poison", {"other": "1"})
        c.xadd("poison", {"event": b'{"n": 7, "id": "own"}'})
    batches = read(source(server, "poison", field="event"), 8)
    kinds = [rejection.kind for batch in batches for rejection in batch.rejected]
    assert numbers(batches) == [7]
    assert batches[-1].ids == ("own",)
    assert sorted(kinds) == ["empty"] * 2 + ["malformed"] * 4 + ["oversized"]
    assert pending(server, "poison") == 0


def test_lines_come_from_a_field(server: Server) -> None:
    with client(server) as c:
        c.xadd("lines", {"message": "it is up"})
    (batch,) = read(source(server, "lines", field="message", format="lines"), 1)
    assert batch.frame["line"].tolist() == ["it is up"]


@pytest.mark.parametrize("after", ["in between", "later"])
def test_a_stream_that_was_made_anew_is_read_from_its_beginning(server: Server, after: str) -> None:
    """Ids below the stored place, as of a server that kept nothing: read, not waited for."""
    stream = f"anew {after}"

    def add_one(n: int) -> None:
        with client(server) as c:
            c.xadd(stream, {"n": n}, id=f"{8_000_000_000_000 + n}-0")

    with client(server) as c:
        c.xadd(stream, {"n": 1}, id="9000000000000-0")
    offset = read(source(server, stream), 1)[-1].offset
    with client(server) as c:
        c.delete(stream)
    if after == "in between":
        add_one(2)
    else:
        threading.Timer(0.5, add_one, [2]).start()
    again = read(source(server, stream), 1, offset)
    assert numbers(again) == [2]
    add_one(3)
    assert numbers(read(source(server, stream), 1, again[-1].offset)) == [3]


def test_several_streams_are_read(server: Server) -> None:
    add(server, "east", range(3))
    add(server, "west", range(3, 6))
    both = source(server, "east", streams=("east", "west"))
    batches = read(both, 6)
    assert sorted(numbers(batches)) == list(range(6))
    assert set(batches[-1].offset or ()) == {"east", "west"}


def test_what_a_dead_consumer_left_is_taken_over(server: Server) -> None:
    add(server, "dead", range(20))
    read(source(server, "dead", consumer="a"), 20, acknowledge=False)
    taking = source(server, "dead", consumer="b", claim_after=0.3)
    assert numbers(read(taking, 20)) == list(range(20))
    assert pending(server, "dead") == 0


def test_what_was_trimmed_while_pending_is_told(server: Server) -> None:
    add(server, "trimmed", range(5))
    read(source(server, "trimmed"), 5, acknowledge=False)
    with client(server) as c:
        c.xtrim("trimmed", maxlen=2, approximate=False)
    (batch,) = read(source(server, "trimmed"), 5)
    assert numbers([batch]) == [3, 4]
    assert [rejection.kind for rejection in batch.rejected] == ["dropped"] * 3
    assert pending(server, "trimmed") == 0


def test_a_new_group_may_begin_at_the_end(server: Server) -> None:
    add(server, "end", range(5))

    async def work() -> list[Batch]:
        reading = asyncio.create_task(collect(source(server, "end", start="end"), 2))
        await asyncio.to_thread(until, lambda: groups(server, "end"), "group")
        add(server, "end", range(5, 7))
        return await reading

    assert numbers(asyncio.run(work())) == [5, 6]


def groups(server: Server, stream: str) -> int:
    with client(server) as c:
        return len(c.xinfo_groups(stream)) if c.exists(stream) else 0


def test_a_group_that_was_removed_goes_on_at_the_store_s_place(server: Server) -> None:
    add(server, "removed", range(10))
    first = read(source(server, "removed"), 10)
    with client(server) as c:
        c.xgroup_destroy("removed", "g")
    add(server, "removed", range(10, 13))
    rest = read(source(server, "removed"), 3, first[-1].offset)
    assert numbers(rest) == [10, 11, 12]


def test_a_group_removed_meanwhile_is_made_again(server: Server) -> None:
    add(server, "meanwhile", range(3))

    def remove(n: int) -> None:
        with client(server) as c:
            if n == 3:
                c.xgroup_destroy("meanwhile", "g")
                c.xadd("meanwhile", {"n": 3})

    assert numbers(read(source(server, "meanwhile"), 4, after_each=remove)) == [0, 1, 2, 3]


def test_the_server_freezes_and_is_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        add(server, "s", range(2_000))
        settings = {"type": "redis", "url": f"redis://{server.address}", "streams": ["s"]}
        with Monitored(tmp_path, {**settings, "group": "g"}) as monitored:
            monitored.wait("n", 100)
            server.restart()
            add(server, "s", range(2_000, 2_500))
            monitored.wait("n", 2_500)
            server.freeze(1.0)
            add(server, "s", range(2_500, 2_600))
            stored = monitored.wait("n", 2_600)
            until(lambda: pending(server, "s") == 0, "end of what is pending")
    assert sorted(stored) == list(range(2_600))


@pytest.mark.slow
def test_a_consumer_that_is_killed_is_replaced_and_nothing_comes_twice(
    server: Server, tmp_path: Path
) -> None:
    add(server, "killed", range(20_000))
    settings = {
        "type": "redis",
        "url": f"redis://{server.address}",
        "streams": ["killed"],
        "group": "g",
        "claim_after": 1,
    }
    with Monitored(tmp_path, {**settings, "consumer": "a"}) as first:
        first.wait("n", 500)
        first.kill()
    with Monitored(tmp_path, {**settings, "consumer": "b"}) as second:
        stored = second.wait("n", 20_000)
        until(lambda: pending(server, "killed") == 0, "end of what is pending")
    assert sorted(stored) == list(range(20_000))


def test_waits_for_a_server_that_is_away(tmp_path: Path) -> None:
    server = redis_server(tmp_path)

    async def work() -> list[Batch]:
        reading = asyncio.create_task(collect(source(server, "later"), 2))
        await asyncio.sleep(0.7)
        await asyncio.to_thread(server.start)
        add(server, "later", range(2))
        return await reading

    try:
        assert numbers(asyncio.run(work())) == [0, 1]
    finally:
        server.stop()


def test_wrong_credentials_are_told_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "correct-horse")
    password = {"env": "REDIS_PASSWORD"}
    with redis_server(tmp_path, "--requirepass", "battery") as server:
        for given in ({}, {"password": password}, {"password": password, "username": "ann"}):
            with pytest.raises(ParameterError, match="s of Redis at") as error:
                read(source(server, "s", **given), 1)
            assert "correct-horse" not in str(error.value)
        monkeypatch.setenv("REDIS_PASSWORD", "battery")
        with client(server, password="battery") as c:  # noqa: S106
            c.xadd("s", {"n": 1})
        assert numbers(read(source(server, "s", password=password), 1)) == [1]


def test_a_key_that_is_no_stream_is_told(server: Server) -> None:
    with client(server) as c:
        c.set("text", "x")
    with pytest.raises(InputError, match="WRONGTYPE"):
        read(source(server, "text"), 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "redis://:hush@host"}, "password"),
        ({"format": "lines"}, "field"),
        ({"tls": {}}, "rediss"),
        ({"url": "http://host"}, "pattern"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Redis(**{"streams": ("s",), "group": "g", **settings})
