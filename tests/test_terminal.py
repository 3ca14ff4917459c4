"""What data hold reaches a terminal, a pipe or JSON as text: every command, over hostile names."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from support.jobs import day, fault, job
from support.notifications import alarm
from support.terminals import EVIL, SEEN, SEEN_IN_JSON, Terminal, commands, faults, named
from tocsin import cli
from tocsin.cli import terminal as terminals
from tocsin.cli import up
from tocsin.monitor.stores import Stores
from tocsin.types import Rejection

CONFIG = """
monitors:
  pumps:
    source: {type: file, path: %s, fields: {time: at}}
    model: %s
    training: {detector: hbos, after: 200, false_alarms: 0.01}
    alarms: {open: 1, of: 1}
responders: {ops: {type: console}}
policies: [{match: {}, respond: [ops], group_wait: 0s}]
"""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "4000")
    return Terminal(monkeypatch)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of every modality, whose names, columns, categories and lines steer a terminal."""
    folder = tmp_path_factory.mktemp("hostile")
    rng = np.random.default_rng(0)
    load = rng.uniform(size=300)
    load[-1] = 40.0
    table = pd.DataFrame(
        {
            f"load{EVIL}": load,
            f"watts{EVIL}": 3 * load + rng.normal(size=300),
            f"kind{EVIL}": [f"a{EVIL}"] * 150 + [f"b{EVIL}"] * 149 + [f"c{EVIL}"],
            f"same{EVIL}": "x",
        }
    )
    table.to_parquet(named(folder, ".parquet"))
    times = pd.date_range("2026-03-01", periods=300, freq="min")
    wave = np.sin(np.arange(300) / 5)
    for ending in ("-calm-series.parquet", "-series.parquet"):
        series = pd.DataFrame({"time": times, f"heat{EVIL}": wave, f"flow{EVIL}": np.cos(wave)})
        both = pd.concat([series.assign(entity=f"p{i}{EVIL}") for i in range(2)])
        both.to_parquet(named(folder, ending))
        wave = np.where(times.minute == 20, 90, wave)
    texts = [f"the pump {i % 7} runs at {i % 5} bar{EVIL}" for i in range(120)] + [f"no {EVIL} go"]
    pd.DataFrame({f"body{EVIL}": texts}).to_parquet(named(folder, "-texts.parquet"))
    lines = [*day(60), *fault(70), *job(71), f"2026-03-01 11:00:00 ERROR disk: {EVIL}"]
    named(folder, ".log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pictures = named(folder, "-images")
    pictures.mkdir()
    for i in range(8):
        pixels = rng.integers(90, 110, size=(48, 48, 3), dtype=np.uint8)
        pixels[:20] += 140 * (i == 7)
        Image.fromarray(pixels).save(pictures / f"{i}{EVIL}.png")
    (pictures / f"broken{EVIL}.png").write_bytes(b"\x89PNG not one")
    return folder


@pytest.fixture
def monitor(tmp_path: Path) -> Path:
    """A tocsin.yaml in a folder whose name steers, and a store with hostile alarms and events."""
    home = tmp_path / EVIL
    home.mkdir()
    text = events(range(300)) + EVIL.replace("\n", " ") + "\n"
    (home / f"events{EVIL}.jsonl").write_text(text, encoding="utf-8")
    settings = CONFIG % (json.dumps(f"events{EVIL}.jsonl"), json.dumps(f"model{EVIL}"))
    (home / "tocsin.yaml").write_text(settings, encoding="utf-8")
    (home / "wrong.yaml").write_text(json.dumps({"monitors": {EVIL: {EVIL: EVIL}}}), "utf-8")
    with Stores.opened(f"sqlite:///{home}/tocsin.db") as stores:
        hostile = {"entity": EVIL, "summary": EVIL, "evidence": {EVIL: [EVIL]}}
        with stores.db.begin() as c:
            stores.alarms.save(c, [alarm(id, labels={EVIL: EVIL}, **hostile) for id in "abc"])
            rejected = [Rejection("malformed", EVIL, EVIL)]
            stores.quarantine.add(c, "pumps", rejected, datetime(2026, 3, 2, tzinfo=UTC))
    return home


def events(numbers: range) -> str:
    """Lines of events of one entity, calm ones, and hot ones from number 300 on."""
    return "".join(
        json.dumps(
            {
                "at": f"2026-03-01T00:{i // 60:02}:{i % 60:02}Z",
                "id": f"e{i}",
                "entity": f"p{EVIL}",
                f"heat{EVIL}": float(np.sin(i)) if i < 300 else 70.0,
            }
        )
        + "\n"
        for i in numbers
    )


FAST: dict[str, tuple[str, ...]] = {
    ".parquet": ("--detector", "hbos"),
    "-series.parquet": ("--as", "series", "--detector", "kmeans_windows"),
    "-texts.parquet": ("--as", "text", "--detector", "text_neighbours"),
    ".log": ("--session", "(job [0-9]+)"),
    "-images": ("--detector", "patch_memory"),
}
QUICK = (".parquet", ".log")


def check(words: tuple[object, ...], code: int, text: str, *, shows: str) -> None:
    """Nothing that was printed steers; what data hold is there, in escapes."""
    assert not faults(text), (words, text)
    assert "Traceback" not in text
    assert "internal error" not in text
    assert shows in text, (words, code, text)


@pytest.mark.parametrize("ending", FAST)
def test_commands_on_data_print_names_in_escapes(
    terminal: Terminal, folder: Path, ending: str
) -> None:
    """Names of files, columns, categories, entities, channels, images, sessions, and words."""
    data, out = named(folder, ending), named(folder, f"-model{ending}")
    calm = named(folder, f"-calm{ending}")
    known = calm if calm.exists() else data
    label = "--label" if "parquet" in ending else "--labels"
    how = () if "-series" not in ending else ("--as", "series")
    row = () if ending == ".log" else ("--row", 20 if "series" in ending else 0)
    runs = [
        (("detect", data, *FAST[ending]), SEEN),
        (("detect", data, *FAST[ending], "--json"), SEEN_IN_JSON),
        (("fit", known, *FAST[ending], "--false-alarms", "0.05", "--out", out), SEEN),
        (("score", out, data, "--out", named(folder, f"{ending}.jsonl")), SEEN),
        (("score", out, data, "--json"), SEEN_IN_JSON),
        (("explain", out, data, *row), SEEN),
        (("explain", out, data, *row, "--json"), SEEN_IN_JSON),
        (("evaluate", data, *how, label, f"no{EVIL}"), "owned"),
    ]
    for words, shows in runs if ending in QUICK else [runs[0], *runs[2:6:2], runs[5]]:
        for piped in (False, True) if ending in QUICK else (False,):
            code, text = terminal.run(*words, piped=piped)
            assert code == 0 or words[0] == "evaluate", text
            check(words, code, text, shows=shows)


WRONG = [
    ("detect", f"no{EVIL}.csv"),
    ("detect", "data.parquet", f"extra{EVIL}"),
    ("detect", "data", f"--{EVIL}"),
    ("fit", "data.parquet", "--out", "x", "--detector", EVIL),
    ("score", f"no{EVIL}", "data"),
    ("explain", f"no{EVIL}", "data"),
    ("evaluate", "data.parquet", "--label", EVIL),
    ("up", "--config", f"no{EVIL}.yaml"),
    ("init", f"no{EVIL}/x.yaml"),
    ("detectors", EVIL),
    ("detectors", "--modality", EVIL),
    ("sources", EVIL),
    ("responders", EVIL),
    (EVIL,),
    ("bench", EVIL),
    *(("bench", suite, "--data", f"no{EVIL}") for suite in ("images", "logs", "series")),
    *(("bench", suite, "--data", f"no{EVIL}") for suite in ("tables", "text", "false-alarms")),
    ("bench", "tables", "--data", "sets", "--detectors", "hbos"),
    ("bench", "false-alarms", "--data", "sets", "--detectors", "hbos", "--seeds", "0"),
]


@pytest.mark.parametrize("words", WRONG, ids=lambda words: " ".join(words)[:20].encode().hex())
def test_errors_and_benchmarks_print_names_in_escapes(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """What was given and cannot be used: files, columns, detectors, parts, sets and words."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets").mkdir()
    X = np.random.default_rng(0).normal(size=(200, 2))
    pd.DataFrame(X, columns=["a", "b"]).to_parquet(tmp_path / "data.parquet")
    np.savez(tmp_path / "sets" / f"easy{EVIL}.npz", X=X, y=np.arange(200) < 9)
    for piped in (False, True):
        code, text = terminal.run(*words, piped=piped)
        check(words, code, text, shows="owned")


MONITOR: list[tuple[object, ...]] = [
    ("check",),
    ("check", "--json"),
    ("check", "--config", "wrong.yaml"),
    ("train", "pumps"),
    ("train", EVIL),
    ("replay", "pumps"),
    ("replay", "pumps", "--json"),
    ("events",),
    ("events", "--quarantine"),
    ("events", "--quarantine", "--json"),
    ("events", EVIL),
    ("alarms", "list"),
    ("alarms", "list", "--json"),
    ("alarms", "show", "a"),
    ("alarms", "ack", "a", "--note", EVIL, "--who", EVIL),
    ("alarms", "show", "a"),
    ("alarms", "resolve", "b"),
    ("alarms", "reopen", "b"),
    ("alarms", "label", "c", "false-alarm"),
    ("alarms", "silence", f"entity={EVIL}", "--note", EVIL, "--who", EVIL),
    ("alarms", "approve", EVIL),
    ("init", "tocsin.yaml"),
]
CHANGES = [("alarms", each) for each in ("ack", "resolve", "reopen", "label")]
QUIET = {("check", "--json"), ("events",), ("init", "tocsin.yaml")}


def test_commands_of_monitors_print_names_in_escapes(
    terminal: Terminal, monitor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of monitors, models and folders, entities, events, alarms, notes, and YAML."""
    monkeypatch.chdir(monitor)
    for words in MONITOR:
        for piped in (False,) if words[:2] in CHANGES else (False, True):
            code, text = terminal.run(*words, piped=piped)
            check(words, code, text, shows="" if words in QUIET else "owned")
        if words == ("train", "pumps"):
            with (monitor / f"events{EVIL}.jsonl").open("a", encoding="utf-8") as file:
                file.write(events(range(310, 320)))


def test_a_running_monitor_prints_and_logs_names_in_escapes(monitor: Path) -> None:
    """The log, with what a training in another process printed, and notifications."""
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "tocsin", "up"]
    running = subprocess.Popen(words, cwd=monitor, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    hot, text, until = "", "", time.monotonic() + 60
    os.set_blocking(ours, False)
    while "ALARM" not in text and time.monotonic() < until:
        time.sleep(0.1)
        with suppress(BlockingIOError):
            text += os.read(ours, 65_536).decode()
        if "scored by" in text and not hot:
            hot = events(range(300, 310))
            with (monitor / f"events{EVIL}.jsonl").open("a", encoding="utf-8") as file:
                file.write(hot)
    running.send_signal(signal.SIGINT)
    running.wait(30)
    os.close(ours)
    check(("up",), running.returncode, text, shows=f"pumps p{SEEN}")


def test_no_record_of_a_log_is_forged() -> None:
    """Messages and tracebacks with line feeds: only records begin a line."""
    try:
        raise ValueError(EVIL)
    except ValueError:
        given = ("log", logging.ERROR, "x.py", 1, "failed: %s", (EVIL,), sys.exc_info())
    first, *more = up._formatter().format(logging.LogRecord(*given)).split("\n")
    assert first.endswith(f"failed: {SEEN}")
    assert more[0] == "    Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in more)
    assert "ValueError: " + SEEN.partition(r"\n")[0] in more[-2]


def test_what_others_print_is_escaped(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings of libraries, and whatever writes to standard output or standard error."""

    def others() -> None:
        sys.stderr.write(EVIL.replace("\n", " "))
        sys.stdout.writelines([EVIL.replace("\n", " ")])
        assert not hasattr(sys.stdout, "buffer")

    monkeypatch.setattr(cli, "app", lambda **_: others())
    code, text = terminal.run()
    check((), code, text, shows="owned")
    assert text.count("owned") == 2


def test_what_a_stream_cannot_encode_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """ASCII alone, and names of files that are no text."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    terminals.echo("caf\u00e9 \udcff")
    with terminals.guarded():
        sys.stdout.write("\u2026")
    stream.flush()
    assert stream.buffer.getvalue() == rb"caf\xe9 \udcff" + b"\n" + rb"\u2026"


def test_no_command_is_left_out() -> None:
    """Whoever adds a command gives it hostile names here."""
    covered = {("up",), ("detect",), ("fit",), ("score",), ("explain",), ("evaluate",)}
    covered |= {
        words[: 2 if words[0] in ("alarms", "bench") else 1] for words in [*WRONG, *MONITOR]
    }
    assert set(commands()) <= covered
