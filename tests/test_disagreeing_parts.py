"""Folders whose parts do not fit each other, each for itself as declared: corrupt on loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tocsin
from support.trained import Case, save_trained
from tocsin.errors import CorruptModel, NewerFormat
from tocsin.store.folder import load_state, save_state

State = dict[str, Any]

TABLE, MACHINES, LOGS = ("tables", "columns"), ("series", "stream"), ("logs", "sessions")
HISTOGRAMS, FORECASTS = ("tables", "hbos"), ("series", "autoregression")
PATCHES = ("images", "patch_memory")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Path]:
    """Return the folder of a case, trained once."""
    room = tmp_path_factory.mktemp("trained")

    def folder(case: Case) -> Path:
        path = room / "-".join(case)
        if not path.exists():
            assert save_trained(case, path)
        return path

    return folder


def changed(folder: Path, out: Path, change: Callable[[State, State], None]) -> Path:
    """Write a folder with its state and settings changed, and hashes that fit."""
    state, about = load_state(folder)
    change(state, about["settings"])
    kept = {k: v for k, v in about.items() if k not in ("files", "sizes", "format_version")}
    save_state(out, state, kept)
    return out


def background_of_fewer_columns(state: State, _: State) -> None:
    state["background"] = state["background"][:, :-1].copy()


def background_of_three_axes(state: State, _: State) -> None:
    state["background"] = state["background"][None]


def groups_of_fewer_columns(state: State, _: State) -> None:
    numbers = state["preparer"]["numbers_"]
    numbers["groups_"] = numbers["groups_"][:-1].copy()


def a_kind_twice(state: State, _: State) -> None:
    encoders = state["preparer"]["encoders_"].values()
    kinds = next(each for each in encoders if len(each.get("values_", ())) > 1)
    kinds["values_"] = [kinds["values_"][0]] * len(kinds["values_"])


def more_independent_than_there_are(state: State, _: State) -> None:
    state["calibration"]["independent_"] = 2.0**62


def no_such_scale(_: State, settings: State) -> None:
    settings["scale"] = "sideways"


def channels_twice(state: State, _: State) -> None:
    state["preparer"]["columns_"] = state["preparer"]["columns_"] * 2


def channels_in_another_order(state: State, _: State) -> None:
    state["preparer"]["columns_"] = state["preparer"]["columns_"][::-1]


def background_of_other_channels(state: State, _: State) -> None:
    for model in state["models"].values():
        model["background_"] = np.zeros((200, 9))


def counters_beyond_the_channels(state: State, _: State) -> None:
    state["preparer"]["counters_"] = [99]


def an_endless_session(state: State, _: State) -> None:
    state["preparer"]["session_"] = "((a+)+)+b"


def a_session_without_a_group(state: State, _: State) -> None:
    state["preparer"]["session_"] = "user (?:u)"


def a_clock_that_stands(state: State, _: State) -> None:
    state["preparer"]["pace_"] = 0.0


def notes_of_nothing(state: State, _: State) -> None:
    state["read_notes"] = None


def histograms_that_end_before_they_begin(state: State, _: State) -> None:
    state["detector"]["low_"][0] = 1e308


def lags_beyond_the_series(state: State, _: State) -> None:
    for model in state["models"].values():
        model["detector_"]["lags_"][-1] = 2**63 - 1


def images_of_another_size(_: State, settings: State) -> None:
    settings["detector_parameters"]["size"] = 65_536


@pytest.mark.parametrize(
    ("case", "change"),
    [
        (TABLE, background_of_fewer_columns),
        (TABLE, background_of_three_axes),
        (TABLE, groups_of_fewer_columns),
        (TABLE, a_kind_twice),
        (TABLE, more_independent_than_there_are),
        (TABLE, no_such_scale),
        (MACHINES, channels_twice),
        (MACHINES, channels_in_another_order),
        (MACHINES, background_of_other_channels),
        (MACHINES, counters_beyond_the_channels),
        (LOGS, an_endless_session),
        (LOGS, a_session_without_a_group),
        (LOGS, notes_of_nothing),
        (MACHINES, a_clock_that_stands),
        (HISTOGRAMS, histograms_that_end_before_they_begin),
        (FORECASTS, lags_beyond_the_series),
        (PATCHES, images_of_another_size),
    ],
)
def test_parts_that_do_not_fit_are_corrupt(
    case: Case,
    change: Callable[[State, State], None],
    trained: Callable[[Case], Path],
    tmp_path: Path,
) -> None:
    tocsin.load(trained(case))
    with pytest.raises(CorruptModel):
        tocsin.load(changed(trained(case), tmp_path / "model", change))


def test_a_detector_that_is_not_known_is_of_a_later_version(
    trained: Callable[[Case], Path], tmp_path: Path
) -> None:
    state, about = load_state(trained(TABLE))
    about["card"]["name"] = "of_tomorrow"
    kept = {k: v for k, v in about.items() if k not in ("files", "sizes", "format_version")}
    save_state(tmp_path / "model", state, kept)
    with pytest.raises(NewerFormat, match="of_tomorrow"):
        tocsin.load(tmp_path / "model")
