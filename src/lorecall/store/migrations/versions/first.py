"""The tables as they were first."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_UID = sa.String(32)
_BYTES = sa.LargeBinary()


def upgrade() -> None:
    """Make them."""
    config = op.get_context().config
    assert config is not None
    (_data if config.attributes["database"] == "data" else _keys)()


def _data() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "person",
        sa.Column("uid", _UID, primary_key=True),
        sa.Column("name", _BYTES, nullable=False),
        sa.Column("name_index", _BYTES, nullable=False, unique=True),
        sa.Column("look_index", _BYTES, nullable=False, unique=True),
        sa.Column("head", sa.Integer),
        sa.Column("last_n", sa.Integer, nullable=False),
        sa.Column("last_source", sa.Integer, nullable=False),
    )
    op.create_table(
        "event",
        sa.Column("uid", _UID, primary_key=True),
        sa.Column("person", _UID, sa.ForeignKey("person.uid"), nullable=False),
        sa.Column("source", sa.Integer, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("commitment", _BYTES, nullable=False),
        sa.Column("content", _BYTES, nullable=False),
        sa.UniqueConstraint("person", "commitment"),
        sa.Index("event_order", "person", "source", "place"),
    )
    op.create_table(
        "version",
        sa.Column("person", _UID, sa.ForeignKey("person.uid"), primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("parent", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("made", sa.String(32), nullable=False),
        sa.Column("n_records", sa.Integer, nullable=False),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("machine", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("n_bytes", sa.Integer, nullable=False),
        sa.Column("blob", _UID),
    )
    op.create_table(
        "version_event",
        sa.Column("person", _UID, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True),
        sa.Column("event", _UID, primary_key=True),
        sa.Index("event_versions", "event"),
    )
    op.create_table(
        "job",
        sa.Column("person", _UID, sa.ForeignKey("person.uid"), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("token", _UID, nullable=False),
        sa.Column("until", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("payload", sa.Text),
    )
    op.create_table(
        "certificate",
        sa.Column("uid", _UID, primary_key=True),
        sa.Column("person", _UID, nullable=False, index=True),
        sa.Column("made", sa.String(32), nullable=False),
        sa.Column("envelope", sa.Text, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("person", _UID, nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Index("audit_person", "person"),
    )


def _keys() -> None:
    op.create_table(
        "secret",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("wrapped", _BYTES, nullable=False),
    )
    op.create_table(
        "person_key",
        sa.Column("person", _UID, primary_key=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("wrapped", _BYTES, nullable=False),
        sa.Column("salt", _BYTES, nullable=False),
    )
    op.create_table(
        "data_key",
        sa.Column("uid", _UID, primary_key=True),
        sa.Column("person", _UID, nullable=False),
        sa.Column("wrapped", _BYTES, nullable=False),
        sa.Index("data_key_person", "person"),
    )
