"""What importing a part loads: import-linter holds the layers, and this what they bring along."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin import registry

LIGHT = [
    "tocsin.base.state",
    "tocsin.decide",
    "tocsin.decide.alarm_rate",
    "tocsin.store",
    "tocsin.store.folder",
    "tocsin.alarms",
    "tocsin.alarms.tracks",
]


@pytest.mark.parametrize("module", LIGHT)
def test_what_only_handles_results_loads_little(module: str) -> None:
    loaded = modules_loaded_by(module)
    assert {"sklearn", "pandas", "scipy.stats", "torch"}.isdisjoint(loaded)
    assert len(loaded) <= 250


def test_alarms_load_neither_scikit_learn_nor_pandas() -> None:
    for module in ("episodes", "routing", "storm", "conditions"):
        loaded = modules_loaded_by(f"tocsin.alarms.{module}")
        assert {"sklearn", "pandas", "scipy", "torch"}.isdisjoint(loaded)


@pytest.mark.parametrize("modality", registry.modalities())
def test_a_pipeline_loads_no_other_modality(modality: str) -> None:
    loaded = modules_loaded_by(registry.of_modality("pipeline", modality).__module__)
    others = {other for other in registry.modalities() if other != modality}
    stems = tuple({f"{other}_" for other in others} | {f"{other[:-1]}_" for other in others})
    rooms = ("pipeline", "prepare", "explain", "readers", "detectors")
    mine = [module.split(".") for module in loaded if module.startswith("tocsin.")]
    inside = [parts[2] for parts in mine if len(parts) > 2 and parts[1] in rooms]
    assert [name for name in inside if name in others or name.startswith(stems)] == []


def modules_loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules)"
    run = [sys.executable, "-c", code]
    return set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())


def test_test_modules_import_no_other_one() -> None:
    tests = Path(__file__).parent
    importing = re.compile(r"^\s*(?:from|import) (?:tests\.)?test_", re.MULTILINE)
    found = [path.name for path in tests.rglob("*.py") if importing.search(path.read_text("utf-8"))]
    assert found == []
