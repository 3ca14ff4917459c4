"""Trained networks of tables as ONNX models, with scaling and score inside."""

from __future__ import annotations

import copy
import io
import json
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tocsin.errors import MissingExtra, NotSavable

if TYPE_CHECKING:
    from tocsin.nn.detector import NeuralDetector

_OPSET = 17
_OUTPUTS = ("score", "parts", "expected")


def to_onnx(detector: NeuralDetector) -> bytes:
    """Return a trained detector as an ONNX model, the same bytes each time.

    Input ``rows`` (n, d) float64; outputs ``score`` (n,) and, where the detector has them,
    ``parts`` and ``expected`` (n, d), float64. The network computes in float32. The metadata
    hold the detector's card. Raises MissingExtra without the package onnx, and NotSavable for a
    network that ONNX has no operators for.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtra("onnx", extra=None) from error
    serving = _Serving(detector).eval()
    rows = torch.zeros(2, detector.n_features_in_, dtype=torch.float64)
    file: Any = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes are traced on purpose
        names = [name for name in _OUTPUTS if name in serving.named(rows)]
        try:
            # Frozen, what depends on weights alone is computed now: inverses, spectral norms.
            traced = torch.jit.trace(serving, rows, check_trace=False)  # type: ignore[no-untyped-call]
            frozen = torch.jit.freeze(traced)
            torch.onnx.export(
                frozen,
                (rows,),
                file,
                dynamo=False,
                input_names=["rows"],
                output_names=names,
                dynamic_axes={name: {0: "n"} for name in ("rows", *names)},
                opset_version=_OPSET,
            )
        except (torch.onnx.OnnxExporterError, RuntimeError) as error:
            raise NotSavable(f"{detector.card.name} has no ONNX form: {error}") from error
    model = onnx.load_model_from_string(file.getvalue())
    onnx.helper.set_model_props(model, {"card": json.dumps(asdict(detector.card))})
    content: bytes = model.SerializeToString(deterministic=True)
    return content


class _Serving(nn.Module):
    """Rows (n, d) in the units of training to scores, parts and expected rows."""

    def __init__(self, detector: NeuralDetector) -> None:
        super().__init__()
        self.detector = detector
        self.net = copy.deepcopy(detector.net_).cpu().float()

    def named(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        detector = self.detector
        x = detector._standardise(rows).float().expand(detector.members, -1, -1)
        score, parts, expected = detector._row_scores(self.net, x)
        named = {"score": score.mean(0).double()}
        if parts is not None:
            named["parts"] = parts.mean(0).double()
        if expected is not None:
            mean, scale = torch.from_numpy(detector.mean_), torch.from_numpy(detector.scale_)
            named["expected"] = expected.mean(0).double() * scale + mean
        return named

    def forward(self, rows: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(rows).values())
