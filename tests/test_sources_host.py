"""The machine itself."""

import time

import numpy as np

from collecting import read
from tocsin.sources.host import Host


def test_the_machine_is_measured_evenly() -> None:
    began = time.monotonic()
    batches = read(Host(every=0.1), 5)
    assert 0.45 < time.monotonic() - began < 5
    frame = batches[-1].frame
    assert np.isfinite(frame.to_numpy(dtype=float)).all()
    assert 0 < frame["memory_percent"].iloc[0] <= 100
    assert frame["processes"].iloc[0] >= 1
    assert (frame.to_numpy(dtype=float) >= 0).all()
    times = np.concatenate([batch.times for batch in batches])
    assert (np.diff(times) > np.timedelta64(50, "ms")).all()
    assert batches[0].entities == batches[-1].entities
