"""The benchmark of logs: what is trained on and tested, and the figures that come of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tocsin.cli import app
from tocsin.errors import InputError, ParameterError, UnknownName, UnreadableFile
from tocsin.evaluate.suites.base import Row
from tocsin.evaluate.suites.logs import LogSuite, bgl_tasks, hdfs_tasks


def line(i: int, alert: str, level: str, message: str) -> str:
    time = f"2005-06-03-15.{i // 60:02d}.{i % 60:02d}.363779"
    return f"{alert} 11178385{i:02d} 2005.06.03 R02-M1 {time} R02-M1 RAS KERNEL {level} {message}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    usual = [" ".join(map(str, [5, *rng.choice([11, 9], 2), 26])) for _ in range(300)]
    odd = ["5 7 7 26"] * 40 + ["5"] * 160
    sessions = tmp_path / "hdfs_sessions"
    sessions.mkdir()
    (sessions / "train_normal.txt").write_text("\n".join(usual[:200]) + " \n")
    (sessions / "test_abnormal.txt").write_text(" \n".join(odd) + "\n")
    tested = [f"{each},0" for each in usual[200:]] + [f"{each},1" for each in odd[30:50]]
    (sessions / "labelled.csv").write_text("\n".join(["Sequence,label", *tested]))
    lines = [line(i, "-", "INFO", f"{i} cache parity error corrected") for i in range(60)]
    for i in (10, 40, 50):
        lines[i] = line(i, "KERNDTLB", "FATAL", f"data TLB error interrupt {i}")
    (tmp_path / "bgl").mkdir()
    (tmp_path / "bgl/BGL_2k.log").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_sessions_are_contaminated_by_the_share(folder: Path) -> None:
    clean, some = hdfs_tasks(folder / "hdfs_sessions", ["hdfs_clean", "hdfs_20"], [3])
    assert (len(clean.X), clean.training, clean.seed) == (200, "clean", 3)
    assert (len(some.X), some.training) == (250, "mixed")
    assert some.test is not None
    assert (len(some.test), int(some.labels.sum())) == (120, 20)
    again, other = hdfs_tasks(folder / "hdfs_sessions", ["hdfs_20"], [3, 4])
    drawn = [[x.templates.tolist() for x in each.X[200:]] for each in (some, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_too_few_abnormal_sessions_are_refused(folder: Path) -> None:
    (folder / "hdfs_sessions/test_abnormal.txt").write_text("5 7\n")
    with pytest.raises(InputError, match="hdfs_10 needs 22"):
        list(hdfs_tasks(folder / "hdfs_sessions", ["hdfs_10"], [0]))


def test_lines_train_on_the_normal_ones_of_the_first_half(folder: Path) -> None:
    with_level, without = bgl_tasks(folder / "bgl/BGL_2k.log", ["bgl_level", "bgl_no_level"], [0])
    assert with_level.test is not None
    assert without.test is not None
    assert len(with_level.X) == 29
    assert np.flatnonzero(with_level.labels).tolist() == [10, 20]
    assert with_level.test[10].levels == ("FATAL",)
    assert without.test[10].levels == without.X[0].levels == ()
    shown = [str(session) for session in (*with_level.X, *with_level.test)]
    assert not any("KERNDTLB" in text for text in shown)


def test_rows_tell_of_every_protocol_and_detector(folder: Path) -> None:
    seen: list[Row] = []
    protocols = ["hdfs_clean", "hdfs_10", "bgl_level"]
    rows = LogSuite(folder, protocols, [0, 1]).run(["auto", "log_rarity"], seen.append)
    assert rows == seen
    assert len(rows) == 3 * 2 * 2
    assert {row["dataset"] for row in rows} == {"hdfs", "bgl"}
    for row in rows:
        assert row["error"] is None
        assert row["items_per_second"] > 0
        assert 0 <= row["f1"] <= 1
    sessions = [row for row in rows if row["protocol"].startswith("hdfs")]
    assert min(row["roc_auc"] for row in sessions) > 0.95
    assert min(row["f1"] for row in sessions if row["detector"] == "auto") > 0.9


def test_what_cannot_be_asked_for_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="hdfs_clean"):
        LogSuite(folder, protocols=["hdfs_2"]).run()
    with pytest.raises(ParameterError, match="seed"):
        LogSuite(folder, seeds=[]).run()
    with pytest.raises(UnknownName, match="log_rarty"):
        LogSuite(folder).run(["log_rarty"])
    with pytest.raises(InputError, match="neither hdfs_sessions nor"):
        LogSuite(tmp_path / "none").run()
    (folder / "hdfs_sessions/train_normal.txt").write_text("5 five\n")
    with pytest.raises(UnreadableFile, match=r"train_normal\.txt holds more than event numbers"):
        LogSuite(folder).run()
    (folder / "hdfs_sessions/train_normal.txt").unlink()
    with pytest.raises(UnreadableFile, match=r"train_normal\.txt cannot be read"):
        LogSuite(folder).run()
    (folder / "bgl/BGL_2k.log").write_text("KERNDTLB 1 2\n" * 4)
    with pytest.raises(UnreadableFile, match="no line of the first half"):
        list(bgl_tasks(folder / "bgl/BGL_2k.log", ["bgl_level"], [0]))


def test_the_command_prints_means_and_writes_rows(folder: Path) -> None:
    file = folder / "rows.json"
    options = ["--data", str(folder), "--seeds", "0", "--json", str(file), "--detectors"]
    chosen = ["log_rarity", "--protocols", "hdfs_5,bgl_no_level"]
    result = CliRunner().invoke(app, ["bench", "logs", *options, *chosen])
    assert result.exit_code == 0, result.output
    assert "hdfs_5" in result.output
    assert "seed 0  log_rarity  ROC AUC" in result.stderr
    rows = json.loads(file.read_text())
    assert [row["protocol"] for row in rows] == ["hdfs_5", "bgl_no_level"]
