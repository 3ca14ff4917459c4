"""A machine sampled every minute."""

import numpy as np
import pandas as pd

FAULT = slice(1200, 1215)


def machine(n: int = 1500, seed: int = 0, fault: slice | None = FAULT) -> pd.DataFrame:
    """Two channels sampled every minute; in the fault, the pressure stands still."""
    rng = np.random.default_rng(seed)
    angle = np.arange(n) * 2 * np.pi / 50
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2026-03-01", periods=n, freq="min", tz="UTC"),
            "watts": 100 + 20 * np.sin(angle) + rng.normal(size=n),
            "pressure": 3 + np.cos(angle) + 0.05 * rng.normal(size=n),
        }
    )
    if fault is not None:
        frame.loc[fault.start : fault.stop - 1, "pressure"] = 6.0
    return frame
