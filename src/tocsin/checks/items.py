"""The checks of a detector of items that have nothing to do with each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.checks.asserting import require, require_same, scored
from tocsin.checks.subject import Subject
from tocsin.errors import InputError
from tocsin.types import Scores


def check_items_are_scored_alone(subject: Subject) -> None:
    """Check that an item's score depends on neither those beside it nor their order."""
    items, _ = subject.testing
    whole = scored(subject.fitted, items)
    order = np.random.default_rng(0).permutation(len(items))
    cuts = np.split(items, [1, 8, len(items) // 2])
    others = {
        "permuted": (order, subject.fitted.score(items[order])),
        "alone": (np.array([len(items) - 1]), subject.fitted.score(items[-1:])),
        "in chunks": (np.arange(len(items)), _joined([subject.fitted.score(cut) for cut in cuts])),
    }
    for how, (index, scores) in others.items():
        for name in ("values", "parts", "expected"):
            given, wanted = getattr(scores, name), getattr(whole, name)
            require((given is None) == (wanted is None), f"{name} are there for some batches only")
            if wanted is not None:
                require_same(given, wanted[index], f"{name} of items {how}", rtol=1e-5, atol=1e-6)


def check_two_items(subject: Subject) -> None:
    """Check that two items are learned from, or refused with InputError."""
    try:
        subject.fits(subject.normal[:2])
    except InputError as error:
        require(bool(str(error)), "two items are refused without a message")


def _joined(pieces: list[Scores]) -> Scores:
    def join(name: str) -> Any:
        arrays = [getattr(piece, name) for piece in pieces]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    return Scores(join("values"), join("parts"), join("expected"))
