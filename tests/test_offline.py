"""Nothing is sent anywhere: learning, scoring and explaining try to reach no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tocsin

_OWN = ["unshare", "--map-root-user", "--net", "--mount"]
_PATHS = os.pathsep.join(map(str, (Path(__file__).parent, Path(tocsin.__file__).parents[1])))


def _environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    return {**kept, "PYTHONPATH": _PATHS, "OMP_NUM_THREADS": "1", "TOCSIN_CACHE": "off", **more}


def _may_have_a_network_of_its_own() -> bool:
    try:
        return subprocess.run([*_OWN, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def test_no_modality_tries_to_reach_a_network(tmp_path: Path) -> None:
    own = _may_have_a_network_of_its_own()
    words = [sys.executable, "-m", "support.offline", str(tmp_path)]
    done = subprocess.run(
        [*_OWN, *words, "--namespace"] if own else words,
        capture_output=True,
        text=True,
        env=_environment(HF_HUB_OFFLINE="0"),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["tried"] == []
    assert found["seen"], "the audit hook sees nothing"
    if own:
        assert found["packets"] == 0
        assert found["native"] > 0, "packets are not seen"


@pytest.mark.parametrize(("given", "kept"), [({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")])
def test_telemetry_is_off_before_anything_is_imported(given: dict[str, str], kept: str) -> None:
    code = (
        "import os, sys, tocsin; assert 'onnxruntime' not in sys.modules; "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=_environment(**given),
        check=True,
    )
    assert done.stdout.strip() == kept
