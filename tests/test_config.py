"""One configuration: what it makes of a file, and how it tells mistakes."""

import re
import time
from importlib.resources import files
from pathlib import Path

import pytest

from tocsin import config, registry
from tocsin.errors import ConfigError

GOOD = """\
store: sqlite:///events/tocsin.db
monitors:
  web:
    source: {type: file, path: log/access.log}
    model: models/web
    late: 1h 30m
    alarms: {open: 3, of: 5, severity: {warning: 0, critical: 3}}
responders:
  desk: {type: console}
policies:
  - match: {monitor: "web-.*"}
    respond: [desk, console]
    escalate: {after: 15m, respond: [console]}
maintenance:
  - {days: [sat, sun], from: "02:00", to: "04:00", timezone: Europe/Berlin}
retention: {events: 30d, archive: old}
"""


def mistakes(text: str) -> list[str]:
    """Return what is told of a configuration, without its head."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text)
    return [line.strip() for line in str(caught.value).splitlines()[1:]] or [str(caught.value)]


def test_durations_names_and_paths(tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(GOOD)
    read = config.read(tmp_path / "tocsin.yaml")
    web = read.monitors["web"]
    assert web.late == 5_400
    assert read.retention.events == 30 * 86_400
    assert read.store.url == f"sqlite:///{tmp_path}/events/tocsin.db"
    assert read.retention.archive == tmp_path / "old"
    assert web.model == tmp_path / "models/web"
    assert web.source.path == tmp_path / "log/access.log"  # type: ignore[attr-defined]


def test_an_unknown_modality_names_those_there_are() -> None:
    text = "monitors: {m: {source: {type: host}, model: m, training: {modality: %s}}}"
    assert config.parse(text % "logs").monitors["m"].training.modality == "logs"
    (told,) = mistakes(text % "tabels")
    assert "monitors.m.training.modality" in told
    assert '"tabels" is unknown; did you mean tables?' in told
    assert told.endswith(f"Valid: {', '.join(registry.modalities())}")


def test_absolute_paths_and_other_stores_stay() -> None:
    text = (
        "store: postgresql://me@host/db\n"
        "monitors: {m: {source: {type: file, path: /var/log/x}, model: /models/m}}"
    )
    read = config.parse(text, Path("/etc/tocsin.yaml"))
    assert read.store.url == "postgresql://me@host/db"
    assert read.monitors["m"].source.path == Path("/var/log/x")  # type: ignore[attr-defined]
    assert read.monitors["m"].model == Path("/models/m")


def test_a_secret_in_a_file_is_beside_the_configuration(tmp_path: Path) -> None:
    text = "monitors: {m: {source: {type: socket, port: 1, token: {file: secret}}, model: m}}\n"
    (tmp_path / "secret").write_text("hush\n")
    token = config.parse(text, tmp_path / "x.yaml").monitors["m"].source.token  # type: ignore[attr-defined]
    assert token.reveal() == "hush"


def test_every_mistake_is_told_with_its_line() -> None:
    text = GOOD.replace("late: 1h 30m", "late: soon").replace("open: 3", "open: many")
    text = text.replace("model: models/web", "model: models/web\n    modle: x")
    text = text.replace("[sat, sun]", "[caturday]").replace("type: console", "type: consol")
    told = mistakes(text)
    assert [line.split(":")[0] for line in told] == [
        "line 6",
        "line 7",
        "line 8",
        "line 10",
        "line 16",
    ]
    for line, word in zip(told, ("modle", "soon", "open", "console", "caturday"), strict=True):
        assert word in line


def test_a_key_twice_is_told() -> None:
    told = mistakes(GOOD + "store: sqlite:///other.db\n")
    assert told == ["line 17: store: is given twice"]
    told = mistakes("monitors:\n  m: {source: {type: host}, model: a, model: b}\n")
    assert told == ["line 2: monitors.m.model: is given twice"]


def test_sources_of_no_known_type() -> None:
    told = mistakes("monitors: {m: {source: {type: carrier-pigeon}, model: m}}")
    assert len(told) == 1
    assert "carrier-pigeon" in told[0]
    assert "kafka" in told[0]
    (told_,) = mistakes("monitors:\n  m:\n    source: host\n    model: m\n")
    assert told_.startswith("line 3: monitors.m.source: needs a type")


def test_a_responder_that_is_not_there() -> None:
    (told,) = mistakes(GOOD.replace("[desk, console]", "[desk, nobody]"))
    assert "nobody" in told


def test_a_secret_as_plain_text_is_refused_and_not_repeated() -> None:
    told = mistakes("monitors: {m: {source: {type: socket, port: 1, token: hush-hush}, model: m}}")
    assert "never as text" in told[0]
    assert "hush-hush" not in told[0]


def test_names_are_checked() -> None:
    (told,) = mistakes("monitors: {'../up': {source: {type: host}, model: m}}")
    assert "invalid name" in told
    told_ = mistakes("monitors: {1: {source: {type: host}, model: m}}")
    assert "valid string" in told_[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just text",
        "[1, 2]",
        "monitors: {m: [",
        "monitors: {m: {source: {type: host}, model: m}}\n---\nmonitors: {}",
        "? [a, b]\n: c",
        "!!python/object/apply:os.system ['true']",
        "monitors: !!python/name:os.system x",
        "at: 2026-13-45",
        "[" * 5_000,
        "x: " * 3,
        "\x00",
        "monitors: null",
        "monitors: {m: null}",
        "monitors: {m: {source: null, model: null}}",
        "monitors: {m: {source: {type: host}, model: m}}\nstore: 5",
        "monitors: {m: {source: {type: host}, model: m}}\nstore: null",
        "monitors: {m: {source: {type: host, every: .nan}, model: m}}",
    ],
)
def test_what_is_no_configuration_is_an_error_of_one_kind(text: str) -> None:
    with pytest.raises(ConfigError):
        config.parse(text)


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    text = "\n".join(lines) + "\nmonitors: {m: {source: {type: host}, model: m, late: *a11}}\n"
    started = time.process_time()
    with pytest.raises(ConfigError, match="aliases"):
        config.parse(text)
    assert time.process_time() - started < 1
    with pytest.raises(ConfigError):
        config.parse("a: &a [*a]\nmonitors: {m: {source: {type: host}, model: m, late: *a}}\n")


def test_a_few_aliases_are_fine() -> None:
    text = (
        "monitors:\n"
        "  a: {source: {type: host}, model: a, alarms: &mine {open: 3, of: 5}}\n"
        "  b: {source: {type: host}, model: b, alarms: *mine}\n"
    )
    assert config.parse(text).monitors["b"].alarms.of == 5


def test_what_is_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="characters"):
        config.parse("#" * 1_000_001)
    with pytest.raises(ConfigError, match="tocsin init"):
        config.read(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"store: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        config.read(tmp_path / "latin.yaml")
    with pytest.raises(ConfigError):
        config.read(tmp_path)


def test_silence_of_a_source_that_samples_is_an_alarm_by_itself() -> None:
    def longest(source: str, more: str = "") -> float | None:
        text = f"monitors: {{m: {{source: {source}, model: m{more}}}}}"
        return config.parse(text).monitors["m"].longest_silence

    assert longest("{type: host, every: 30s}") == 60
    assert longest("{type: host, every: 1s}") == 10
    assert longest("{type: host}", ", no_data: 5m") == 300
    assert longest("{type: file, path: x}") is None


def test_the_example_is_valid_also_with_its_commented_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOCSIN_WEBHOOK_SECRET", "hush hush hush hush")
    example = (files("tocsin.monitor") / "example.yaml").read_text()
    whole = re.sub(r"^(  )# |^# (?=maintenance:|  - )", r"\1", example, flags=re.M)
    path = tmp_path / "tocsin.yaml"
    for text, monitors in ((example, {"machine"}), (whole, {"machine", "payments"})):
        path.write_text(text)
        assert set(config.read(path).monitors) == monitors
    assert config.read(path).maintenance
    assert set(config.read(path).responders) == {"console", "ops"}
