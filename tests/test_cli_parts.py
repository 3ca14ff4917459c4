"""`tocsin sources` and `tocsin responders`: what there is, and what can be set."""

import json

import pytest
from typer.testing import CliRunner

from tocsin.cli import app
from tocsin.settings.reference import settings_of
from tocsin.sources.kafka import Kafka


def run(*arguments: str) -> str:
    answer = CliRunner().invoke(app, arguments)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


@pytest.mark.parametrize("kind", ["sources", "responders"])
def test_parts_are_listed_with_what_they_do(kind: str) -> None:
    listed = {line.split(maxsplit=1)[0] for line in run(kind).splitlines()}
    assert listed == {each["name"] for each in json.loads(run(kind, "--json"))}
    assert "kafka" in listed


def test_a_source_is_shown_with_its_settings() -> None:
    shown = run("sources", "kafka")
    for setting in settings_of(Kafka):
        assert f"  {setting.name} " in shown
    found = json.loads(run("sources", "kafka", "--json"))["settings"]
    assert {"name": "topics", "kind": "list of: text", "default": "required"} in found["kafka"]
    assert {"name": "ca", "kind": "path", "default": "none"} in found["Tls"]


def test_durations_and_choices_are_told_apart() -> None:
    found = json.loads(run("sources", "host", "--json"))["settings"]["host"]
    assert {"name": "every", "kind": "duration", "default": "5s"} in found
    kafka = json.loads(run("sources", "kafka", "--json"))["settings"]["kafka"]
    assert {"name": "start", "kind": "beginning, end", "default": "beginning"} in kafka
