"""Sessions of onnxruntime, which run an ONNX model."""

from __future__ import annotations

import os
import re
from typing import Any

from tocsin.errors import CorruptModel, MissingExtra, ParameterError

_EXTERNAL = re.compile(rb"(\x0a|\x8a\x80*\x00)(\x08|\x88\x80*\x00)location")
"""The key, as protobuf writes it, without which no weights can be in another file."""


def open_session(content: bytes, threads: int, device: str = "cpu") -> Any:
    """Return an onnxruntime session of a model; 0 threads are as many as OMP_NUM_THREADS says.

    ``device``: "cpu", "cuda", or "auto" for the best that onnxruntime was built for. Raises
    MissingExtra without onnxruntime, ParameterError for a device that is not there, and
    CorruptModel for a model that cannot be run or refers to other files.
    """
    # From 1.29 on it reports sessions to its maker, unless this stands before it is imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", extra=None) from error
    if _EXTERNAL.search(content):
        raise CorruptModel("The ONNX model refers to other files. Train and save it again.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise CorruptModel(f"onnxruntime cannot run the ONNX model: {error}") from error


def _providers(device: str, available: list[str]) -> list[str]:
    known = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}
    wanted = [known[name] for name in known if device in (name, "auto")]
    there = [provider for provider in wanted if provider in available]
    if device not in ("auto", "cpu") and not there:
        raise ParameterError(f'onnxruntime has no "{device}" here; choose "cpu" or "auto".')
    return [*there, "CPUExecutionProvider"]
