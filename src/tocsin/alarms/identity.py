"""What identifies an alarm, the same in every run."""

from __future__ import annotations

import hashlib
import json

from tocsin.types import AlarmKind


def fingerprint(monitor: str, entity: str, kind: AlarmKind) -> str:
    """Return what all episodes of one monitor, entity and kind share: 16 hexadecimal digits.

    >>> fingerprint("machine", "", "anomaly") == fingerprint("machine", "", "anomaly")
    True
    """
    return digest(monitor, entity, kind)


def digest(*parts: str | int) -> str:
    """Return 16 hexadecimal digits for texts and whole numbers in this order."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
