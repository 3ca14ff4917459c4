"""What the source knew of an event in quarantine besides."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add it; events that are in quarantine already have none."""
    op.add_column("quarantine", sa.Column("known", sa.Text))
