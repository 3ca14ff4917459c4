"""The ids of stored events, by which one that comes twice is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from sqlalchemy import Connection, delete, insert, select

from tocsin.errors import StoreError
from tocsin.store.schema import event_ids

_MOST = 10_000  # ids in one question; SQLite takes 32,766


def known(c: Connection, monitor: str, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are remembered."""
    wanted = dict(zip(_digests(monitor, ids), ids, strict=True))
    found: set[str] = set()
    for part in _parts(list(wanted)):
        rows = c.execute(select(event_ids.c.digest).where(event_ids.c.digest.in_(part)))
        found.update(wanted[bytes(digest)] for (digest,) in rows)
    return found


def remember(c: Connection, monitor: str, ids: Sequence[str]) -> None:
    """Remember ids. Raises StoreError when one comes twice, or is remembered already."""
    digests = _digests(monitor, ids)
    if len(set(digests)) < len(digests):
        raise StoreError(f"The batch of {monitor} holds an id twice.")
    c.execute(insert(event_ids), [{"digest": digest} for digest in digests])


def forget(c: Connection, monitor: str, ids: Iterable[str]) -> None:
    """Forget ids."""
    for part in _parts(_digests(monitor, ids)):
        c.execute(delete(event_ids).where(event_ids.c.digest.in_(part)))


def _digests(monitor: str, ids: Iterable[str]) -> list[bytes]:
    """Return 16 bytes for each id, which differ from monitor to monitor."""
    salt = blake2b(monitor.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return [
        blake2b(salt + id_.encode("utf-8", "surrogatepass"), digest_size=16).digest() for id_ in ids
    ]


def _parts(digests: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(digests), _MOST):
        yield digests[start : start + _MOST]
