"""A damaged model that loading lets through is named as damaged by every command that takes one."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

import tocsin
from support.commands import invoke
from tocsin.cli import app
from tocsin.errors import CorruptModel
from tocsin.store.folder import load_state, save_state

WORDS: dict[str, Callable[[Path, Path], list[object]]] = {
    "score": lambda model, data: ["score", model, data],
    "explain": lambda model, data: ["explain", model, data, "--row", "3"],
    "evaluate": lambda model, data: ["evaluate", data, "--label", "odd", "--model", model],
}
"""How each command that takes a model is called."""

SUPPORT = EntryPoint("undeclared", "support.undeclared:Undeclared", "tocsin.detectors.tables")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=list("abc"))
    rows.assign(odd=[0] * 195 + [1] * 5).to_csv(tmp_path / "data.csv", index=False)
    return tmp_path / "data.csv"


@pytest.fixture
def model(tmp_path: Path, data: Path, register: Callable[..., None]) -> Path:
    """Return the folder of a model that loads."""
    register(SUPPORT)
    rows = pd.read_csv(data)[["a", "b", "c"]]
    tocsin.Pipeline("undeclared", training="clean").fit(rows).save(tmp_path / "model")
    return tmp_path / "model"


def damage(folder: Path, name: str, value: Any) -> None:
    """Change a fitted value of the detector, with hashes that fit."""
    state, about = load_state(folder)
    state["detector"][name] = value
    kept = {k: v for k, v in about.items() if k not in ("files", "sizes", "format_version")}
    save_state(folder, state, kept)


def test_every_command_that_takes_a_model_is_called_here() -> None:
    commands: Any = get_command(app)
    taking = {
        name
        for name, command in commands.commands.items()
        if any(parameter.name == "model" for parameter in command.params)
    }
    assert taking == set(WORDS)


@pytest.mark.parametrize("command", WORDS)
def test_a_whole_model_is_used(command: str, model: Path, data: Path) -> None:
    invoke(*WORDS[command](model, data))


@pytest.mark.parametrize("command", WORDS)
@pytest.mark.parametrize(
    ("name", "value"), [("centre_", np.zeros(7)), ("spread_", "wide"), ("centre_", None)]
)
def test_what_fails_while_a_model_is_used_names_it_as_damaged(
    command: str, name: str, value: Any, model: Path, data: Path
) -> None:
    damage(model, name, value)
    done = invoke(*WORDS[command](model, data), fails=CorruptModel)
    assert str(done.exception).startswith(f"{model} cannot score this (")
    assert "Restore it from a copy" in str(done.exception)
