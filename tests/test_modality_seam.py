"""A modality of another package, registered by entry points alone, is used like our own.

``support/pulses`` is that package: beats of a pulse. Nothing of it is known to Tocsin.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SUPPORT = Path(__file__).parent / "support" / "pulses"
SLOW = 150  # the beat that is anomalous in every file


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the package as pip would have installed it."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(SUPPORT / "tocsin_pulses", site / "tocsin_pulses")
    about = site / "tocsin_pulses-1.0.dist-info"
    about.mkdir()
    shutil.copy(SUPPORT / "entry_points.txt", about)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tocsin-pulses\nVersion: 1.0\n")
    return site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with beats, normal ones, labels, and events of a monitor."""
    home = tmp_path_factory.mktemp("beats")
    rng = np.random.default_rng(1)
    for name in ("normal", "today"):
        beats = [rng.normal(0.8, 0.02, rng.integers(8, 20)) for _ in range(300)]
        if name == "today":
            beats[SLOW] += 0.4
        lines = [" ".join(f"{interval:.4f}" for interval in beat) for beat in beats]
        (home / f"{name}.pulses").write_text("\n".join(lines) + "\n")
        events = [json.dumps({"beat": line}) for line in lines]
        (home / f"{name}.jsonl").write_text("\n".join(events) + "\n")
    labels = [int(i == SLOW) for i in range(300)]
    (home / "today.csv").write_text("label\n" + "\n".join(map(str, labels)) + "\n")
    return home


def environment(installed: Path) -> dict[str, str]:
    """Return the variables under which Python finds the package."""
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}


def run(installed: Path, *arguments: object, cwd: Path) -> str:
    """Return what a command prints; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        check=False,
        env=environment(installed),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def rows(output: str) -> list[int]:
    found: dict[str, Any] = json.loads(output)
    return [anomaly["row"] for anomaly in found["anomalies"]]


def test_detected_and_reported(installed: Path, folder: Path, tmp_path: Path) -> None:
    data, report, scores = folder / "today.pulses", tmp_path / "r.html", tmp_path / "s.csv"
    normal = folder / "normal.pulses"
    shown = run(
        installed, "tocsin", "detect", data, "--train", normal, "--report", report, "--out", scores,
        cwd=tmp_path,
    )  # fmt: skip
    assert "mean interval" in shown
    assert f"beat {SLOW}: mean interval" in report.read_text()
    assert len(scores.read_text().splitlines()) == 301
    output = run(installed, "tocsin", "detect", data, "--train", normal, "--json", cwd=tmp_path)
    assert rows(output)[0] == SLOW
    reason = json.loads(output)["anomalies"][0]["reasons"][0]
    assert set(reason) == {"name", "seen", "expected", "weight"}
    assert (reason["name"], round(reason["expected"], 1)) == ("mean interval", 0.8)


def test_fitted_scored_explained_and_evaluated(
    installed: Path, folder: Path, tmp_path: Path
) -> None:
    data, model = folder / "today.pulses", tmp_path / "model"
    run(installed, "tocsin", "fit", folder / "normal.pulses", "--out", model, cwd=tmp_path)
    manifest = json.loads((model / "manifest.json").read_text())
    assert manifest["pipeline"] == "pulses"
    assert rows(run(installed, "tocsin", "score", model, data, "--json", cwd=tmp_path))[0] == SLOW
    told = json.loads(
        run(installed, "tocsin", "explain", model, data, "--row", SLOW, "--json", cwd=tmp_path)
    )
    assert told[0]["reasons"][0]["name"] == "mean interval"
    measured = run(
        installed, "tocsin", "evaluate", data, "--labels", folder / "today.csv", cwd=tmp_path
    )
    assert "1.000" in measured


def test_listed_benchmarked_and_checked(installed: Path, folder: Path, tmp_path: Path) -> None:
    listed = run(installed, "tocsin", "detectors", "--modality", "pulses", cwd=tmp_path)
    assert "Mean and spread" in listed
    assert "pulses" in run(installed, "tocsin", "bench", "--help", cwd=tmp_path)
    output = run(installed, "tocsin", "bench", "pulses", "--data", folder, cwd=tmp_path)
    assert "today ROC AUC 1.000" in output
    program = 'from tocsin.checks import check_detector; check_detector("auto", "pulses")'
    (tmp_path / "checking.py").write_text(program)
    run(installed, "checking", cwd=tmp_path)


def test_trained_and_watched_by_a_monitor(installed: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(
        f"""
monitors:
  heart:
    source: {{type: file, path: {tmp_path / "events.jsonl"}}}
    model: model
    training: {{modality: pulses, after: 300, false_alarms: 0.001}}
"""
    )
    events = tmp_path / "events.jsonl"
    shutil.copy(folder / "normal.jsonl", events)
    run(installed, "tocsin", "check", cwd=tmp_path)
    with watching(installed, tmp_path):
        wait_for((tmp_path / "model" / "manifest.json").exists)
    with events.open("a") as more:
        more.write((folder / "today.jsonl").read_text())
    with watching(installed, tmp_path):
        wait_for(lambda: slow_beats(installed, tmp_path))
    lines = (folder / "today.pulses").read_text().splitlines()
    assert slow_beats(installed, tmp_path) == [lines[SLOW]]
    assert json.loads((tmp_path / "model" / "manifest.json").read_text())["pipeline"] == "pulses"


@contextmanager
def watching(installed: Path, home: Path) -> Iterator[None]:
    """Run ``tocsin up`` in a folder until the block ends."""
    command = [sys.executable, "-m", "tocsin", "up"]
    with subprocess.Popen(command, env=environment(installed), cwd=home) as up:
        try:
            yield
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(30)


def slow_beats(installed: Path, home: Path) -> list[str]:
    """Return the beats that the monitor took for anomalies, the last 300 of them at most."""
    output = run(installed, "tocsin", "events", "heart", "--anomalies", "--json", cwd=home)
    return [event["event"]["beat"] for event in json.loads(output)]


def wait_for(met: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is true; fail if it does not become so."""
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.3)
