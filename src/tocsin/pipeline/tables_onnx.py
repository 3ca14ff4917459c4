"""Saved pipelines of tables whose network scores in onnxruntime, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tocsin.errors import ParameterError
from tocsin.nn.onnx.tables import OnnxDetector
from tocsin.store import folder

ONNX_FILE = "detector.onnx"
"""The file of a model folder that holds the network of a table pipeline."""


def served(
    path: str | Path, state: Mapping[str, Any], about: Mapping[str, Any], threads: int
) -> dict[str, Any]:
    """Return the state of a saved pipeline, its network replaced by one that onnxruntime runs.

    Without a network it stays as it is. Raises ParameterError when the folder holds no ONNX model
    of it, CorruptModel when it holds an unusable one.
    """
    detector = state.get("detector", {})
    if "net_" in detector:
        parameters = about["settings"]["detector_parameters"]
        return {**state, "detector": _network(path, detector, about, parameters, threads)}
    chosen = detector.get("chosen_", {})
    if "net_" in chosen.get("state", {}):
        network = _network(path, chosen["state"], about, chosen["parameters"], threads)
        return {**state, "detector": {**detector, "chosen_": network}}
    return dict(state)


def _network(
    path: str | Path,
    state: Mapping[str, Any],
    about: Mapping[str, Any],
    parameters: Mapping[str, Any],
    threads: int,
) -> OnnxDetector:
    if ONNX_FILE not in about["files"]:
        raise ParameterError(
            f'{path} holds no {ONNX_FILE}, so its network needs torch and not runtime="onnx". '
            "Where torch and onnx are installed (pip install torch onnx) write it with "
            f"tocsin.load({str(path)!r}).save({str(path)!r})."
        )
    content = folder.read_file(path, about, ONNX_FILE)
    return OnnxDetector(content, parameters, threads).set_state(state)
