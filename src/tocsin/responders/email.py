"""Notifications by e-mail."""

from __future__ import annotations

import hashlib
import html
import re
import smtplib
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from tocsin.base.responder import Responder
from tocsin.errors import TocsinError
from tocsin.responders._sending import (
    deadline,
    revealed,
    trouble,
    unresolved,
    unrevealed,
)
from tocsin.responders._text import line, subject_of, text_of
from tocsin.settings.login import CompleteLogin
from tocsin.settings.tls import Tls
from tocsin.types import Delivery, Notification

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}"


def _address(value: str) -> str:
    if not re.fullmatch(_ADDRESS, value):
        raise ValueError(f"an address is written like ops@example.com, not {value!r}")
    return value


Address = Annotated[str, AfterValidator(_address)]


class Email(Responder, CompleteLogin):
    """Sends each notification to all of ``to`` by the mail server ``host``, as text and as HTML.

    ``security``: "starttls" (port 587), "tls" (465) or "none" (25), which takes no password.
    The Message-ID is made of the notification's key. A temporary refusal is tried again, a
    permanent one rejected. Of several recipients some may be refused: that is reported, and the
    mail is not sent again to the others. If the server falls silent after it has the text, nobody
    knows: "unknown".
    """

    model_config = ConfigDict(populate_by_name=True)

    host: str = Field(pattern=r"^[A-Za-z0-9.:-]+$")
    port: int | None = Field(None, ge=1, le=65_535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: Address = Field(alias="from")
    to: tuple[Address, ...] = Field(min_length=1, max_length=100)
    tls: Tls = Tls()

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.password is not None and self.security == "none":
            raise ValueError('a password is not sent with security "none": use starttls or tls')
        return self

    def respond(self, notification: Notification) -> Delivery:
        """Send the mail."""
        try:
            password = None if self.password is None else revealed(self.password)
            smtp = self._client()
        except TocsinError as error:
            return Delivery("retry", str(error))
        try:
            with deadline(lambda: smtp.sock, self.timeout):
                return self._sent(smtp, password, message(notification, self.sender, self.to))
        except smtplib.SMTPAuthenticationError as error:
            return Delivery("rejected", f"{self._place} refuses the login ({error.smtp_code})")
        except smtplib.SMTPResponseException as error:
            return self._refused(error.smtp_code, error.smtp_error)
        except smtplib.SMTPNotSupportedError as error:
            return Delivery("rejected", f"{self._place}: {line(str(error))}")
        except (smtplib.SMTPException, OSError) as error:
            return Delivery("retry", f"{self._place}: {trouble(error)}")
        finally:
            smtp.close()

    def check(self) -> str | None:
        """Return what is wrong with the password, the certificates or the host."""
        try:
            self.tls.context()
        except TocsinError as error:
            return str(error)
        return unrevealed(self.password) or unresolved(self.host, self._port)

    @property
    def _port(self) -> int:
        return self.port or _PORTS[self.security]

    @property
    def _place(self) -> str:
        return f"{self.host}:{self._port}"

    def _client(self) -> smtplib.SMTP:
        """Return a client that is not connected."""
        if self.security == "tls":
            return smtplib.SMTP_SSL(timeout=self.timeout, context=self.tls.context())
        return smtplib.SMTP(timeout=self.timeout)

    def _sent(self, smtp: smtplib.SMTP, password: str | None, mail: EmailMessage) -> Delivery:
        # The name is what the certificate is checked against; connect() alone would not keep it.
        smtp._host = self.host  # type: ignore[attr-defined]
        _expect(smtp.connect(self.host, self._port), 220)
        smtp.ehlo_or_helo_if_needed()
        if self.security == "starttls":
            _expect(smtp.starttls(context=self.tls.context()), 220)
        if password is not None:
            smtp.login(self.username or "", password)
        _expect(smtp.mail(self.sender), 250)
        refused = {}
        for recipient in self.to:
            code, said = smtp.rcpt(recipient)
            if code not in (250, 251):
                refused[recipient] = code, said
        if len(refused) == len(self.to):
            codes = [code for code, _ in refused.values()]
            return self._refused(min(codes), _listed(refused).encode())
        _expect(smtp.docmd("DATA"), 354)
        smtp.send(re.sub(rb"(?m)^\.", b"..", mail.as_bytes()) + b".\r\n")
        try:
            answer = smtp.getreply()
        except (smtplib.SMTPServerDisconnected, OSError):
            return Delivery("unknown", f"{self._place} did not answer after the text was sent")
        _expect(answer, 250)
        return Delivery("delivered", _listed(refused))

    def _refused(self, code: int, said: bytes | str) -> Delivery:
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        status: Literal["retry", "rejected"] = "rejected" if 500 <= code < 600 else "retry"
        return Delivery(status, f"{self._place} answers {code}: {line(text)}")


def message(notification: Notification, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Return a notification as a mail, the same each time."""
    identity = hashlib.sha256(notification.key.encode("utf-8", "replace")).hexdigest()[:32]
    text = text_of(notification)
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = subject_of(notification)
    mail["Date"] = format_datetime(notification.created)
    mail["Message-ID"] = f"<{identity}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(text)
    mail.add_alternative(f"<html><body><pre>{html.escape(text)}</pre></body></html>", "html")
    mail.set_boundary(f"=_{identity}")
    return mail


def _expect(answer: tuple[int, bytes], code: int) -> None:
    if answer[0] != code:
        raise smtplib.SMTPResponseException(*answer)


def _listed(refused: dict[str, tuple[int, bytes]]) -> str:
    each = (
        f"{who} ({code} {said.decode(errors='replace')})" for who, (code, said) in refused.items()
    )
    return line(f"refused: {', '.join(each)}") if refused else ""
