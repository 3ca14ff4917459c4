"""Who may read what commands write: never more than the umask allows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.commands import invoke


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_no_file_is_wider_than_the_umask(
    tmp_path: Path, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models and stores are their owner's; scores, reports, plots and settings by the umask."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(120, 2)), columns=["a", "b"])
    frame.assign(bad=np.arange(120) > 115).to_csv("x.csv", index=False)
    with _umask(mask):
        hbos = ("--detector", "hbos", "--label", "bad")
        more = ("--report", "r.html", "--save", "m1", "--mixed")
        for out in ("s.csv", "s.parquet", "s.jsonl"):
            invoke("detect", "x.csv", *hbos, *more, "--out", out)
        invoke("fit", "x.csv", "--out", "m2", *hbos, "--mixed")
        invoke("evaluate", "x.csv", "--detectors", "hbos", "--label", "bad", "--plots", "p")
        invoke("init")
        invoke("events")
    made = [path for path in tmp_path.rglob("*") if path.name != "x.csv"]
    modes = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in made}
    assert {"s.csv", "s.parquet", "s.jsonl", "r.html", "m1", "m2", "tocsin.yaml"} <= set(modes)
    assert not {name: oct(mode) for name, mode in modes.items() if mode & mask}
    private = {name: mode for name, mode in modes.items() if name in ("m1", "m2", "tocsin.db")}
    assert len(private) == 3
    assert not {name: oct(mode) for name, mode in private.items() if mode & 0o077}
