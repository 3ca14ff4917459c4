"""The command line on time series, run as a person runs it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.commands import run
from support.machines import FAULT, machine

DETECTOR = ("--detector", "kmeans_windows")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """normal.csv: a machine that works; new.csv: one with a fault, which ``bad`` marks."""
    folder = tmp_path_factory.mktemp("machine")
    machine(800, fault=None).to_csv(folder / "normal.csv", index=False)
    labels = np.isin(np.arange(1500), np.arange(FAULT.start, FAULT.stop)).astype(int)
    machine(seed=1).assign(bad=labels).to_csv(folder / "new.csv", index=False)
    return folder


def test_detect_draws_reports_and_tells(folder: Path) -> None:
    done = run(
        *("detect", folder / "new.csv", "--train", folder / "normal.csv", "--label", "bad"),
        *(*DETECTOR, "--report", folder / "r.html", "--png", folder / "r.png"),
        *("--out", folder / "scores.csv"),
    )
    assert "taken as time series" in done.stdout
    assert "pressure 6" in done.stdout
    assert "VUS-PR" in done.stdout
    assert (folder / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (folder / "r.png").read_bytes().startswith(b"\x89PNG")
    scores = pd.read_csv(folder / "scores.csv")
    assert scores["score"].idxmax() in range(FAULT.start - 60, FAULT.stop + 60)
    assert scores["time"][0].startswith("2026-03-01")


def test_fit_score_and_explain(folder: Path) -> None:
    run("fit", folder / "normal.csv", "--out", folder / "model", *DETECTOR)
    scored = json.loads(run("score", folder / "model", folder / "new.csv", "--json").stdout)
    first = scored["anomalies"][0]
    assert scored["rows"] == 1500
    assert first["start"]["row"] <= FAULT.stop
    assert first["peak"]["time"].endswith("Z")
    assert first["reasons"][0]["name"] == "pressure"
    rows = run("explain", folder / "model", folder / "new.csv", "--row", 1205, "--json")
    assert json.loads(rows.stdout)[0]["start"] == first["start"]
    nothing = run("explain", folder / "model", folder / "new.csv", "--row", 20)
    assert nothing.stdout == "no anomaly holds these rows\n"


def test_the_first_rows_to_learn_from(folder: Path) -> None:
    words = ("detect", folder / "new.csv", "--train-rows", 1000, *DETECTOR, "--json")
    found = json.loads(run(*words).stdout)
    assert found["anomalies"][0]["reasons"][0]["name"] == "pressure"


def test_evaluate_measures_ranges(folder: Path) -> None:
    words = ("evaluate", folder / "new.csv", "--label", "bad")
    names = ("--detectors", "kmeans_windows,autoregression")
    results = json.loads(run(*words, *names, "--json").stdout)
    assert [result["detector"] for result in results] == ["kmeans_windows", "autoregression"]
    assert all(result["found"] == 1.0 and result["vus_pr"] > 0.2 for result in results)
    shown = run(*words, *names).stdout
    assert "VUS-PR" in shown
    assert "(optimistic)" in shown


def test_rows_may_be_taken_as_a_table_all_the_same(folder: Path) -> None:
    words = ("detect", folder / "new.csv", "--detector", "hbos", "--as", "tables", "--json")
    assert "row" in json.loads(run(*words).stdout)["anomalies"][0]


def test_what_cannot_work_is_said(folder: Path) -> None:
    bad = ("detect", folder / "new.csv", "--time", "clock")
    assert "clock" in run(*bad, code=2).stderr
    png = ("detect", folder / "new.csv", "--as", "tables", "--detector", "hbos", "--png", "x.png")
    assert "--png is for series or metrics; this is taken as a table" in run(*png, code=2).stderr
    (folder / "short.csv").write_text("time,x\n2026-01-01,5\n2026-01-02,7\n2026-01-03,4\n")
    short = run("detect", folder / "short.csv", "--as", "series", *DETECTOR, code=2)
    assert "at least 16 points" in short.stderr
