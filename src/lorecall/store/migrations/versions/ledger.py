"""The ledger of what was destroyed, beside the data and beside the keys; times of any year."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make them."""
    config = op.get_context().config
    assert config is not None
    op.create_table(
        "erasure",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("person", sa.String(32), nullable=False, index=True),
        sa.Column("uid", sa.String(32), nullable=False),
    )
    if config.attributes["database"] == "data":
        with op.batch_alter_table("job") as batch:
            batch.alter_column("until", type_=sa.BigInteger, existing_type=sa.Integer)
        op.execute("DELETE FROM meta WHERE name = 'format'")
