"""Scoring in onnxruntime: a trained network of tables, without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NoReturn, Self

import numpy as np

from tocsin.base import State, TableDetector
from tocsin.base.abilities import Embeds, Samples
from tocsin.errors import CorruptModel, NotSavable, ParameterError
from tocsin.nn.onnx.session import open_session
from tocsin.types import Card, FloatArray, Scores

_CHUNK = 512
"""Rows scored at once: their activations stay in the processor's cache."""


class OnnxDetector(TableDetector, Embeds, Samples):
    """A trained detector as an ONNX model, run by onnxruntime on the CPU.

    ``content``: what ``to_onnx`` of a neural detector gave. ``parameters``: those of that
    detector. ``threads``: how many threads score. It scores alone: it cannot be trained, copied
    or saved. A row's score depends on the rows it comes with by roundings of float32 at most.

    Raises MissingExtra without onnxruntime, ParameterError for fewer than one thread, and
    CorruptModel for a model that cannot be run or refers to other files.
    """

    def __init__(self, content: bytes, parameters: Mapping[str, Any], threads: int = 1) -> None:
        if threads < 1:
            raise ParameterError(f"threads must be at least 1; got {threads}.")
        self._session = open_session(content, threads)
        session = self._session.inner
        self._parameters = dict(parameters)
        try:
            card = json.loads(session.get_modelmeta().custom_metadata_map["card"])
            tuples = {key: tuple(value) for key, value in card.items() if isinstance(value, list)}
            self._card = Card(**{**card, **tuples})
            (rows,) = session.get_inputs()
            self.n_features_in_ = int(rows.shape[1])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise CorruptModel(f"The ONNX model was not written by Tocsin: {error!r}.") from error
        self._outputs = [output.name for output in session.get_outputs()]

    @property
    def card(self) -> Card:  # type: ignore[override]
        """What the trained detector is."""
        return self._card

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the trained detector."""
        return dict(self._parameters)

    def fit(self, X: Any, y: Any = None) -> NoReturn:
        """Raise ParameterError: it scores alone."""
        raise ParameterError(self._refusal("train"))

    def embed(self, X: Any) -> NoReturn:
        """Raise ParameterError: it scores alone."""
        raise ParameterError(self._refusal("embed rows with"))

    def sample(self, n: int, seed: int = 0) -> NoReturn:
        """Raise ParameterError: it scores alone."""
        raise ParameterError(self._refusal("draw rows from"))

    def __sklearn_clone__(self) -> NoReturn:
        raise ParameterError(self._refusal("train"))

    def get_state(self) -> State:
        """Raise NotSavable: the folder that it comes from holds its state."""
        raise NotSavable(self._refusal("save"))

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Take over the training scores of the detector's state."""
        self.training_scores_ = state["training_scores_"]
        if state["n_features_in_"] != self.n_features_in_:
            raise CorruptModel(
                f"The ONNX model takes {self.n_features_in_} columns, the saved detector "
                f"{state['n_features_in_']}. Save the pipeline again."
            )
        return self

    def _score(self, X: FloatArray) -> Scores:
        chunks = [self._run(X[i : i + _CHUNK]) for i in range(0, len(X), _CHUNK)]
        columns = (np.concatenate(column) for column in zip(*chunks, strict=True))
        named = dict(zip(self._outputs, columns, strict=True))
        return Scores(named["score"], named.get("parts"), named.get("expected"))

    def _run(self, rows: FloatArray) -> list[FloatArray]:
        # One row alone takes another way through the matrix products, which rounds differently.
        fed = rows if len(rows) > 1 else np.repeat(rows, 2, axis=0)
        results = self._session.run(self._outputs, {"rows": fed})
        return [result[: len(rows)] for result in results]

    def _refusal(self, what: str) -> str:
        return (
            f"{self._card.name} is served by onnxruntime and scores only; to {what} it, load it "
            'without runtime="onnx".'
        )


def with_card(content: bytes, card: Card) -> bytes:
    """Return an ONNX model with the detector's card in its metadata, the same bytes each time."""
    import onnx

    model = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(model, {"card": json.dumps(asdict(card))})
    described: bytes = model.SerializeToString(deterministic=True)
    return described
