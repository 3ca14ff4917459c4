"""Passwords and tokens: never printed, never sent in clear text unless that is stated."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.terminals import Terminal
from tocsin import config, registry
from tocsin.errors import ConfigError, ParameterError
from tocsin.settings.clear_text import check_sslmode
from tocsin.settings.urls import parse_database_url
from tocsin.store.database import Database

HUSH = "hush4711"
DATABASES = [
    f"postgresql://me:{HUSH}",
    f"postgresql://me:{HUSH}@127.0.0.1:port/x",
    f"postgresql://me:{HUSH}@127.0.0.1:1/x",
    f"postgresql://me:a@{HUSH}@127.0.0.1:1/x",
    f"postgresql://127.0.0.1:1/x?password={HUSH}",
    f"postgresql://127.0.0.1:1/x?sslpassword={HUSH}&sslmode=disable",
    f"postgresql://127.0.0.1:1/x?options=-c%20password%3D{HUSH}",
    f"postgresql://[::1/x?password={HUSH}",
    f"postgresql:/me:{HUSH}@127.0.0.1/x",
    f"postgres://me:{HUSH}@127.0.0.1:1/x",
    f"oracle://me:{HUSH}@127.0.0.1/x",
    f"nothing+{HUSH}",
    f"me:{HUSH}@127.0.0.1",
    f"{HUSH}",
    f"host=127.0.0.1 password={HUSH}",
]
MONITOR = {"model": "m", "source": {"type": "host"}}


def _text(**settings: Any) -> str:
    return json.dumps({"monitors": {"m": MONITOR}, **settings})


def _source(**settings: Any) -> str:
    return _text(monitors={"m": {"model": "m", "source": settings}})


@pytest.mark.parametrize("url", DATABASES, ids=range(len(DATABASES)))
def test_passwords_in_urls_of_databases_are_never_printed(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of stores and sql sources: as password, in the query, malformed; exit 2, never a fault."""
    monkeypatch.chdir(tmp_path)
    sql = {"type": "sql", "url": url, "table": "t", "watermark": "n"}
    for text in (_text(store=url), _source(**sql)):
        Path("tocsin.yaml").write_text(text, encoding="utf-8")
        for words in (("check",), ("check", "--json"), ("train", "m"), ("events",)):
            code, printed = Terminal(monkeypatch).run(*words, piped=True)
            assert HUSH not in printed
            assert "internal error" not in printed
            assert code in (0, 2)
        with suppress(ConfigError):
            assert HUSH not in repr(config.parse(text))


OTHERS: dict[str, dict[str, Any]] = {
    "redis password": {"type": "redis", "url": f"redis://:{HUSH}@h"},
    "redis query": {"type": "redis", "url": f"redis://h?password={HUSH}"},
    "redis port": {"type": "redis", "url": f"redis://me:{HUSH}"},
    "prometheus password": {"type": "prometheus", "url": f"http://me:{HUSH}@h"},
    "prometheus query": {"type": "prometheus", "url": f"http://h?token={HUSH}"},
    "prometheus key": {"type": "prometheus", "url": f"http://h/?api_key={HUSH}"},
    "prometheus port": {"type": "prometheus", "url": f"http://me:{HUSH}"},
    "prometheus brackets": {"type": "prometheus", "url": f"http://[{HUSH}"},
}


@pytest.mark.parametrize("settings", OTHERS.values(), ids=OTHERS)
def test_urls_that_hold_a_secret_are_refused_without_it(settings: dict[str, Any]) -> None:
    """Of redis and prometheus: as password, in the query, malformed."""
    with pytest.raises(ConfigError) as refused:
        config.parse(_source(**settings))
    assert HUSH not in str(refused.value)
    assert "source.url" in str(refused.value)


def test_a_url_of_a_webhook_is_not_shown() -> None:
    """Its path and query may be the secret itself."""
    hook = {"type": "webhook", "url": f"https://hooks.example/{HUSH}?sig={HUSH}"}
    assert HUSH not in repr(config.parse(_text(responders={"w": hook})))


