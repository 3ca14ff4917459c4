"""The versions of the store's tables, applied by Alembic when a store is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from tocsin.errors import StoreError
from tocsin.store.schema import REVISION, VERSION_TABLE

_LOCK = 7_803_529  # of PostgreSQL, so that two processes do not migrate at the same time


def migrate(engine: Engine) -> None:
    """Bring the tables to the newest version, wholly or not at all.

    Raises StoreError for a store that a later version of Tocsin has written.
    """
    with engine.connect() as c:
        if _revision(c) == REVISION:
            return
    with engine.begin() as c:
        if c.dialect.name == "postgresql":
            c.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _revision(c) != REVISION:
            _upgrade(c)


def _revision(c: Connection) -> str | None:
    if not inspect(c).has_table(VERSION_TABLE):
        return None
    return c.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608


def _upgrade(c: Connection) -> None:
    # Alembic takes a while to import, and a store is seldom migrated.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = c
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = _revision(c)
    if found is not None and found not in known:
        raise StoreError(
            f"The store has the revision {found}; this Tocsin knows up to {REVISION}. "
            "Update it: pip install --upgrade tocsin"
        )
    command.upgrade(config, "head")
