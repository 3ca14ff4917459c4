"""Detectors are found by name, and nothing is imported before its name is used."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import tocsin
from tocsin import registry
from tocsin.errors import ParameterError, UnknownName, UnusablePart


@pytest.mark.parametrize("name", registry.names("tables"))
def test_each_file_holds_the_detector_of_its_name(name: str) -> None:
    cls = registry.find(name)
    assert cls.card.name == name
    assert cls.card.modality == "tables"
    assert cls.__name__.lower() == name.replace("_", "")


def test_the_names_are_the_files() -> None:
    folder = Path(tocsin.__file__).parent / "detectors" / "tables"
    files = {path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")}
    assert set(registry.names("tables")) == files
    assert registry.names("tables") == sorted(files)
    assert "tables" in registry.modalities()


def test_listing_names_imports_no_detector() -> None:
    code = (
        "import sys; from tocsin import registry; registry.names('tables');"
        "print([m for m in sys.modules if m.startswith('tocsin.detectors.tables.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean isolation_forest"):
        registry.find("isolation_forrest")
    with pytest.raises(UnknownName, match="Known: "):
        registry.create("zzz")


@pytest.mark.parametrize(
    ("asked", "modality", "told"),
    [
        ("knn", "tables", r"neighbours \(for tables\), text_neighbours"),
        ("kth NN", "tables", r"neighbours \(for tables\)"),
        ("padim", "tables", r"patch_gaussian \(for images\)"),
        ("STL", "series", r"seasonal \(for series\)"),
        ("half-space trees", "tables", r"streaming_forest \(for series\)"),
        ("hst", "series", r"streaming_forest \(for series\)"),
        ("deepant", "series", r"cnn \(for series\)"),
        ("deeplog", "logs", r"log_lstm \(for logs\)"),
        ("GANomaly", "tables", r"image_gan \(for images\)"),
        ("patchcore", "images", "Did you mean patch_memory"),
    ],
)
def test_a_method_known_by_another_name_gives_the_detector(
    asked: str, modality: str, told: str
) -> None:
    with pytest.raises(UnknownName, match=told):
        registry.find(asked, modality)


def test_other_names_are_of_one_detector_per_modality_and_none_is_a_detector() -> None:
    for modality in registry.modalities():
        cards = [registry.find(name, modality).card for name in registry.names(modality)]
        others = [name.lower() for card in cards for name in card.also_known_as]
        assert len(set(others)) == len(others)
        assert not set(others) & {card.name for card in cards}


def test_an_unknown_parameter_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ParameterError, match=r"no parameter trees; it has: .*n_estimators"):
        registry.create("isolation_forest", trees=3)
    assert registry.create("isolation_forest", n_estimators=3).get_params()["n_estimators"] == 3


def test_private_files_are_no_detectors() -> None:
    with pytest.raises(UnknownName):
        registry.find("_scaling")


def test_another_package_registers_by_entry_point(register: Callable[..., None]) -> None:
    point = EntryPoint("theirs", "tocsin.detectors.tables.hbos:Hbos", "tocsin.detectors.tables")
    register(point)
    assert "theirs" in registry.names("tables")
    assert registry.find("theirs").card.name == "hbos"


def test_a_floor_without_a_part_for_a_modality_says_so() -> None:
    with pytest.raises(UnknownName, match=r'no modality "pictures".*Known: images'):
        registry.of_modality("pipeline", "pictures")
    with pytest.raises(UnknownName, match='no modality "base"'):
        registry.of_modality("pipeline", "base")
    with pytest.raises(UnknownName, match="no modality"):
        registry.of_modality("pipeline", "tables.sub")


def test_another_package_cannot_take_the_place_of_our_own(
    register: Callable[..., None],
) -> None:
    point = EntryPoint("text", "tocsin.pipeline.tables:Pipeline", "tocsin.pipeline")
    register(point)
    assert registry.of_modality("pipeline", "text").__name__ == "TextPipeline"


def test_another_package_cannot_take_the_place_of_our_detector(
    register: Callable[..., None],
) -> None:
    register(EntryPoint("hbos", "tocsin.detectors.tables.pca:Pca", "tocsin.detectors.tables"))
    assert registry.find("hbos").card.name == "hbos"


@pytest.mark.parametrize("name", ["../x", "a.b", "base", "common", ""])
def test_a_modality_of_any_name_leaves_the_others_usable(
    register: Callable[..., None], name: str
) -> None:
    point = EntryPoint(name, "tocsin.pipeline.tables:Pipeline", "tocsin.pipeline")
    register(point)
    assert name in registry.modalities()
    assert name not in registry.modalities_of("cli.modalities") + registry.modalities_of("report")
    with pytest.raises(UnknownName, match=r'nothing for.*group "tocsin\.report"'):
        registry.of_modality("report", name)


def test_a_part_that_cannot_be_imported_is_named_with_what_to_do(
    register: Callable[..., None],
) -> None:
    groups = ("tocsin.pipeline", "tocsin.detectors.tables", "tocsin.sources")
    register(*(EntryPoint("theirs", "no_such_package:Part", group) for group in groups))
    message = (
        r'"theirs" in tocsin\.[a-z.]+, but .*cannot be imported \(ModuleNotFound.*uninstall it'
    )
    for use in (
        lambda: registry.of_modality("pipeline", "theirs"),
        lambda: registry.find("theirs"),
        lambda: registry.find_part("sources", "theirs"),
    ):
        with pytest.raises(UnusablePart, match=message):
            use()
    assert [card.name for card in registry.closest_to("PaDiM")] == ["patch_gaussian"]
