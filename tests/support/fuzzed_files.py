"""Odd files given to detect, fit and score, each in a process forked for it.

``python -m support.fuzzed_files 5000`` (in ``tests``) gives 5,000 files of all modalities and
prints what became of them: done (exit 0), refused (exit 2), or a fault: another exit code, a
traceback, a file left over, a signal, or more than 60 seconds.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from support.commands import invoke
from support.odd_files import MODALITIES, write_odd
from support.odd_tables import series, table
from support.texts import known
from support.trained import save_trained

LONGEST = 60
"""Seconds of processor for one file; of the clock three times that, on a busy machine."""
MEMORY = 3 * 2**30
_DETECTORS = {
    "tables": "neighbours",
    "series": "spectral_residual",
    "logs": "log_rarity",
    "text": "text_views",
    "images": "patch_gaussian",
}
_SETTINGS = {"text": ["encoder=null"], "images": ["size=64", "layers=fine"]}
_WEIGHTS = (0.46, 0.19, 0.21, 0.12, 0.02)
_AUTO = 0.04  # of the files are given to the default detector, which takes longer


class Outcome(NamedTuple):
    """What became of a file: "done", "refused" or what went wrong, and the words of the command."""

    seed: int
    command: str
    what: str
    said: str
    seconds: float
    megabytes: float


def fuzz(seeds: range, models: Path) -> Iterator[Outcome]:
    """Yield what becomes of one odd file per seed; ``models`` holds a model per modality."""
    with tempfile.TemporaryDirectory() as room:
        _import_all(Path(room), models)
        for seed in seeds:
            home = Path(room) / f"f{seed}"
            home.mkdir()
            try:
                yield _tried(home, seed, models)
            finally:
                shutil.rmtree(home, ignore_errors=True)


def train(models: Path) -> None:
    """Save a small model of each modality; those of tables and series know the plain files."""
    for modality, name in _DETECTORS.items():
        if modality in ("tables", "series"):
            import tocsin

            rng = np.random.default_rng(0)
            frame = table(rng, 200) if modality == "tables" else series(rng, 300)
            make = tocsin.Pipeline if modality == "tables" else tocsin.SeriesPipeline
            make(name).fit(frame).save(models / modality)
        elif modality == "text":
            text = models / "text.txt"
            text.write_text("\n".join(known()))
            invoke(
                "fit",
                text,
                "--as",
                "text",
                "--detector",
                name,
                *_set(modality),
                "--out",
                models / modality,
            )
        else:
            save_trained((modality, name), models / modality)


def _tried(home: Path, seed: int, models: Path) -> Outcome:
    rng = np.random.default_rng(seed)
    modality = str(rng.choice(MODALITIES, p=_WEIGHTS))
    path = write_odd(home, modality, rng)
    words, outputs = _command(home, path, modality, rng, models)
    before = _files(home)
    begin = time.monotonic()
    status, usage = _forked(home, lambda: _run(words))
    said = (home / "said").read_text(errors="replace") if (home / "said").exists() else ""
    left = _files(home) - before - {"said", "printed"}
    return Outcome(
        seed,
        " ".join(words),
        _judged(status, said, left, outputs),
        said[-1_500:],
        time.monotonic() - begin,
        usage / 1024,
    )


def _command(
    home: Path, path: Path, modality: str, rng: np.random.Generator, models: Path
) -> tuple[list[str], set[str]]:
    """Return the words of a command, and the names of what it writes at the top of ``home``."""
    name = "auto" if rng.random() < _AUTO and modality != "images" else _DETECTORS[modality]
    kind = str(rng.choice(["detect", "fit", "score"]))
    given = ["--as", modality] if rng.random() < 0.7 or modality in ("text", "images") else []
    if kind == "score":
        words = ["score", str(models / modality), str(path), "--out", str(home / "scores.csv")]
        return [*words, "--chunk-rows", "25"] if rng.random() < 0.5 else words, {"scores.csv"}
    words = [kind, str(path), *given]
    if given:
        words += ["--detector", name]
        words += [] if name == "auto" else _set(modality)
    if kind == "fit":
        return [*words, "--out", str(home / "model")], {"model"}
    outputs = set()
    if rng.random() < 0.3:
        outputs = {"scores.jsonl"}
        words += ["--out", str(home / "scores.jsonl")]
    return [*words, "--json"] if rng.random() < 0.3 else words, outputs


def _set(modality: str) -> list[str]:
    return [word for each in _SETTINGS.get(modality, ()) for word in ("--set", each)]


def _judged(status: int, said: str, left: set[str], outputs: set[str]) -> str:
    if os.WIFSIGNALED(status):
        number = signal.Signals(os.WTERMSIG(status))
        return "hang" if number in (signal.SIGALRM, signal.SIGXCPU) else f"signal {number.name}"
    code = os.WEXITSTATUS(status)
    if "Traceback" in said or "internal error" in said:
        return "fault"
    if code not in (0, 2):
        return f"exit {code}"
    if code == 2 and not said.strip():
        return "refused without words"
    if left - (outputs if code == 0 else set()):
        return f"left over: {', '.join(sorted(left))}"
    return "refused" if code else "done"


def _files(home: Path) -> set[str]:
    return {entry.name for entry in home.iterdir()}


def _run(words: list[str]) -> None:
    from tocsin.cli import main

    sys.argv = ["tocsin", *words]
    main()


def _forked(home: Path, work: Callable[[], None]) -> tuple[int, int]:
    """Do some work in a child with limits; return its exit status and its memory in kB."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _limit()
            os.chdir(home)
            for name, number in (("printed", 1), ("said", 2)):
                os.dup2(os.open(home / name, os.O_WRONLY | os.O_CREAT), number)
            sys.stdout, sys.stderr = (os.fdopen(os.dup(number), "w") for number in (1, 2))
            work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 70 * (end.code is not None)
        except BaseException:  # noqa: BLE001 - a fault, to be told
            import traceback

            with contextlib.suppress(BaseException):
                os.write(2, traceback.format_exc().encode())
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    return status, usage.ru_maxrss


