"""Modules of torch to ONNX models."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tocsin.errors import MissingExtra

_OPSET = 17


def export_onnx(
    network: nn.Module,
    example: Tensor,
    name: str,
    outputs: Sequence[str],
    *,
    any_length: bool = False,
) -> bytes:
    """Return a module as an ONNX model with one input, of that name, and named outputs.

    ``network``: in eval mode and on the CPU; it takes a tensor like ``example`` to a tuple of
    tensors, or has been traced already. ``any_length``: the first axis of input and outputs may
    have any length. Raises MissingExtra without the package onnx, and OnnxExporterError or
    RuntimeError for what ONNX has no operators for.
    """
    try:
        import onnx  # noqa: F401 - torch needs it, and says so only when all else is done
    except ImportError as error:
        raise MissingExtra("onnx", extra=None) from error
    file: Any = io.BytesIO()
    axes = {each: {0: "n"} for each in (name, *outputs)} if any_length else None
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes are traced on purpose
        torch.onnx.export(
            network,
            (example,),
            file,
            dynamo=False,
            input_names=[name],
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=_OPSET,
        )
    content: bytes = file.getvalue()
    return content
