"""How many log lines per second are read, parsed, sorted into templates and scored, beside drain3.

    python benchmarks/logs.py --data DIR

DIR holds ``*.log`` files, also in folders. The lines of each are repeated with other numbers
after the time, of other lengths too, so that hardly a line stands there twice, and written to
a file, those of ZooKeeper also as JSON. In seconds of one processor, the least of three runs:
learning from half of the lines, and scoring the other half as single lines by ``log_counts``,
both from the file to the scores; the same without scores; and drain3 on the parsed messages,
where it is installed, learning as it goes.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.pipeline import LogPipeline
from tocsin.prepare.log_formats import recognise
from tocsin.prepare.logs import LogPreparer
from tocsin.readers.lines import read_lines

COLUMNS = ("learn", "score", "templates", "drain3")


def main() -> None:
    """Print lines a second for each file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lines", type=int, default=200_000)
    options = parser.parse_args()
    print(f"{'lines a second':24}" + "".join(f"{name:>12}" for name in COLUMNS))
    for path in sorted(options.data.rglob("*.log")):
        lines = list(varied(path.read_text("utf-8", "replace").splitlines(), options.lines))
        show(path.stem, lines)
        if path.stem.startswith("Zookeeper"):
            show(f"{path.stem} as JSON", as_json(lines))


def varied(lines: list[str], count: int) -> Iterator[str]:
    """Yield N lines: those given, over and over, with other numbers after the time."""
    rng = np.random.default_rng(0)
    draws = cycle(rng.random(1_000_003).tolist())
    digits = re.compile("[0-9]+")
    read = recognise(lines).read

    def other(found: re.Match[str]) -> str:
        """Return a number of at most as many digits."""
        length = 1 + int(next(draws) * len(found[0]))
        return f"{int(next(draws) * 10**length):0{length}d}"

    for line in islice(cycle(lines), count):
        parts = read(line)
        when = parts[0] if parts else ""
        head, when, rest = line.partition(when) if when else ("", "", line)
        yield head + when + digits.sub(other, rest)


def as_json(lines: list[str]) -> list[str]:
    """Return the lines as a JSON logger writes them."""
    read = recognise(lines).read
    names = ("time", "level", "logger", "message")
    found = (read(line) for line in lines)
    return [json.dumps(dict(zip(names, parts[:4], strict=True))) for parts in found if parts]


def show(name: str, lines: list[str]) -> None:
    """Measure one kind of lines and print a row."""
    half = len(lines) // 2
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder, "old.log"), Path(folder, "new.log")
        old.write_text("\n".join(lines[:half]), "utf-8")
        new.write_text("\n".join(lines[half:]), "utf-8")
        pipeline = LogPipeline("log_counts", session="line", training="clean")
        preparer = LogPreparer(session="line")
        seconds = [timed(lambda: pipeline.fit(old)), timed(lambda: pipeline.score(new))]
        preparer.fit_transform(read_lines(old))
        seconds.append(timed(lambda: preparer.transform(read_lines(new))))
        messages = [record.message for record in preparer.transform(read_lines(new)).records]
    seconds.append(timed_drain(messages))
    print(f"{name:24}" + "".join(f"{half / each:>12,.0f}" for each in seconds), flush=True)


def timed(run: Callable[[], Any]) -> float:
    """Return the fewest seconds of the processor that a call takes, of three."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def timed_drain(messages: list[str]) -> float:
    """Return the seconds that drain3 takes to mask and to learn messages, nan without it."""
    try:
        from drain3 import TemplateMiner  # type: ignore[import-not-found]
        from drain3.masking import MaskingInstruction  # type: ignore[import-not-found]
        from drain3.template_miner_config import (  # type: ignore[import-not-found]
            TemplateMinerConfig,
        )
    except ImportError:
        return float("nan")
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(r"[0-9]+", "*")]
    config.profiling_enabled = False

    def learn() -> None:
        miner = TemplateMiner(config=config)
        for message in messages:
            miner.add_log_message(message)

    return timed(learn)


if __name__ == "__main__":
    main()
