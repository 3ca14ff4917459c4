"""Batches scored by halves, so that an event that cannot be scored does not stop the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tocsin.errors import TocsinError
from tocsin.monitor.batches import chosen
from tocsin.monitor.scorers import Scorer
from tocsin.types import Batch, BatchDecision


def judge(scorer: Scorer, batch: Batch) -> tuple[BatchDecision | None, dict[int, str]]:
    """Return the decision on the events that can be scored, and why others cannot, by position."""
    try:
        return scorer.judge(batch), {}
    except Exception as error:  # noqa: BLE001 - one event never stops the others
        if len(batch) == 1:
            return None, {0: reason_of(error)}
    # Something in the batch is at fault: what is fine is found in a logarithmic number of tries.
    half = len(batch) // 2
    first = np.arange(len(batch)) < half
    parts = [judge(scorer, chosen(batch, which)) for which in (first, ~first)]
    poisoned = {**parts[0][1], **{i + half: why for i, why in parts[1][1].items()}}
    return _joined([decision for decision, _ in parts if decision is not None]), poisoned


def reason_of(error: Exception) -> str:
    """Return an error in a sentence; one that is not Tocsin's own begins with its type."""
    return str(error) if isinstance(error, TocsinError) else f"{type(error).__name__}: {error}"


def _joined(decisions: list[BatchDecision]) -> BatchDecision | None:
    if len(decisions) < 2:
        return decisions[0] if decisions else None
    return replace(
        decisions[0],
        scores=np.concatenate([each.scores for each in decisions]),
        p_values=np.concatenate([each.p_values for each in decisions]),
        is_anomaly=np.concatenate([each.is_anomaly for each in decisions]),
    )