def _limit() -> None:
    """Limit the memory and the time of this process; what ends it then is a signal."""
    here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + MEMORY, here + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST + 5))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(3 * LONGEST)


def _import_all(room: Path, models: Path) -> None:
    """Import what the commands import, as a child finds it, so that each file costs little."""
    home = room / "first"
    home.mkdir()
    rng = np.random.default_rng(0)
    table(rng).to_csv(home / "table.csv", index=False)
    series(rng).to_csv(home / "series.csv", index=False)
    names: set[str] = set()
    for words in (
        ["detect", "table.csv", "--out", "s.jsonl"],
        ["detect", "series.csv"],
        ["fit", "table.csv", "--out", "m"],
        *(["score", str(models / each), "table.csv"] for each in MODALITIES),
    ):

        def work(words: list[str] = words) -> None:
            with contextlib.suppress(SystemExit):
                _run(words)
            Path("modules").write_text(json.dumps(sorted(sys.modules)))

        _forked(home, work)
        names.update(json.loads((home / "modules").read_text()))
    for name in sorted(names):
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    shutil.rmtree(home)


def main() -> None:
    """Give odd files to the command line, and print what became of them."""
    n, first = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as room:
        models = Path(sys.argv[3] if len(sys.argv) > 3 else room)
        if not (models / MODALITIES[-1]).exists():
            train(models)
        counts: Counter[str] = Counter()
        longest = largest = 0.0
        for outcome in fuzz(range(first, first + n), models):
            counts[outcome.what] += 1
            longest, largest = max(longest, outcome.seconds), max(largest, outcome.megabytes)
            if outcome.what not in ("done", "refused") or outcome.seconds > LONGEST / 3:
                print(json.dumps(outcome._asdict()), flush=True)
            if counts.total() % 250 == 0:
                print(counts.total(), dict(counts), flush=True)
    print(counts.total(), dict(counts), f"longest {longest:.1f} s, largest {largest:.0f} MB")


if __name__ == "__main__":
    main()
