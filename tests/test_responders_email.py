"""E-mail, to real mail servers that refuse, stumble and fall silent."""

from __future__ import annotations

import asyncio
import email
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from pydantic import ValidationError

from support.notifications import alarm, hostile, notification
from support.servers import certificate_for_localhost, free_port
from tocsin.responders.email import Email, message


class Mailbox:
    """Takes mail, and answers a command with what ``answers`` says."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.recipients: list[str] = []
        self.answers: dict[str, str] = {}
        self.silent = 0.0

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if (answer := self.answers.get(address, "250 OK")).startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.raw.append(envelope.content)
        self.recipients += envelope.rcpt_tos
        parsed = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        await asyncio.sleep(self.silent)
        return self.answers.get("DATA", "250 OK")


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def plain(mailbox: Mailbox) -> Iterator[int]:
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield port
    controller.stop()


def responder(port: int, **settings: Any) -> Email:
    given = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 3}
    people = {"from": "tocsin@example.com", "to": ["ops@example.com"]}
    return Email.model_validate({**given, **people, **settings})


def test_a_notice_arrives_as_text_and_html(plain: int, mailbox: Mailbox) -> None:
    told = responder(plain, to=["ops@example.com", "ada@example.com"])
    assert told.check() is None
    assert told.respond(notification()).status == "delivered"
    told.respond(notification())
    first, again = mailbox.mails
    assert first["Subject"] == "ALARM [critical] pumps p7: p7: heat 98"
    assert (first["From"], first["To"]) == (
        "tocsin@example.com",
        "ops@example.com, ada@example.com",
    )
    assert first["Message-ID"] == again["Message-ID"]
    assert first["Message-ID"].endswith("@example.com>")
    assert mailbox.raw[0] == mailbox.raw[1]
    text, page = (first.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert page is not None
    assert "heat: 98.2 (expected 12.1)" in text.get_content()
    assert "heat: 98.2 (expected 12.1)" in page.get_content()
    assert (
        message(notification(key="k-2"), "a@b.c", ("d@e.f",))["Message-ID"] != first["Message-ID"]
    )


def test_hostile_texts_add_no_header_recipient_or_markup(plain: int, mailbox: Mailbox) -> None:
    assert responder(plain).respond(hostile()).status == "delivered"
    (mail,) = mailbox.mails
    assert mailbox.recipients == ["ops@example.com"]
    assert mail["Bcc"] is None
    assert {name.lower() for name in mail} == {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version",
        "content-type",
    }  # fmt: skip
    assert mail["Subject"].isprintable()
    page = mail.get_body(("html",))
    assert page is not None
    assert "<script" not in page.get_content()
    assert len(mailbox.raw[0]) < 20_000


def test_a_line_with_a_dot_does_not_end_the_mail(plain: int, mailbox: Mailbox) -> None:
    dots = "." * 280
    assert responder(plain).respond(notification(alarm(summary=dots))).status == "delivered"
    for kind in ("plain", "html"):
        part = mailbox.mails[0].get_body((kind,))
        assert part is not None
        assert f" {dots[:273]}…" in part.get_content()


@pytest.mark.parametrize(
    ("answers", "status", "reason"),
    [
        ({"ops@example.com": "550 no such user"}, "rejected", "550 no such user"),
        ({"ops@example.com": "450 greylisted"}, "retry", "450 greylisted"),
        ({"DATA": "554 looks like spam"}, "rejected", "answers 554: looks like spam"),
        ({"DATA": "452 no room"}, "retry", "answers 452: no room"),
    ],
)
def test_refusals_are_told(
    plain: int, mailbox: Mailbox, answers: dict[str, str], status: str, reason: str
) -> None:
    mailbox.answers = answers
    delivery = responder(plain).respond(notification())
    assert (delivery.status, reason in delivery.reason) == (status, True), delivery


def test_one_refused_recipient_does_not_keep_the_others_from_it(
    plain: int, mailbox: Mailbox
) -> None:
    mailbox.answers = {"ada@example.com": "550 gone"}
    delivery = responder(plain, to=["ops@example.com", "ada@example.com"]).respond(notification())
    assert delivery.status == "delivered"
    assert delivery.reason == "refused: ada@example.com (550 gone)"
    assert mailbox.recipients == ["ops@example.com"]


def test_silence_after_the_text_is_unknown(plain: int, mailbox: Mailbox) -> None:
    mailbox.silent = 30.0
    started = time.monotonic()
    delivery = responder(plain, timeout=0.7).respond(notification())
    assert (delivery.status, len(mailbox.mails)) == ("unknown", 1)
    assert time.monotonic() - started < 2


def test_a_server_that_is_away_or_silent_is_tried_again() -> None:
    assert responder(free_port()).respond(notification()).status == "retry"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        assert (
            responder(silent.getsockname()[1], timeout=0.5).respond(notification()).status
            == "retry"
        )
        assert time.monotonic() - started < 2


def test_a_server_that_drips_takes_no_longer_than_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    while True:
                        connection.sendall(b"220-wait\r\n")
                        time.sleep(0.05)
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        assert (
            responder(listener.getsockname()[1], timeout=0.5).respond(notification()).status
            == "retry"
        )
        assert time.monotonic() - started < 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate_for_localhost(tmp_path_factory.mktemp("tls"))


@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_login_over_tls(
    security: str,
    mailbox: Mailbox,
    certificate: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def authenticate(server: Any, session: Any, envelope: Any, kind: str, data: Any) -> AuthResult:
        good = data.password == b"hush"
        return AuthResult(success=good, handled=good)

    options: dict[str, Any] = {"authenticator": authenticate, "auth_required": True}
    if security == "tls":
        options |= {"ssl_context": context, "auth_require_tls": False}
    else:
        options |= {"tls_context": context, "require_starttls": True}
    controller = Controller(mailbox, hostname="localhost", port=free_port(), **options)
    controller.start()
    try:
        monkeypatch.setenv("MAIL", "hush")
        login = {"username": "me", "password": {"env": "MAIL"}, "security": security}
        settings = {**login, "host": "localhost", "tls": {"ca": str(certificate[0])}}
        told = responder(controller.port, **settings)
        assert told.check() is None
        assert told.respond(notification()).status == "delivered", told.respond(notification())
        monkeypatch.setenv("MAIL", "hushhush")
        wrong = told.respond(notification())
        assert (wrong.status, "refuses the login (535)" in wrong.reason) == ("rejected", True)
        assert "hush" not in wrong.reason + repr(told)
        for other in ({"tls": {}}, {"host": "127.0.0.1"}):
            distrusted = responder(controller.port, **{**settings, **other}).respond(notification())
            assert distrusted.status == "retry"
            assert "certificate" in distrusted.reason
    finally:
        controller.stop()


def test_without_starttls_nothing_is_sent(plain: int, mailbox: Mailbox) -> None:
    delivery = responder(plain, security="starttls").respond(notification())
    assert (delivery.status, mailbox.mails) == ("rejected", [])
    assert "STARTTLS" in delivery.reason


@pytest.mark.parametrize(
    "settings",
    [
        {"to": []},
        {"to": ["ops@example.com\r\nBcc: eve@example.com"]},
        {"from": "x"},
        {"to": ["a@b, c@d"]},
        {"username": "me"},
        {"username": "me", "password": {"env": "MAIL"}},
        {"host": "a\r\nb"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        responder(25, **settings)
