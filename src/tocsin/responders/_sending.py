"""What responders that send notifications as JSON share: the payload, secrets, deadlines."""

from __future__ import annotations

import json
import math
import socket
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, ClassVar

import msgspec
from pydantic import Field

from tocsin.base.responder import Responder
from tocsin.errors import ParameterError, TocsinError
from tocsin.responders._text import line
from tocsin.settings import Secret
from tocsin.types import Alarm, Delivery, Notification

_CUTS = ((500, 32), (50, 4))
"""What an alarm that is too large is cut to: characters of a text, values of a list."""


class Sender(Responder):
    """Sends notifications as JSON of at most ``largest`` bytes, and can send other JSON as well.

    Delivered at least once: when nobody knows whether the receiver has it, it is sent again; the
    receiver recognises it by the key. ``acts``: whether an action may send its commands this way.
    """

    repeatable: ClassVar[bool] = True
    acts: ClassVar[bool] = False

    largest: int = Field(256_000, ge=16_384, le=1_000_000)

    @abstractmethod
    def send(self, body: bytes, key: str) -> Delivery:
        """Send JSON. "unknown" when it may have arrived, "retry" only when it surely has not.

        Raises TocsinError for settings that cannot work at present.
        """

    def respond(self, notification: Notification) -> Delivery:
        """Send the notification."""
        try:
            sent = self.send(payload(notification, self.largest), notification.key)
        except TocsinError as error:
            return Delivery("retry", str(error))
        if sent.status == "unknown" and self.repeatable:
            return Delivery("retry", f"{sent.reason}; it may have arrived")
        return sent


def payload(notification: Notification, largest: int) -> bytes:
    """Return a notification as JSON, the same bytes each time, in ASCII and in one line.

    ``version``: 1. ``key``: identifies a notification that comes twice. ``kind``, ``created``,
    ``group``: of the notification. ``alarms``: all fields of each, times in ISO 8601 and UTC; one
    that is too large has texts cut, no evidence, and ``"cut": true``. ``omitted``: how many alarms
    did not fit.
    """
    head = {
        "version": 1,
        "key": notification.key,
        "kind": notification.kind,
        "created": notification.created,
        "group": dict(notification.group),
    }
    start = encoded(head)
    if len(start) > largest // 4:
        start = encoded(head, _CUTS[-1])
    room = largest - len(start) - 40
    alarms: list[bytes] = []
    for alarm in notification.alarms:
        part = fitted(alarm, room)
        if part is None:
            break
        alarms.append(part)
        room -= len(part) + 1
    omitted = len(notification.alarms) - len(alarms)
    return start[:-1] + b',"alarms":[' + b",".join(alarms) + b'],"omitted":%d}' % omitted


def encoded(value: Any, cut: tuple[int, int] | None = None) -> bytes:
    """Return JSON in ASCII without NaN: every reader takes it, and no terminal obeys it."""
    plain = _plain(msgspec.to_builtins(value, enc_hook=str), cut)
    return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()


def fitted(alarm: Alarm, room: int) -> bytes | None:
    """Return an alarm in at most ``room`` bytes, cut if need be; None if it cannot fit."""
    whole = encoded(alarm)
    if len(whole) <= room:
        return whole
    parts = {**asdict(alarm), "evidence": {}, "cut": True}
    return next((part for cut in _CUTS if len(part := encoded(parts, cut)) <= room), None)


def _plain(value: Any, cut: tuple[int, int] | None) -> Any:
    longest, most = cut or (None, None)
    if isinstance(value, str):
        return value[:longest].encode("utf-8", "replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        # All keys of an alarm itself are kept; only their values are cut.
        items = list(value.items())[: most if "fingerprint" not in value else None]
        return {_plain(str(key), cut): _plain(each, cut) for key, each in items}
    if isinstance(value, list | tuple):
        return [_plain(each, cut) for each in value[:most]]
    return value


def revealed(secret: Secret | str) -> str:
    """Return a setting's text. Raises ParameterError if it is missing or not one line."""
    text = secret if isinstance(secret, str) else secret.reveal()
    if not text.isprintable() or not text.isascii():
        where = secret if isinstance(secret, Secret) else "a setting"
        raise ParameterError(f"The text in {where} must be one line of ASCII characters.")
    return text


def unrevealed(*secrets: Secret | str | None) -> str | None:
    """Return what is wrong with secrets, None for nothing."""
    for secret in secrets:
        try:
            if secret is not None:
                revealed(secret)
        except ParameterError as error:
            return str(error)
    return None


def unresolved(host: str, port: int) -> str | None:
    """Return what is wrong with a host's name, None for nothing."""
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return f'The host "{host}" has no address: {trouble(error)}.'
    return None


def trouble(error: BaseException) -> str:
    """Return an error of a network in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return line(str(getattr(error, "strerror", None) or error or type(error).__name__))


@contextmanager
def deadline(connection: Callable[[], socket.socket | None], seconds: float) -> Iterator[None]:
    """Cut a connection off after some seconds, however slowly a server drips its answer.

    Without it, each single read could take as long as the whole response may.
    """

    def cut() -> None:
        try:
            if (sock := connection()) is not None:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            pass

    timer = threading.Timer(max(seconds, 0.001), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