SECRET = {"env": "TOCSIN_HUSH"}
LOGIN = {"username": "me", "password": SECRET}
SENT: dict[str, tuple[str, str, dict[str, Any], str, dict[str, Any]]] = {
    "mqtt source": (
        *("sources", "mqtt", {"topics": ["t"], "client_id": "c", **LOGIN}, "host"),
        {"tls": {}},
    ),
    "mqtt responder": ("responders", "mqtt", {"topic": "t", **LOGIN}, "host", {"tls": {}}),
    "kafka source": (
        *("sources", "kafka", {"topics": ["t"], "group": "g", **LOGIN}, "servers"),
        {"tls": {}},
    ),
    "kafka responder": ("responders", "kafka", {"topic": "t", **LOGIN}, "servers", {"tls": {}}),
    "redis source": (
        *("sources", "redis", {"streams": ["s"], "group": "g", **LOGIN}, "redis"),
        {"url": "rediss://db.example"},
    ),
    "prometheus password": (
        *("sources", "prometheus", {"queries": {"q": "up"}, **LOGIN}, "http"),
        {"url": "https://db.example"},
    ),
    "prometheus token": (
        *("sources", "prometheus", {"queries": {"q": "up"}, "token": SECRET}, "http"),
        {"url": "https://db.example"},
    ),
    "webhook": (
        *("responders", "webhook", {"headers": {"Authorization": SECRET}}, "http"),
        {"url": "https://db.example"},
    ),
    "alertmanager": (
        *("responders", "alertmanager", {"headers": {"Authorization": SECRET}}, "http"),
        {"url": "https://db.example"},
    ),
}


def _at(how: str, host: str) -> dict[str, Any]:
    """Return the setting that names a host, as each part writes it."""
    if how == "host":
        return {"host": host}
    return {"servers": [f"{host}:9092"]} if how == "servers" else {"url": f"{how}://{host}"}


@pytest.mark.parametrize("case", SENT.values(), ids=SENT)
def test_secrets_are_not_sent_in_clear_text_unless_stated(case: Any) -> None:
    """Beyond this machine TLS or clear_text: true is needed; the message names both."""
    kind, name, settings, how, secure = case
    part = registry.find_part(kind, name)
    for host in ("db.example", "10.0.0.1"):
        with pytest.raises(ValueError, match="clear_text: true"):
            part.model_validate({**settings, **_at(how, host)})
    for host in ("127.0.0.1", "localhost"):
        part.model_validate({**settings, **_at(how, host)})
    part.model_validate({**settings, **_at(how, "db.example"), **secure})
    part.model_validate({**settings, **_at(how, "db.example"), "clear_text": True})


def test_scram_sends_no_password() -> None:
    """Only PLAIN sends the password itself."""
    part = registry.find_part("sources", "kafka")
    given = {"topics": ["t"], "group": "g", "servers": ["db.example:9092"], **LOGIN}
    part.model_validate({**given, "mechanism": "SCRAM-SHA-256"})


@pytest.mark.parametrize(
    ("url", "refused"),
    [
        ("postgresql://me:x@db.example/y", True),
        ("postgresql+psycopg://me:x@db.example/y", True),
        ("postgresql://me@db.example/y?password=x", True),
        ("postgresql://me:x@/y?host=localhost,db.example", True),
        ("postgresql://me:x@db.example/y?sslmode=verify-full", False),
        ("postgresql://me:x@db.example/y?sslmode=disable", False),
        ("postgresql://me:x@localhost/y", False),
        ("postgresql://me:x@[::1]/y", False),
        ("postgresql://me:x@/y?host=/run/postgresql", False),
        ("postgresql://me@db.example/y", False),
    ],
)
def test_a_password_for_postgresql_needs_an_sslmode(
    url: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver alone would go on without TLS, and verify nothing."""
    monkeypatch.delenv("PGSSLMODE", raising=False)
    if not refused:
        check_sslmode(parse_database_url(url))
        return
    with pytest.raises(ParameterError, match="sslmode=verify-full"):
        check_sslmode(parse_database_url(url))
    if "+" not in url:
        with pytest.raises(ParameterError, match="sslmode=verify-full"):
            Database(url)


def test_the_store_takes_its_password_as_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """As url and password; a missing secret is reported by its name."""
    store = {"url": "postgresql://me@127.0.0.1/db", "password": SECRET}
    settings = config.parse(_text(store=store))
    with pytest.raises(ParameterError, match="TOCSIN_HUSH"):
        settings.store.reveal()
    monkeypatch.setenv("TOCSIN_HUSH", "p@ss/word")
    assert settings.store.reveal() == "postgresql://me:p%40ss%2Fword@127.0.0.1/db"
    assert "p@ss" not in repr(settings)
    plain = config.parse(_text(store={"url": "sqlite:///x.db"}), Path("/home/me/tocsin.yaml"))
    assert plain.store.reveal() == "sqlite:////home/me/x.db"


def test_redis_looks_at_the_name_in_the_certificate() -> None:
    """With every version that is allowed: older ones do not by themselves."""
    pytest.importorskip("redis")
    part = registry.find_part("sources", "redis")
    given = {"streams": ["s"], "group": "g", "url": "rediss://db.example"}
    client = part.model_validate(given).client()  # type: ignore[attr-defined]
    assert client.connection_pool.connection_kwargs["ssl_check_hostname"] is True
    assert client.connection_pool.connection_kwargs["ssl_cert_reqs"] == "required"
