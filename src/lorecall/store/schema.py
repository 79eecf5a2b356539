"""The tables of a store.

`data` holds people, what was remembered, versions, jobs and the audit log: ciphertext, random
names, times and counts, never a text. `keys` holds wrapped keys, in a database of its own, so that
a copy of the one opens nothing of the other. Each has the ledger of what was destroyed.

Who changes a table writes a migration (`migrations/`) and moves `REVISION`.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0003"
_UID = String(32)


def _ledger(of: MetaData) -> Table:
    return Table(
        "erasure",
        of,
        Column("seq", Integer, primary_key=True, autoincrement=False),
        Column("person", _UID, nullable=False, index=True),
        Column("uid", _UID, nullable=False),
    )


def _revision(of: MetaData) -> Table:
    return Table("alembic_version", of, Column("version_num", _UID, primary_key=True))


data = MetaData()
keys = MetaData()
meta = Table(
    "meta",
    data,
    Column("name", String(16), primary_key=True),
    Column("value", Text, nullable=False),
)
person = Table(
    "person",
    data,
    Column("uid", _UID, primary_key=True),
    Column("name", LargeBinary, nullable=False),  # ciphertext
    Column("name_index", LargeBinary, nullable=False, unique=True),
    Column("look_index", LargeBinary, nullable=False, unique=True),
    Column("head", Integer),
    Column("last_n", Integer, nullable=False, default=0),
    Column("last_source", Integer, nullable=False, default=0),
)
record = Table(
    "event",
    data,
    Column("uid", _UID, primary_key=True),
    Column("person", _UID, ForeignKey("person.uid"), nullable=False),
    Column("source", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("person", "commitment"),
    Index("event_order", "person", "source", "place"),
)
suppressed = Table(
    "suppressed",
    data,
    Column("person", _UID, primary_key=True),
    Column("mark", LargeBinary, primary_key=True),  # of what is not to be added again
)
version = Table(
    "version",
    data,
    Column("person", _UID, ForeignKey("person.uid"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("parent", Integer),
    Column("state", String(16), nullable=False),
    Column("made", String(32), nullable=False),
    Column("n_records", Integer, nullable=False),
    Column("recipe", String(64), nullable=False),
    Column("machine", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("n_bytes", Integer, nullable=False),
    Column("blob", _UID),
)
holds = Table(
    "version_event",
    data,
    Column("person", _UID, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("event", _UID, primary_key=True),
    Index("event_versions", "event"),
)
job = Table(
    "job",
    data,
    Column("person", _UID, ForeignKey("person.uid"), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("token", _UID, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("worker", Text, nullable=False),
    Column("payload", Text),
)
certificate = Table(
    "certificate",
    data,
    Column("uid", _UID, primary_key=True),
    Column("person", _UID, nullable=False, index=True),
    Column("made", String(32), nullable=False),
    Column("envelope", Text, nullable=False),
)
audit = Table(
    "audit",
    data,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("person", _UID, nullable=False),
    Column("action", String(16), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_person", "person"),
)
erasure = _ledger(data)
revision = _revision(data)

secret = Table(
    "secret",
    keys,
    Column("name", String(64), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
person_key = Table(
    "person_key",
    keys,
    Column("person", _UID, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
)
data_key = Table(
    "data_key",
    keys,
    Column("uid", _UID, primary_key=True),
    Column("person", _UID, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Index("data_key_person", "person"),
)
key_erasure = _ledger(keys)
key_revision = _revision(keys)
