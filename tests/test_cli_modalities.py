"""What the command line asks of each modality: options, and JSON in one shape."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tocsin import registry
from tocsin.cli import app
from tocsin.cli.inputs import Input
from tocsin.cli.loading import guess_modality, modality_cli, modality_clis, reject_options
from tocsin.cli.modalities.base import ModalityCli
from tocsin.cli.options import DataOptions, ModelOptions, OutputOptions, modality_names
from tocsin.cli.taking import takes_options
from tocsin.errors import ParameterError, UnknownName, UnusablePart
from tocsin.types import (
    Decision,
    Detection,
    Explanation,
    ImageDetection,
    Interval,
    LogDetection,
    Reason,
    Scores,
    SeriesDetection,
    TextDetection,
)

REASON = Reason("heat", 98.2, 12.1, 0.81234)
SCORES = Scores(np.array([0.1, 5.0]))
DECISION = Decision(np.array([0.5, 0.001]), 1.0, np.array([False, True]), 0.01)
COMMON = (SCORES, DECISION, np.array([0, 1]), {1: Explanation(1, (REASON,))})

INTERVALS = (Interval(1, 1, 1, 5.0, 0.001, reasons=(REASON,)),)

DETECTIONS: dict[str, Detection] = {
    "tables": Detection(*COMMON),
    "series": SeriesDetection(*COMMON, intervals=INTERVALS),
    "metrics": SeriesDetection(*COMMON, intervals=INTERVALS),
    "logs": LogDetection(
        *COMMON,
        keys=("a", "b"),
        files=("x.log", "x.log"),
        numbers=np.array([1, 2]),
        times=np.array(["NaT", "2026-03-01T12:00"], dtype="datetime64[ms]"),
        sizes=np.array([1, 1]),
        lines={1: ()},
    ),
    "text": TextDetection(*COMMON, texts=np.array(["calm", "heat"], dtype=object)),
    "images": ImageDetection(*COMMON, names=("a.png", "b.png"), sizes=np.full((2, 2), 32)),
}  # fmt: skip


def test_every_modality_has_a_detection_here() -> None:
    assert sorted(DETECTIONS) == registry.modalities()


@pytest.mark.parametrize("modality", DETECTIONS)
def test_json_has_one_shape(modality: str) -> None:
    cli, detection = modality_cli(modality), DETECTIONS[modality]
    whole = cli.as_dict(cli.outcome(detection), "auto")
    assert (whole["rows"], whole["found"], whole["detector"]) == (2, 1, "auto")
    (anomaly,) = whole["anomalies"]
    assert (anomaly["score"], anomaly["p_value"], anomaly["is_anomaly"]) == (5.0, 0.001, True)
    assert anomaly["reasons"] == [
        {"name": "heat", "seen": 98.2, "expected": 12.1, "weight": 0.8123}
    ]
    assert cli.as_dicts(detection, cli.explained(detection)) == [anomaly]


@pytest.mark.parametrize("modality", DETECTIONS)
def test_explanations_are_printed_in_one_form(
    modality: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli, detection = modality_cli(modality), DETECTIONS[modality]
    cli.print_items(detection, cli.explained(detection))
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.endswith("score 5  p-value 0.001")
    assert any(line.startswith("    81%  ") and "heat" in line for line in lines)


@pytest.mark.parametrize("modality", DETECTIONS)
def test_scores_are_written_in_one_shape(modality: str) -> None:
    frame = modality_cli(modality).columns(DETECTIONS[modality])
    assert frame["score"].tolist() == [0.1, 5.0]
    assert {"p_value", "is_anomaly"} < set(frame)


def test_options_of_one_modality_are_refused_by_others() -> None:
    data = {"time", "entity", "format", "session", "window", "text", "label"}
    for cli in modality_clis():
        assert cli.options <= data | {
            "models",
            "missing",
            "scale",
            "adapt",
            "train_rows",
            "png",
            "overlays",
            "examples",
        }
        for name in data - cli.options:
            with pytest.raises(
                ParameterError, match=f"--{name} is for .*; this is taken as {cli.noun}"
            ):
                reject_options(cli, {name})
    with pytest.raises(ParameterError, match="--train-rows is for series"):
        reject_options(modality_cli("text"), {"train_rows"})


def test_none_says_that_there_is_no_such_thing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n4,3\n")
    options = DataOptions(time="none")
    assert options.given() == set()
    assert guess_modality(Input(tmp_path / "a.csv", options)).modality == "tables"
    assert guess_modality(Input(tmp_path / "a.csv", DataOptions(time="a"))).modality == "series"


def test_an_unknown_modality_is_told_with_those_known(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    done = CliRunner().invoke(app, ["detect", str(tmp_path / "a.csv"), "--as", "tabels"])
    assert isinstance(done.exception, UnknownName)
    assert "Did you mean tables?" in str(done.exception)
    assert modality_names("t") == ["tables", "text"]


@dataclass(frozen=True)
class Pair:
    """Two options."""

    first: Annotated[int, typer.Option(help="The first.")] = 1
    second: Annotated[str | None, typer.Option("--other", help="The second.")] = None


def test_the_fields_of_a_dataclass_are_options() -> None:
    got: list[tuple[Any, ...]] = []

    @takes_options
    def command(path: Annotated[Path, typer.Argument()], *, pair: Pair, last: bool = False) -> None:
        got.append((path, pair, last))

    assert list(signature(command).parameters) == ["path", "first", "second", "last"]
    single = typer.Typer(rich_markup_mode=None)
    single.command()(command)
    shown = CliRunner().invoke(single, ["--help"]).output
    assert "The first." in shown
    assert "--other" in shown
    for words in (["a"], ["a", "--first", "2", "--other", "x", "--last"]):
        assert CliRunner().invoke(single, words).exit_code == 0
    assert got == [(Path("a"), Pair(), False), (Path("a"), Pair(2, "x"), True)]


def test_what_was_given_is_known_by_name() -> None:
    assert ModelOptions().given() == set()
    assert ModelOptions(clean=False, seed=3, scale="robust").given() == {"clean", "seed", "scale"}
    files = OutputOptions(report=Path("r.html"), out=Path("s.csv"))
    assert files.paths() == [Path("r.html"), Path("s.csv")]


def test_a_package_that_cannot_be_imported_leaves_the_other_modalities_usable(
    tmp_path: Path, register: Callable[..., None]
) -> None:
    groups = ("pipeline", "cli.modalities", "cli.bench", "detectors.theirs", "detectors.tables")
    points = [EntryPoint("theirs", "no_such_package:Part", f"tocsin.{each}") for each in groups]
    register(*points)
    data = tmp_path / "a.csv"
    np.savetxt(data, np.random.default_rng(0).normal(size=(60, 2)), delimiter=",", header="a,b")
    done = CliRunner().invoke(app, ["detect", str(data), "--detector", "neighbours", "--json"])
    assert done.exit_code == 0, done.exception
    assert 'left out: A package registers "theirs" in tocsin.cli.modalities' in done.stderr
    assert json.loads(done.stdout)["rows"] == 60
    for listed in (["detectors"], ["detectors", "padim"], ["bench", "--help"]):
        done = CliRunner().invoke(app, listed)
        assert done.exit_code == 0, done.exception
    refused = CliRunner().invoke(app, ["bench", "theirs", "--data", str(tmp_path)])
    assert isinstance(refused.exception, UnusablePart)


def test_what_one_modality_cannot_read_may_be_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.log").write_text("2026-01-01 00:00:00 INFO started\n" * 9)
    monkeypatch.setattr(modality_clis()[0].__class__, "recognises", lambda _, source: source.table)
    assert guess_modality(Input(tmp_path / "a.log", DataOptions())).modality == "logs"


def test_a_report_of_a_modality_without_one_is_refused_before_training() -> None:
    class DnaCli(ModalityCli[Any]):
        modality = "dna"

    with pytest.raises(ParameterError, match=r"adds dna writes no --report"):
        reject_options(DnaCli(), {"report"})
