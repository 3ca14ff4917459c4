"""Webhooks and Alertmanager, to real receivers that fail in every way."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from support.notifications import NOON, alarm, hostile, notification
from support.receiving import Answer, Receiver
from support.servers import certificate_for_localhost, free_port
from tocsin.responders.alertmanager import Alertmanager
from tocsin.responders.webhook import Webhook, verify


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def webhook(url: str, **settings: Any) -> Webhook:
    return Webhook.model_validate({"url": url, "allow": ["127.0.0.1"], "timeout": 2, **settings})


def test_a_notice_arrives_signed_with_its_key(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS", "hush")
    monkeypatch.setenv("AUTH", "Bearer hush")
    headers = {"Authorization": {"env": "AUTH"}, "X-Site": "berlin"}
    responder = webhook(receiver.url, secret={"env": "OPS"}, headers=headers)
    assert responder.check() is None
    assert responder.respond(notification()).status == "delivered"
    responder.respond(notification())
    first, again = receiver.requests
    assert first.path == "/hook?to=ops"
    assert first.body == again.body
    assert first.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert first.headers["Tocsin-Key"] == again.headers["Tocsin-Key"] == "k-1"
    assert (first.headers["Authorization"], first.headers["X-Site"]) == ("Bearer hush", "berlin")
    assert verify(first.body, first.headers, "hush")
    assert not verify(first.body + b" ", first.headers, "hush")
    assert not verify(first.body, first.headers, "other")
    assert not verify(first.body, first.headers, "hush", now=time.time() + 400)
    assert not verify(first.body, {}, "hush")
    later = {**first.headers, "Tocsin-Timestamp": str(int(time.time()) + 1)}
    assert not verify(first.body, later, "hush")
    assert "hush" not in repr(responder)


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (Answer(204), "delivered", ""),
        (Answer(500, body=b"broken\x1b[31m\r\n"), "retry", r"answers 500: broken\x1b[31m"),
        (Answer(503), "retry", "answers 503"),
        (Answer(429, {"Retry-After": "120"}), "retry", "retry after 120"),
        (Answer(408), "retry", "answers 408"),
        (Answer(425), "retry", "answers 425"),
        (Answer(400, body=b"no"), "rejected", "answers 400: no"),
        (Answer(404), "rejected", "answers 404"),
        (Answer(302, {"Location": "http://169.254.169.254/"}), "rejected", "not followed"),
        (Answer(307, {"Location": "/elsewhere"}), "rejected", "not followed"),
        (Answer(close=True), "retry", "it may have arrived"),
        (Answer(500, body=b"x" * 3_000_000), "retry", "answers 500"),
        (Answer(200, drip=0.05), "delivered", ""),
    ],
)
def test_the_answer_says_what_became_of_it(
    receiver: Receiver, answer: Answer, status: str, reason: str
) -> None:
    receiver.answer = answer
    delivery = webhook(receiver.url).respond(notification())
    assert (delivery.status, reason in delivery.reason) == (status, True), delivery
    assert delivery.reason.isprintable()
    assert len(delivery.reason) < 500
    assert len(receiver.requests) == 1


def test_an_answer_that_may_quote_secrets_is_not_shown(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AUTH", "hush")
    receiver.answer = Answer(400, body=b"bad token hush")
    responder = webhook(f"{receiver.url}&hush", headers={"Authorization": {"env": "AUTH"}})
    said = responder.respond(notification()).reason
    assert said == f"127.0.0.1:{receiver.port} answers 400"
    monkeypatch.setenv("AUTH", "hush\r\nX-Evil: 1")
    broken = responder.respond(notification())
    assert (broken.status, "env AUTH" in broken.reason) == ("retry", True)
    assert "hush" not in broken.reason + str(responder.check()) + caplog.text


@pytest.mark.parametrize("answer", [Answer(wait=30), Answer(500, drip=0.1)])
def test_a_slow_receiver_takes_no_longer_than_the_timeout(
    receiver: Receiver, answer: Answer
) -> None:
    receiver.answer = answer
    started = time.monotonic()
    delivery = webhook(receiver.url, timeout=0.5).respond(notification())
    assert time.monotonic() - started < 1.5
    assert delivery.status == "retry"
    unsure = webhook(receiver.url, timeout=0.5).send(b"{}", "k")
    assert unsure.status == "unknown"
    assert "no answer in time" in unsure.reason or "answers 500" in unsure.reason


def test_nobody_there_is_tried_again() -> None:
    delivery = webhook(f"http://127.0.0.1:{free_port()}/").send(b"{}", "k")
    assert (delivery.status, "refused" in delivery.reason) == ("retry", True)


def test_hostile_texts_arrive_as_data(receiver: Receiver) -> None:
    assert webhook(receiver.url).respond(hostile()).status == "delivered"
    (request,) = receiver.requests
    assert len(request.body) <= 256_000
    assert "Bcc" not in request.headers
    assert json.loads(request.body)["alarms"][0]["summary"].startswith("x\r\nBcc")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",  # noqa: S104
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
        "224.0.1.1",
        "[ff0e::1]",
        "240.0.0.1",
        "2130706433",
        "0x7f.1",
        "100.64.0.1",
        "192.88.99.1",
        "[2001:db8::1]",
        "[3fff::1]",
        "[5f00::1]",
        "[2620:4f:8000::1]",
        "[64:ff9b:1::1]",
        "[fec0::1]",
    ],
)
def test_addresses_that_are_not_public_are_refused(host: str, receiver: Receiver) -> None:
    responder = Webhook(url=f"http://{host}:{receiver.port}/", timeout=2)
    delivery = responder.respond(notification())
    assert delivery.status == "rejected"
    assert "not public" in delivery.reason
    assert "allow" in str(responder.check())
    assert receiver.requests == []


def test_the_address_that_was_looked_at_is_the_one_that_is_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is public when asked first, and this machine when asked again."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "rebind.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        return real("192.0.2.1" if len(asked) > 1 else "127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    responder = webhook(f"http://rebind.example:{receiver.port}/")
    assert responder.respond(notification()).status == "delivered"
    assert asked == ["rebind.example"]
    assert receiver.requests[0].headers["Host"] == f"rebind.example:{receiver.port}"
    assert responder.respond(notification()).status == "rejected"


def test_hosts_and_networks_are_allowed_by_name(receiver: Receiver) -> None:
    local = f"http://localhost:{receiver.port}/"
    for allow in (["localhost"], ["LOCALHOST"], ["127.0.0.0/8", "::1"]):
        assert webhook(local, allow=allow).respond(notification()).status == "delivered"
    assert (
        webhook(local, allow=["10.0.0.0/8", "other"]).respond(notification()).status == "rejected"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ftp://example.com"},
        {"url": "https://"},
        {"url": "https://me:hush@example.com/"},
        {"url": "https://example.com/\r\nX: 1"},
        {"url": "https://example.com:99999/"},
        {"headers": {"Host": "x"}},
        {"headers": {"Tocsin-Key": "x"}},
        {"headers": {"X\r\nY": "x"}},
        {"secret": "hush"},
        {"largest": 10},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Webhook.model_validate({"url": "https://example.com/", **settings})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate_for_localhost(tmp_path_factory.mktemp("tls"))


def test_the_name_of_a_certificate_is_checked(certificate: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Receiver(context) as receiver:
        local, other = (f"https://{host}:{receiver.port}/" for host in ("localhost", "127.0.0.1"))
        trusted = {"tls": {"ca": str(certificate[0])}, "allow": ["localhost", "127.0.0.1"]}
        assert webhook(local, **trusted).respond(notification()).status == "delivered"
        for url, settings in ((local, {"allow": ["localhost"]}), (other, trusted)):
            delivery = webhook(url, **settings).respond(notification())
            assert (delivery.status, "certificate" in delivery.reason) == ("retry", True), delivery
        assert len(receiver.requests) == 1
    missing = webhook(local, tls={"ca": "/no/such"}, allow=["localhost"])
    assert "/no/such" in str(missing.check())
    assert missing.respond(notification()).status == "retry"


def test_a_server_that_never_shakes_hands_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started = time.monotonic()
        delivery = webhook(f"https://127.0.0.1:{port}/", timeout=0.5).send(b"{}", "k")
        assert (delivery.status, time.monotonic() - started < 1.5) == ("retry", True)


def test_alertmanager_gets_alerts(receiver: Receiver) -> None:
    over = alarm("a2", state="resolved", closed=NOON)
    settings = {"url": f"http://127.0.0.1:{receiver.port}/am/", "allow": ["127.0.0.1"]}
    responder = Alertmanager.model_validate({**settings, "lasting": "1h"})
    assert responder.check() is None
    assert responder.respond(notification(alarm(), over)).status == "delivered"
    (request,) = receiver.requests
    assert request.path == "/am/api/v2/alerts"
    first, second = json.loads(request.body)
    assert first["labels"]["alertname"] == "TocsinAnomaly"
    assert (first["endsAt"], second["endsAt"]) == (
        "2026-03-01T13:00:00+00:00",
        "2026-03-01T12:00:00+00:00",
    )
    assert responder.respond(hostile()).status == "delivered"
    (alert,) = json.loads(receiver.requests[1].body)
    assert all(len(value) <= 1_000 for value in alert["labels"].values())
    assert alert["annotations"]["summary"].isprintable()
    receiver.answer = Answer(close=True)
    assert responder.respond(notification()).status == "retry"


def test_deliveries_at_once_do_not_disturb_each_other(receiver: Receiver) -> None:
    responder = webhook(receiver.url)
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda i=i: found.append(responder.respond(notification(key=str(i))).status)
        )
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["delivered"] * 8
    assert {json.loads(each.body)["key"] for each in receiver.requests} == set("01234567")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_may_be_connected_to(address: str) -> None:
    assert Webhook(url="http://example.org/")._may(address)
