"""Logs as people have them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tocsin import detect
from tocsin.prepare.log_formats import ParseCounts, parse, recognise
from tocsin.readers.log import RawLine
from tocsin.types import LogDetection

BEGIN = datetime(2026, 3, 1, 8, tzinfo=UTC)
Write = Callable[[datetime, str, str], str]
"""How a format writes a time, a level and a message."""

USUAL = ("connection from 10.0.0.{n} accepted", "request {n} took {m} ms", "cache holds {n} items")
ODD = "checksum mismatch on volume archive: data lost"

WRITTEN: dict[str, Write] = {
    "levelled": lambda t, level, text: f"{t:%Y-%m-%d %H:%M:%S} {level} {text}",
    "syslog": lambda t, level, text: f"{t:%b %d %H:%M:%S} gate app[71]: {level} {text}",
    "python": lambda t, level, text: f"{t:%Y-%m-%d %H:%M:%S},000 - app - {level} - {text}",
}


def lines_of(write: Write, seed: int, n: int = 300) -> tuple[list[str], int]:
    """Return lines of a format, 7 s apart, and the place of the odd one among them."""
    draw = random.Random(seed)  # noqa: S311
    odd = draw.randrange(n // 2, n)
    lines = []
    for i in range(n):
        text = draw.choice(USUAL).format(n=draw.randrange(1, 250), m=draw.randrange(5, 90))
        level, text = ("ERROR", ODD) if i == odd else ("INFO", text)
        lines.append(write(BEGIN + timedelta(seconds=7 * i), level, text))
    return lines, odd


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("format", WRITTEN)
def test_formats(format: str, seed: int) -> None:
    """A log in a common format: its times are read, and the odd line is first."""
    lines, odd = lines_of(WRITTEN[format], seed)
    counts = ParseCounts()
    raw = [RawLine("app.log", i, line) for i, line in enumerate(lines, 1)]
    records = list(parse(raw, recognise(lines), counts, now=(BEGIN + timedelta(1)).timestamp()))
    assert counts.untimed == 0
    assert [r.time for r in records] == [BEGIN.timestamp() + 7 * i for i in range(len(lines))]
    found = detect(lines, modality="logs")
    assert isinstance(found, LogDetection)
    assert found.scores.values.argmax() == odd
    assert odd in found.anomalies
