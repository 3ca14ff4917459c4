"""Why a reading is anomalous: the channels, and what each of them did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tocsin.types import FloatArray, Reason
from tocsin.types.metrics import VIEWS, Judged

_LEAST_DECADES = 2.0
"""Of further channels, those are named of which so much is rare in one reading of a hundred."""


def reasons_of(
    taken: Judged, i: int, values: FloatArray, channels: Sequence[str], top: int
) -> tuple[Reason, ...]:
    """Return the channels that made reading i anomalous, the rarest first, at most ``top``.

    Each is named with what is unusual of it, as in "cpu (level)"; ``values`` are those seen (C,).
    """
    decades = taken.parts[i]
    order = np.argsort(-decades, kind="stable")[:top]
    named = [c for k, c in enumerate(order.tolist()) if k == 0 or decades[c] >= _LEAST_DECADES]
    total = float(decades[named].sum()) or 1.0
    return tuple(
        Reason(
            f"{channels[c]} ({VIEWS[taken.views[i, c]]})",
            None if np.isnan(values[c]) else float(values[c]),
            float(taken.expected[i, c]),
            float(decades[c]) / total,
        )
        for c in named
    )
