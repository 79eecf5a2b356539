"""Marks of what was forgotten for good, beside the data."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    config = op.get_context().config
    assert config is not None
    if config.attributes["database"] == "data":
        op.create_table(
            "suppressed",
            sa.Column("person", sa.String(32), primary_key=True),
            sa.Column("mark", sa.LargeBinary, primary_key=True),
        )
