"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _number() -> "sa.Column[int]":
    type_ = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column("number", type_, primary_key=True, autoincrement=True)


def upgrade() -> None:
    """Make them."""
    _events()
    _alarms()
    _notices()
    _records()
    if op.get_context().dialect.name == "postgresql":
        # Contents are compressed already.
        op.execute("ALTER TABLE batches ALTER COLUMN content SET STORAGE EXTERNAL")


def _events() -> None:
    op.create_table(
        "batches",
        _number(),
        sa.Column("monitor", sa.Text, nullable=False),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("anomalies", sa.Integer, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("threshold", sa.Float),
        sa.Column("model", sa.Text),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("batches_by_number", "batches", ["monitor", "number"])
    op.create_index("batches_by_time", "batches", ["monitor", "last"])
    op.create_table(
        "event_ids",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "offsets",
        sa.Column("monitor", sa.Text, primary_key=True),
        sa.Column("position", sa.Text),
    )


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("monitor", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("opened", sa.BigInteger, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
    )
    op.create_index("alarms_by_time", "alarms", ["opened"])
    op.create_index("alarms_by_state", "alarms", ["state", "monitor", "opened"])
    op.create_table(
        "alarm_history",
        _number(),
        sa.Column("alarm", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("who", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("alarm_history_by_alarm", "alarm_history", ["alarm", "number"])
    op.create_table(
        "alarm_states",
        sa.Column("monitor", sa.Text, primary_key=True),
        sa.Column("entity", sa.LargeBinary, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
    )
    op.create_table(
        "silences",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("match", sa.Text, nullable=False),
        sa.Column("starts", sa.BigInteger, nullable=False),
        sa.Column("ends", sa.BigInteger, nullable=False),
        sa.Column("who", sa.LargeBinary, nullable=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
    )
    op.create_index("silences_by_end", "silences", ["ends"])


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("responder", sa.Text, nullable=False),
        sa.Column("group", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("leased_until", sa.BigInteger),
        sa.Column("sent", sa.BigInteger),
        sa.Column("reason", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.Text),
        sa.Column("joinable", sa.Text, unique=True),
    )
    op.create_index("notices_by_due", "notices", ["responder", "status", "due"])
    op.create_index("notices_by_sent", "notices", ["responder", "sent"])
    op.create_table(
        "notice_alarms",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("alarm", sa.Text, primary_key=True),
    )


def _records() -> None:
    op.create_table(
        "quarantine",
        _number(),
        sa.Column("monitor", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("quarantine_by_monitor", "quarantine", ["monitor", "number"])
    op.create_table(
        "counters",
        sa.Column("monitor", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit",
        _number(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("who", sa.LargeBinary, nullable=False),
        sa.Column("what", sa.LargeBinary, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table("claims", sa.Column("key", sa.Text, primary_key=True))
