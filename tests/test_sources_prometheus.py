"""Prometheus by a server that answers as it is documented to, and as it should not."""

import base64
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from support.collecting import read, rows, taken
from support.servers import HOST, free_port
from tocsin.errors import InputError, ParameterError
from tocsin.sources.prometheus import Prometheus
from tocsin.types import Batch

Answer = Callable[[dict[str, str]], tuple[int, Any]]


class Server(ThreadingHTTPServer):
    """Answers a range query by ``answer``; what was asked is in ``asked``."""

    answer: Answer
    delay = 0.0

    def __init__(self, port: int = 0) -> None:
        self.asked: list[dict[str, str]] = []
        super().__init__((HOST, port), Handler)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        asked["path"], asked["auth"] = self.path, self.headers.get("Authorization", "")
        self.server.asked.append(asked)
        status, content = self.server.answer(asked)
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        for i in range(0, len(raw), 100):
            self.wfile.write(raw[i : i + 100])
            time.sleep(self.server.delay)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        started.answer = up
        threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
        yield started
        started.shutdown()


def matrix(*series: tuple[dict[str, str], list[tuple[float, str]]], **more: Any) -> Any:
    result = [{"metric": metric, "values": values} for metric, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}


def steps(asked: dict[str, str]) -> list[float]:
    start, end, step = (float(asked[name]) for name in ("start", "end", "step"))
    return [start + i * step for i in range(round((end - start) / step) + 1)]


def up(asked: dict[str, str]) -> tuple[int, Any]:
    """The value at each step is its time."""
    return 200, matrix(({}, [(at, str(at)) for at in steps(asked)]))


def source(server: Server, **settings: Any) -> Prometheus:
    given = {"queries": {"a": "rate(x[1m])"}, "every": 1, "history": 5, **settings}
    return Prometheus(url=server.url, **given)


def seconds(batches: list[Batch]) -> list[float]:
    return [float(at) / 1e6 for batch in batches for at in batch.times.astype("int64")]


def test_goes_on_without_a_gap_or_a_step_twice(server: Server) -> None:
    first = read(source(server), 6)
    rest = read(source(server), 1, first[-1].offset)
    found = seconds(first) + seconds(rest)
    assert found == [found[0] + i for i in range(taken(first) + taken(rest))]
    assert [row["a"] for row in rows(first + rest)] == found
    assert server.asked[0]["path"] == "/api/v1/query_range"
    assert server.asked[0]["query"] == "rate(x[1m])"


def test_a_long_gap_is_filled_in_parts(server: Server) -> None:
    began = float(int(time.time()) - 1_200)
    batches = read(source(server), 1_200, {"time": began})
    assert [len(batch) for batch in batches[:2]] == [500, 500]
    assert seconds(batches)[:1_200] == [began + 1 + i for i in range(1_200)]


def test_columns_meet_by_entity_and_what_is_no_number_is_missing(server: Server) -> None:
    def answer(asked: dict[str, str]) -> tuple[int, Any]:
        at = steps(asked)[0]
        a, b = {"job": "api", "pod": "a", "x": "1"}, {"job": "api", "pod": "b"}
        if asked["query"] == "cpu":
            return 200, matrix((a, [(at, "1.5")]), (b, [(at, "NaN")]))
        infinite = ({"job": "api", "pod": "c"}, [(at, "+Inf"), (at + 1, "odd")])
        return 200, matrix((a, [(at, "-Inf")]), (b, [(at, "2")]), infinite)

    server.answer = answer
    queries = {"cpu": "cpu", "memory": "memory"}
    (batch,) = read(source(server, queries=queries, entity=("job", "pod")), 2)
    assert batch.entities == ("api a", "api b")
    np.testing.assert_array_equal(batch.frame.to_numpy(), [[1.5, np.nan], [np.nan, 2.0]])


def test_several_series_of_one_entity_are_an_error(server: Server) -> None:
    server.answer = lambda asked: (
        200,
        matrix(({"pod": "a"}, [(0, "1")]), ({"pod": "b"}, [(0, "1")])),
    )
    with pytest.raises(InputError, match=r"\"a\" gives several series.*aggregate"):
        read(source(server), 1)


def test_a_server_that_fails_meanwhile_costs_nothing(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [(503, {"status": "error", "error": "loading"}), (200, b"<html>"), (500, b"")]

    def answer(asked: dict[str, str]) -> tuple[int, Any]:
        if asked["query"] == "b" and failures:
            return failures.pop()
        return up(asked)

    server.answer = answer
    with caplog.at_level(logging.WARNING):
        batches = read(source(server, queries={"a": "a", "b": "b"}), 6)
    assert not batches[0].frame.isna().any().any()
    assert "Trying again" in caplog.text
    assert "loading" in caplog.text


def test_waits_for_a_server_that_is_away() -> None:
    port = free_port()

    def begin() -> None:
        time.sleep(0.7)
        with Server(port) as late:
            late.answer = up
            late.timeout = 5.0
            while not late.asked:
                late.handle_request()

    threading.Thread(target=begin, daemon=True).start()
    away = Prometheus(url=f"http://{HOST}:{port}", queries={"a": "a"}, every=1, history=3)
    assert taken(read(away, 3)) >= 3


def test_partial_data_is_taken_and_told(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    def answer(asked: dict[str, str]) -> tuple[int, Any]:
        return 200, {**up(asked)[1], "warnings": ["a store\nis away"]}

    server.answer = answer
    read(source(server), 1)
    assert "a store\\nis away" in caplog.text


@pytest.mark.parametrize(
    ("status", "content", "error", "message"),
    [
        (400, {"status": "error", "error": "parse error: x"}, InputError, "parse error: x"),
        (422, b"not JSON", InputError, "HTTP 422"),
        (302, b"", InputError, "HTTP 302"),
        (401, b"", ParameterError, "HTTP 401"),
        (403, b"", ParameterError, "HTTP 403"),
    ],
)
def test_what_waiting_does_not_mend_is_an_error(
    server: Server, status: int, content: Any, error: type[Exception], message: str
) -> None:
    server.answer = lambda _: (status, content)
    with pytest.raises(error, match=message):
        read(source(server), 1)


def test_large_and_slow_answers_are_given_up(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError, match="more than 1,000 bytes"):
        read(source(server, history=300, largest=1_000), 1)
    server.delay = 0.02
    with pytest.raises(TimeoutError):
        read(source(server, history=400, timeout=0.2), 1, within=1.2)
    assert "within 0.2 s" in caplog.text


def test_secrets_are_sent_and_never_told(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_SECRET", "correct-horse")
    secret = {"env": "PROMETHEUS_SECRET"}
    read(source(server, token=secret), 1)
    assert server.asked[-1]["auth"] == "Bearer correct-horse"
    read(source(server, username="ann", password=secret), 1)
    pair = base64.b64encode(b"ann:correct-horse").decode()
    assert server.asked[-1]["auth"] == f"Basic {pair}"
    server.answer = lambda _: (401, b"")
    with pytest.raises(ParameterError) as error:
        read(source(server, token=secret), 1)
    assert "correct-horse" not in str(error.value)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://ann:hush@host", "host:9090"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        Prometheus(url=url, queries={"a": "a"})
