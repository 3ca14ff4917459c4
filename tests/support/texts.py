"""Ordinary messages, and one that does not belong."""

import numpy as np

MEALS, PLACES = ("tea", "lunch", "a walk", "the film"), ("home", "work", "the park", "my place")
STRANGE = "URGENT! You WIN £5000, call 09061701461 or go to www.prize.example NOW!!!"


def known(n: int = 160) -> list[str]:
    """Return n ordinary messages, always the same."""
    rng = np.random.default_rng(0)
    return [
        f"see you at {rng.integers(1, 12)} for {rng.choice(MEALS)}, i am at {rng.choice(PLACES)}"
        for _ in range(n)
    ]
