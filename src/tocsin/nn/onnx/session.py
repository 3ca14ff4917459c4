"""Sessions of onnxruntime, which run an ONNX model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.errors import CorruptModel, MissingExtra, ParameterError
from tocsin.nn.onnx.contents import check_contents
from tocsin.nn.onnx.memory_limit import limit_memory
from tocsin.nn.onnx.time_limit import limited


class Session:
    """An onnxruntime session whose runs end, and whose errors are those of a corrupt model."""

    def __init__(self, session: Any, new_options: Any) -> None:
        self.inner = session
        self._new_options = new_options

    def __deepcopy__(self, memo: Any) -> Session:
        """Return the session itself: running a model changes nothing of it, also side by side."""
        return self

    def run(self, outputs: Sequence[str], fed: Mapping[str, Any]) -> list[NDArray[Any]]:
        """Return these outputs for arrays by the names of the inputs.

        Raises CorruptModel for a model that cannot be run or takes more than five minutes.
        """
        options = self._new_options()
        with limited(options):
            try:
                found = self.inner.run(outputs, fed, options)
            except Exception as error:  # onnxruntime's errors have no common base but this
                raise _corrupt(error) from error
        if not all(isinstance(each, np.ndarray) for each in found):
            raise CorruptModel("The ONNX model gives what are not arrays.")
        return list(found)


def open_session(content: bytes, threads: int, device: str = "cpu") -> Session:
    """Return a session of a model; 0 threads are as many as OMP_NUM_THREADS says.

    ``device``: "cpu", "cuda", or "auto" for the best that onnxruntime was built for. Raises
    MissingExtra without onnxruntime, ParameterError for a device that is not there, and
    CorruptModel for a model that cannot be run, refers to other files or holds loops.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", extra=None) from error
    check_contents(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and need not be printed as well
    limit_memory(onnxruntime, options)
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common base but this
        raise _corrupt(error) from error
    return Session(session, onnxruntime.RunOptions)


def _corrupt(error: Exception) -> CorruptModel:
    return CorruptModel(f"The ONNX model cannot be run: {' '.join(str(error).split())}")


def _providers(device: str, available: list[str]) -> list[str]:
    known = {"cuda": "CUDAExecutionProvider", "mps": "CoreMLExecutionProvider"}
    wanted = [known[name] for name in known if device in (name, "auto")]
    there = [provider for provider in wanted if provider in available]
    if device not in ("auto", "cpu") and not there:
        raise ParameterError(f'onnxruntime has no "{device}" here; choose "cpu" or "auto".')
    return [*there, "CPUExecutionProvider"]
