"""What `tocsin detect FILE` says of itself, whatever the file holds."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.commands import run


def table(n: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    load = rng.uniform(size=n)
    frame = pd.DataFrame({"load": load, "watts": 100 + 200 * load + rng.normal(size=n)})
    frame.loc[n // 2, "watts"] += 90
    return frame.to_csv(index=False)


def series(n: int, seed: int) -> str:
    times = pd.date_range("2026-03-01", periods=n, freq="h").astype(str)
    values = np.sin(np.arange(n) / 24 * 2 * np.pi) + np.random.default_rng(seed).normal(0, 0.1, n)
    return pd.DataFrame({"time": times, "value": values}).to_csv(index=False)


def log(n: int, seed: int) -> str:
    draw = random.Random(seed)  # noqa: S311
    lines = [
        f"2026-03-01 08:{i // 60:02}:{i % 60:02} INFO request {draw.random()}" for i in range(n)
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("make", "n", "told"),
    [
        (
            table,
            500,
            ("taken as a table; learned from these rows", "1.00% of 500", "about 5 false"),
        ),
        (table, 36, ("taken as a table; learned from these rows", "too few to guarantee 1.00%")),
        (series, 480, ("taken as time series; pass --as tables", "learned from these points")),
        (log, 240, ("taken as logs; pass --as tables", "learned from these sessions")),
    ],
)
def test_one_sentence(make, n: int, told: tuple[str, ...], tmp_path: Path) -> None:
    """One sentence says what was taken as what, learned from what, and what the budget is worth."""
    path = tmp_path / f"data{'.log' if make is log else '.csv'}"
    path.write_text(make(n, seed=n), encoding="utf-8")
    done = run("detect", path)
    (sentence,) = [line for line in done.stdout.splitlines() if line.startswith("· taken as")]
    assert all(each in sentence for each in told), sentence


def test_learned_elsewhere_or_as_normal(tmp_path: Path) -> None:
    """The sentence tells other rows, and rows taken as normal, from unlabelled ones."""
    normal, new = tmp_path / "normal.csv", tmp_path / "new.csv"
    normal.write_text(table(300, 1), encoding="utf-8")
    new.write_text(table(200, 2), encoding="utf-8")
    assert (
        "learned from other rows, taken as normal" in run("detect", new, "--train", normal).stdout
    )
    assert "all taken as normal" in run("detect", new, "--clean").stdout
