"""The ids of stored events, by which one that comes twice is recognised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from sqlalchemy import Connection

from tocsin.errors import StoreError

_MOST = 10_000  # ids per query; SQLite takes 32,766
_LONG = 32  # bytes


def known(c: Connection, monitor: str, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that are stored."""
    wanted = dict(zip(_keys(monitor, ids), ids, strict=True))
    found: set[str] = set()
    for part in _parts(list(wanted)):
        rows = _ask(c, "SELECT key FROM event_ids WHERE key", part)
        found.update(wanted[bytes(key)] for (key,) in rows)
    return found


def remember(c: Connection, monitor: str, ids: Sequence[str]) -> None:
    """Store ids. Raises StoreError when one comes twice or is stored already."""
    keys = _keys(monitor, ids)
    if len(set(keys)) < len(keys):
        raise StoreError(f"The batch of {monitor} holds an id twice.")
    # Sorted, so that each page of the table is looked up once.
    keys.sort()
    for part in _parts(keys):
        if c.dialect.name == "sqlite":
            rows = ",".join(["(?)"] * len(part))
            c.exec_driver_sql(f"INSERT INTO event_ids (key) VALUES {rows}", tuple(part))  # noqa: S608
        else:
            c.exec_driver_sql("INSERT INTO event_ids (key) SELECT unnest(%s::bytea[])", (part,))


def forget(c: Connection, monitor: str, ids: Iterable[str]) -> None:
    """Delete ids."""
    for part in _parts(_keys(monitor, ids)):
        _ask(c, "DELETE FROM event_ids WHERE key", part)


def _ask(c: Connection, statement: str, keys: list[bytes]) -> Iterable[tuple[bytes]]:
    # Written for the driver: SQLAlchemy takes longer over 500 values than the database does.
    if c.dialect.name == "sqlite":
        places = ",".join("?" * len(keys))
        result = c.exec_driver_sql(f"{statement} IN ({places})", tuple(keys))
    else:
        result = c.exec_driver_sql(f"{statement} = ANY(%s)", (keys,))
    return result if result.returns_rows else ()


def _keys(monitor: str, ids: Iterable[str]) -> list[bytes]:
    """Return a key for each id, which differs from monitor to monitor.

    A short id is kept as it is, because growing ids then lie side by side in the table, and a batch
    changes few of its pages. A long one is hashed; no text begins with the byte 0xff before it.
    """
    salt = blake2b(monitor.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    texts = [id_.encode("utf-8", "surrogatepass") for id_ in ids]
    return [
        salt + (text if len(text) <= _LONG else b"\xff" + blake2b(text, digest_size=16).digest())
        for text in texts
    ]


def _parts(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), _MOST):
        yield keys[start : start + _MOST]
