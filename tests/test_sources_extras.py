"""Sources by name, and what they say when their package is not installed."""

import asyncio
import sys
from typing import Any

import pytest

from tocsin.errors import MissingExtra, ParameterError
from tocsin.registry import find_part, part_names

SETTINGS: dict[str, dict[str, Any]] = {
    "kafka": {
        "servers": ["k:9092"],
        "topics": ["t"],
        "group": "g",
        "password": {"env": "HUSH"},
        "tls": {},
    },
    "redis": {"streams": ["s"], "group": "g", "password": {"env": "HUSH"}},
    "mqtt": {
        "host": "m",
        "topics": ["t"],
        "client_id": "c",
        "password": {"env": "HUSH"},
        "tls": {},
    },
    "prometheus": {"queries": {"a": "up"}, "token": {"env": "HUSH"}},
    "remote_write": {"port": 0, "metrics": ["up"], "token": {"env": "HUSH"}},
    "sql": {"url": "postgresql://ann:hush@h/d", "table": "t", "watermark": "n"},
    "socket": {"port": 0},
    "syslog": {"port": 0},
    "file": {"path": "a.log"},
    "folder": {"path": "in"},
    "host": {},
}


def test_every_source_is_found_and_describes_itself_without_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HUSH", "hush")
    assert set(part_names("sources")) == set(SETTINGS)
    for name, settings in SETTINGS.items():
        source = find_part("sources", name)(**settings)
        assert source.describe()
        assert "hush" not in source.describe().lower()


@pytest.mark.parametrize(
    ("name", "package"), [("kafka", "aiokafka"), ("redis", "redis"), ("mqtt", "aiomqtt")]
)
def test_a_package_that_is_missing_is_named(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [m for m in sys.modules if m.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    source = find_part("sources", name)(**SETTINGS[name])

    async def work() -> None:
        await anext(source.read(None))

    with pytest.raises(MissingExtra, match=rf'{package}.*pip install "tocsin\[{name}\]"'):
        asyncio.run(work())


@pytest.mark.parametrize("name", ["kafka", "redis", "mqtt", "prometheus", "remote_write"])
def test_a_check_asks_for_secrets(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = find_part("sources", name)(**SETTINGS[name])
    with pytest.raises(ParameterError, match="HUSH is empty or not set"):
        source.check()
    monkeypatch.setenv("HUSH", "hush")
    assert source.check() == ""


def test_a_check_asks_for_certificates() -> None:
    source = find_part("sources", "mqtt")(
        host="m", topics=["t"], client_id="c", tls={"ca": "no.pem"}
    )
    with pytest.raises(ParameterError, match=r"TLS cannot be set up from no\.pem"):
        source.check()


def test_a_check_names_counters_that_are_written_as_they_are() -> None:
    """Of remote writes: by the endings that Prometheus gives to counters."""
    metrics = ["cpu", "requests_total", "latency_bucket", "total_memory"]
    remark = find_part("sources", "remote_write")(port=0, metrics=metrics).check()
    assert remark.startswith("requests_total, latency_bucket only grow")
    assert "rate()" in remark
