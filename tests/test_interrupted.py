"""What every command writes is whole or not there, whatever stops it, and nothing else is left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

from support.commands import invoke
from support.jobs import day, fault
from support.walls import fill
from tocsin import Pipeline, files
from tocsin.cli import app
from tocsin.errors import ParameterError

MEMORY = ["--detector", "patch_memory", "--set", "size=64", "--set", "bank=200"]
MONITOR = """
monitors:
  pump:
    source: {type: file, path: events.jsonl}
    model: out/model
    training: {detector: ecod, after: 100}
"""
COMMANDS: dict[str, tuple[str, str]] = {
    "scores, CSV": ("detect t.csv --detector ecod --out out/s.csv", "out/s.csv"),
    "scores, Parquet": ("detect t.csv --detector ecod --out out/s.parquet", "out/s.parquet"),
    "scores, JSON lines": ("detect t.csv --detector ecod --out out/s.jsonl", "out/s.jsonl"),
    "scores of score": ("score model t.csv --out out/s.csv", "out/s.csv"),
    "model of detect": ("detect t.csv --detector ecod --save out/model", "out/model"),
    "model of fit": ("fit t.csv --detector ecod --out out/model", "out/model"),
    "model of train": ("train pump --force", "out/model"),
    "report of a table": ("detect t.csv --detector ecod --report out/r.html", "out/r.html"),
    "report of a series": (
        "detect s.csv --detector spectral_residual --report out/r.html",
        "out/r.html",
    ),
    "report of a log": ("detect a.log --detector log_rarity --report out/r.html", "out/r.html"),
    "picture of a series": (
        "detect s.csv --detector spectral_residual --png out/p.png",
        "out/p.png",
    ),
    "overlays": ("detect new --train good " + " ".join(MEMORY) + " --overlays out/o", "out/o"),
    "plots": ("evaluate t.csv --label bad --detectors ecod --plots out/plots", "out/plots"),
    "rows of a benchmark": (
        "bench tables --data sets --detectors ecod --seeds 0 --json out/b.json",
        "out/b.json",
    ),
    "picture of promises": (
        "bench false-alarms --data later --detectors ecod --budgets 0.05 --plot out/p.png",
        "out/p.png",
    ),
    "page of promises": (
        "bench false-alarms --data later --detectors ecod --budgets 0.05 --plot out/p.html",
        "out/p.html",
    ),
    "example": ("init out/tocsin.yaml --force", "out/tocsin.yaml"),
}
_PATHS = os.pathsep.join([str(Path(__file__).parent), str(Path(files.__file__).parents[1])])
WRITTEN = {"out", "save", "report", "png", "overlays", "plots", "plot", "json"}
READ = {"data", "train", "labels", "model", "config", "sign-key"}


@pytest.fixture(
    scope="module", params=[(), pytest.param(("--whole",), marks=pytest.mark.slow)], ids=str
)
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What became of each command under each trouble."""
    home = tmp_path_factory.mktemp("interrupted")
    _fill(home)
    asked = {
        name: {"words": words.split(), "written": str(home / written)}
        for name, (words, written) in COMMANDS.items()
    }
    done = subprocess.run(
        [sys.executable, "-m", "support.interrupted", *request.param],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=home,
        env={**os.environ, "PYTHONPATH": _PATHS, "TOCSIN_CACHE": "off", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _fill(home: Path) -> None:
    (home / "out").mkdir()
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(200, 3)), columns=list("abc"))
    table.assign(bad=(table["a"] > 1.9).astype(int)).to_csv(home / "t.csv", index=False)
    time = pd.date_range("2026-01-01", periods=300, freq="min")
    wave = np.sin(np.arange(300) / 8) + 5 * (np.arange(300) == 200)
    pd.DataFrame({"time": time, "v": wave}).to_csv(home / "s.csv", index=False)
    (home / "a.log").write_text("\n".join([*day(30), *fault(31)]) + "\n")
    fill(home / "good")
    fill(home / "new", 4, spotted=(1, 2))
    (home / "sets").mkdir()
    np.savez(home / "sets" / "one.npz", X=table.to_numpy(), y=(table["a"] > 1.9).to_numpy())
    (home / "later" / "one").mkdir(parents=True)
    table.to_csv(home / "later" / "one" / "train_normal.csv", index=False)
    table.to_csv(home / "later" / "one" / "test.csv", index=False)
    (home / "tocsin.yaml").write_text(MONITOR)
    events = table.assign(time=pd.date_range("2026-01-01", periods=200, freq="s"))
    events.to_json(home / "events.jsonl", orient="records", lines=True, date_format="iso")
    Pipeline("ecod").fit(table).save(home / "model")


