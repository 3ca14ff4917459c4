"""Which device trains and scores."""

from __future__ import annotations

import torch

from tocsin.errors import ParameterError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name, or with ``auto`` the first there is of CUDA, MPS, CPU.

    Raises ParameterError for a device that this machine does not have.

    >>> pick_device("cpu").type
    'cpu'
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available.get(name.partition(":")[0], False):
        have = ", ".join(kind for kind, there in available.items() if there)
        raise ParameterError(f'The device "{name}" is not here. Available: {have}, or "auto".')
    return torch.device(name)
