"""``tocsin bench``: suites are found by the registry, those of other packages too."""

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tocsin import registry
from tocsin.cli import app
from tocsin.errors import UnknownName


class BeatBench:
    """A suite of another package."""

    modality = "beats"

    @staticmethod
    def command(count: Annotated[int, typer.Option(help="How many beats.")] = 3) -> None:
        """Measure detectors on beats."""
        typer.echo(f"{count} beats")


def test_a_suite_of_another_package_is_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "pipeline": EntryPoint("beats", "tocsin.pipeline:Pipeline", "tocsin.pipeline"),
        "cli.bench": EntryPoint("beats", f"{__name__}:BeatBench", "tocsin.cli.bench"),
    }
    own = registry._entry_points

    def found(floor: str) -> dict[str, EntryPoint]:
        return own(floor) | ({"beats": points[floor]} if floor in points else {})

    monkeypatch.setattr(registry, "_entry_points", found)
    assert CliRunner().invoke(app, ["bench", "beats", "--count", "5"]).output == "5 beats\n"
    listed = CliRunner().invoke(app, ["bench", "--help"]).output
    assert "Measure detectors on beats." in listed
    for name in ("tables", "series", "logs", "text", "images", "false-alarms"):
        assert f"  {name} " in listed


def test_false_alarms_are_of_a_modality_that_there_is(tmp_path: Path) -> None:
    words = ["bench", "false-alarms", "--data", str(tmp_path), "--as", "tabels"]
    with pytest.raises(UnknownName, match="tables"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_false_alarms_of_tables_are_written_and_printed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "easy.npz", X=rng.normal(size=(300, 3)), y=np.arange(300) < 5)
    rows = tmp_path / "out" / "rows.json"
    words = ["bench", "false-alarms", "--data", str(tmp_path), "--detectors", "hbos"]
    done = CliRunner().invoke(app, [*words, "--seeds", "0", "--json", str(rows)])
    assert done.exit_code == 0, done.output
    assert "False alarms on unseen normal rows" in done.stdout
    assert [row["budget"] for row in json.loads(rows.read_text())] == [0.01, 0.05]
