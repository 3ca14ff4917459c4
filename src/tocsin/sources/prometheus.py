"""Values that a Prometheus server computes, at even steps, from where reading stopped."""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import time
from collections.abc import AsyncIterator
from http.client import HTTPException, HTTPMessage
from typing import IO, Any, ClassVar, NoReturn, Self
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

import msgspec
import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from tocsin.base.source import Source
from tocsin.errors import InputError, ParameterError
from tocsin.settings import Duration, Secret
from tocsin.settings.login import Login
from tocsin.settings.tls import Tls
from tocsin.settings.urls import PlainUrl
from tocsin.sources._pauses import Pauses
from tocsin.types import Batch, Offset

log = logging.getLogger(__name__)

_STEPS = 500  # in one question; Prometheus gives 11,000 at most
_CHUNK = 65_536
_LATER = {408, 429, 500, 502, 503, 504}

_Values = dict[tuple[float, str], dict[str, float]]
"""By time and entity the values of columns."""


class Prometheus(Source, Login):
    """The results of PromQL ``queries``, by column, at every multiple of ``every``.

    An event holds the results of all queries for an entity at a time. ``entity`` names the labels
    that identify an entity; without it there is one, and each query returns one series. A value
    that is absent, not a number or infinite is missing, and an entity without any value has no
    event. A time is queried once it is past by ``delay``; where a query fails, all are repeated.
    The first reading starts ``history`` back, later ones where the last one stopped. Warnings of
    the server, such as of partial data, are logged, and its data is used.
    """

    ordered: ClassVar[bool] = True

    url: PlainUrl = Field("http://127.0.0.1:9090", pattern=r"^https?://")
    queries: dict[str, str] = Field(min_length=1)
    every: Duration = Field(15.0, ge=0.05)
    entity: tuple[str, ...] = ()
    history: Duration = 0.0
    delay: Duration = 0.0
    timeout: Duration = Field(30.0, gt=0)
    largest: int = Field(64_000_000, ge=1_000)
    token: Secret | None = None
    tls: Tls | None = None

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        secret = self.password or self.token
        if secret is not None and self.url.startswith("http:"):
            host = urlsplit(self.url).hostname or ""
            self.refuse_clear_text([host], "write a url that begins with https://")
        return self

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield events by time; the offset is the last time that was asked for."""
        opener, pauses = self._opener(), Pauses(log)
        last = self._step(time.time() - self.history) - 1
        if offset is not None:
            last = round(offset["time"] / self.every)
        while True:
            first, now = last + 1, self._step(time.time() - self.delay)
            if first > now:
                await asyncio.sleep(max(0.01, first * self.every + self.delay - time.time()))
                continue
            end = min(now, last + _STEPS)
            try:
                values = await asyncio.to_thread(self._values, opener, first, end)
            except ConnectionError as error:
                await pauses.pause(self.describe(), error)
                continue
            pauses.reset()
            last = end
            if values:
                yield self._batch(values, end)

    def describe(self) -> str:
        """Return the server."""
        parts = urlsplit(self.url)
        return f"Prometheus at {parts.hostname}{f':{parts.port}' if parts.port else ''}"

    def _step(self, at: float) -> int:
        return math.floor(at / self.every)

    def _batch(self, values: _Values, end: int) -> Batch:
        keys = sorted(values)
        columns = {name: [values[key].get(name, np.nan) for key in keys] for name in self.queries}
        micros = np.array([round(at * 1e6) for at, _ in keys], dtype="datetime64[us]")
        entities = tuple(entity for _, entity in keys) if self.entity else None
        offset = {"time": end * self.every}
        return Batch(pd.DataFrame(columns), micros, entities=entities, offset=offset)

    def _values(self, opener: OpenerDirector, first: int, end: int) -> _Values:
        """Return what all queries say of some steps. Raises ConnectionError, InputError."""
        found: _Values = {}
        for column, query in self.queries.items():
            for series in self._ask(opener, query, first, end):
                entity = " ".join(series.metric.get(label, "") for label in self.entity)
                for at, text in series.values:
                    value = _number(text)
                    if value is None:
                        continue
                    if column in (row := found.setdefault((at, entity), {})):
                        raise InputError(
                            f'The query of "{column}" gives several series for the entity '
                            f'"{entity}": aggregate them, or name more labels in entity.'
                        )
                    row[column] = value
        return found

    def _ask(self, opener: OpenerDirector, query: str, first: int, end: int) -> list[_Series]:
        steps = {"start": first * self.every, "end": end * self.every, "step": self.every}
        body = urlencode({"query": query, **{k: f"{v:.3f}" for k, v in steps.items()}}).encode()
        request = Request(f"{self.url.rstrip('/')}/api/v1/query_range", body)  # noqa: S310
        for name, value in self._headers().items():
            request.add_unredirected_header(name, value)
        try:
            with opener.open(request, timeout=self.timeout) as response:
                answer = _decoded(self._body(response))
        except HTTPError as error:
            self._refuse(error)
        except (OSError, HTTPException) as error:
            raise ConnectionError(f"it does not answer: {error}.") from error
        for warning in answer.warnings:
            log.warning("%s: %s", self.describe(), warning.encode("unicode_escape").decode())
        return answer.data.result if answer.data else []

    def _body(self, response: Any) -> bytes:
        """Return an answer that is neither too large nor too slow."""
        parts, size, until = [], 0, time.monotonic() + self.timeout
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > self.largest:
                raise InputError(
                    f"{self.describe()} answers with more than {self.largest:,} bytes: ask for "
                    "fewer series, or raise largest."
                )
            if time.monotonic() > until:
                raise TimeoutError(f"no complete answer within {self.timeout:g} s")
        return b"".join(parts)

    def _refuse(self, error: HTTPError) -> NoReturn:
        """Raise what an answer other than 200 means."""
        try:
            reported = msgspec.json.decode(error.read(_CHUNK), type=_Answer).error
        except (msgspec.DecodeError, UnicodeDecodeError, OSError, HTTPException):
            reported = str(error.reason)
        reason = f"HTTP {error.code}, {reported}"
        if error.code in _LATER:
            raise ConnectionError(f"{reason}.") from error
        if error.code in (401, 403):
            raise ParameterError(f"{self.describe()} refuses: {reason}.") from error
        raise InputError(f"{self.describe()} cannot answer: {reason}.") from error

    def _headers(self) -> dict[str, str]:
        if self.token is not None:
            return {"Authorization": f"Bearer {self.token.reveal()}"}
        if self.username is not None:
            password = self.revealed_password() or ""
            pair = base64.b64encode(f"{self.username}:{password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def _opener(self) -> OpenerDirector:
        context = self.tls.context() if self.tls else None
        return build_opener(_NoRedirect, HTTPSHandler(context=context))


class _Series(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""
    warnings: list[str] = []


class _NoRedirect(HTTPRedirectHandler):
    """Follows nothing: an answer comes from the server that was named, or not at all."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Return no request."""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _decoded(raw: bytes) -> _Answer:
    try:
        return msgspec.json.decode(raw, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConnectionError(f"its answer is not one of Prometheus: {error}.") from error
