"""The command line on logs, run as a person runs it."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from support.commands import run
from support.jobs import day, fault, job
from tocsin.cli.inputs import Input
from tocsin.cli.loading import guess_modality
from tocsin.cli.modalities.logs import LogCli
from tocsin.cli.models import build_pipeline
from tocsin.cli.options import DataOptions, ModelOptions
from tocsin.pipeline import LogPipeline

JOBS = ("--session", "(job [0-9]+)")
STRANGE = "2026-03-01 11:00:00 ERROR disk: \x1b[31m[red]no space[/red] on <b>sda</b>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """normal.log: jobs that end well; new.log: with one that does not."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "normal.log").write_text("\n".join(day()) + "\n")
    new = [*day(5), *fault(500), *job(501), STRANGE, "  at disk.write", *job(502)]
    (folder / "new.log").write_text("\n".join(new) + "\n")
    return folder


def test_detect_shows_lines_as_they_are_but_steers_no_terminal(folder: Path) -> None:
    new = folder / "new.log"
    done = run("detect", new, "--train", folder / "normal.log", "--out", folder / "s.csv")
    assert "taken as logs" in done.stdout
    assert f"{new}:22  2026-03-01T11:00:00Z" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\\x1b[31m[red]no space[/red] on <b>sda</b>" in done.stdout
    assert "23:   at disk.write" in done.stdout
    assert "level ERROR (normal: INFO)" in done.stdout
    scores = pd.read_csv(folder / "s.csv")
    assert list(scores) == ["key", "file", "line", "score", "p_value", "is_anomaly"]
    assert scores["line"][scores["score"].idxmax()] == 22


def test_fit_score_and_explain_sessions(folder: Path) -> None:
    told = run("fit", folder / "normal.log", *JOBS, "--clean", "--out", folder / "model").stdout
    assert "on 120 sessions. Wrote" in told
    scored = json.loads(run("score", folder / "model", folder / "new.log", "--json").stdout)
    found = {anomaly["key"]: anomaly for anomaly in scored["anomalies"]}
    assert found["job 500"]["line"] == 16
    assert found["job 500"]["file"] == str(folder / "new.log")
    assert [line["text"] for line in found["job 500"]["lines"]] == fault(500)
    assert "no space left" in found["job 500"]["reasons"][0]["name"]
    words = ("explain", folder / "model", folder / "new.log")
    shown = run(*words, "--key", "job 3").stdout
    assert "normal" in shown.splitlines()[0]
    assert job(3)[1] in shown


def test_a_report_is_measured_against_labels(folder: Path) -> None:
    keys = [f"job {i},{int(i == 500)}" for i in (*range(5), 500, 501, 502)]
    (folder / "labels.csv").write_text("\n".join(["key,label", *keys]))
    text = (folder / "new.log").read_text().replace(STRANGE, "").replace("  at disk.write", "")
    (folder / "jobs.log").write_text(text)
    words = ("detect", folder / "jobs.log", *JOBS, "--labels", folder / "labels.csv")
    done = run(*words, "--train", folder / "normal.log", "--report", folder / "jobs.html")
    assert "ROC AUC 1.000" in done.stdout
    report = (folder / "jobs.html").read_text()
    assert "1 of 8 sessions are labelled anomalies" in report
    assert "no space left" in report


def test_a_stated_budget_decides() -> None:
    def made(**budget: float | None) -> LogPipeline:
        made = build_pipeline(LogCli(), ModelOptions(window=5.0, seed=3, **budget))
        assert isinstance(made, LogPipeline)
        return made

    assert made().own_threshold
    assert (made().false_alarms, made().window, made().seed) == (0.01, 5.0, 3)
    assert not made(false_alarms=0.01).own_threshold
    assert not made(alarms_per_day=1.0).own_threshold


def test_what_logs_do_not_take_is_said(folder: Path) -> None:
    words = ("detect", folder / "new.log", "--label", "x")
    assert (
        "--label is for text or series or metrics or tables; this is taken as logs"
        in run(*words, code=2).stderr
    )
    assert "--png is for series" in run("detect", folder, "--png", "a.png", code=2).stderr


def test_which_files_are_logs(folder: Path) -> None:
    lines = "\n".join(day(3))
    (folder / "app.txt").write_text(lines)
    (folder / "app.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "numbers.txt").write_text("time\tx\n2026-01-01 00:00:00\t5\n2026-01-01 00:01:00\t7\n")
    (folder / "table.csv").write_text(lines)
    (folder / "noise.bin").write_bytes(bytes(range(256)))
    logs = ("app.txt", "app.gz", "new.log", ".")
    tables = ("numbers.txt", "table.csv", "noise.bin", "missing.log")
    for names, are_logs in ((logs, True), (tables, False)):
        for name in names:
            assert LogCli().recognises(Input(folder / name, DataOptions())) == are_logs, name
    by_options = Input(folder / "table.csv", DataOptions(session="line"))
    assert guess_modality(by_options).modality == "logs"