def _remainders(found: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the outcomes of a command."""
    good = set(found["none"]["files"])
    if found["none"]["code"] or not good:
        yield f"fails without trouble: {found['none']['said']}"
    if set(found["again"]["files"]) != good or any(found["again"]["files"].values()):
        yield "a run after the troubles does not leave its files alone"
    for trouble, seen in found.items():
        hidden = {name for name in seen["files"] if name.startswith(".")}
        there = {name: old for name, old in seen["files"].items() if name not in hidden}
        # A folder cannot be without a name: the next run removes what a killed one left of it.
        if hidden and (not trouble.startswith("killed") or not all(".tmp/" in n for n in hidden)):
            yield f"{trouble}: left {hidden}"
        if trouble in ("none", "again"):
            continue
        expected = set() if trouble.endswith("nothing there") else good
        if set(there) != expected:
            yield f"{trouble}: {there}"
        if not all(old for name, old in there.items() if not name.endswith("manifest.json")):
            yield f"{trouble}: another content: {there}"
        said = "cannot be" in seen["said"] and "Traceback" not in seen["said"]
        if trouble.startswith("disk") and (seen["code"] != 2 or not said):
            yield f"{trouble}: ends with {seen['code']}, {seen['said']}"


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_there_stays_or_the_new_is_whole(name: str, outcomes: Any) -> None:
    assert list(_remainders(outcomes[name])) == []


def _commands(group: Any, *words: str) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "commands"):
            yield from _commands(command, *words, name)
        else:
            yield *words, name


def test_every_option_that_names_a_file_is_tried() -> None:
    named: set[str] = set()
    for words in _commands(get_command(app)):
        named.update(re.findall(r"(?i)--([a-z-]+) +<?path", invoke(*words, "--help").output))
    assert named <= WRITTEN | READ
    assert named >= WRITTEN


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    before = os.umask(0o022)
    try:
        assert files.write_atomically(path, "new").stat().st_mode & 0o777 == 0o644
        path.chmod(0o600)
        assert files.write_atomically(path, "newer").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_pipe_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    files.write_atomically(pipe, "through")
    assert os.read(reading, 100) == b"through"
    os.close(reading)
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "[a]*?.csv", "-rf", "a\nb"])
def test_names_as_long_and_odd_as_the_system_takes(tmp_path: Path, name: str) -> None:
    files.write_atomically(tmp_path / name, "1")
    for _ in range(2):
        with files.replacing_folder(
            tmp_path / "sub" if name == "-rf" else tmp_path / f"{name[:-1]}f"
        ) as new:
            (new / "a").write_text("1")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot be written: File name too long"):
        files.write_atomically(tmp_path / ("x" * 256), "1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["", ".png"])
def test_names_from_data_are_bounded_by_bytes_and_differ(tmp_path: Path, ending: str) -> None:
    given = [
        "é" * 300,
        "é" * 301,
        "😀" * 200,
        "A",
        "a",
        "a-2",
        "a",
        "../a",
        "",
        "..",
        "\ud800",
        "x" * 255,
    ]
    made = files.file_names(given, ending)
    assert len({name.casefold() for name in made}) == len(given)
    for name in made:
        assert len(name.encode()) <= 255
        assert name.endswith(ending)
        files.write_atomically(tmp_path / name, "1")
    assert {path.name for path in tmp_path.iterdir()} == set(made)


def test_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    with files.replacing_folder(tmp_path / "m") as one:
        (one / "a").write_text("1")
        with files.replacing_folder(tmp_path / "m") as other:
            (other / "a").write_text("2")
        assert one.exists()
    assert (tmp_path / "m" / "a").read_text() == "1"
    mine = tmp_path / ".m.backup.tmp"
    mine.mkdir()
    with files.replacing_folder(tmp_path / "m"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".m.backup.tmp", "m"]


def test_without_what_linux_has_files_are_whole_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE")
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    path = files.write_atomically(tmp_path / "a", "1")
    with suppress(KeyboardInterrupt), files.replacing(path) as new:
        new.write_text("2")
        raise KeyboardInterrupt
    for content in "34":
        with files.replacing_folder(tmp_path / "m") as folder:
            (folder / "a").write_text(content)
    assert (path.read_text(), (tmp_path / "m" / "a").read_text()) == ("1", "4")
    assert len(list(tmp_path.iterdir())) == 2
