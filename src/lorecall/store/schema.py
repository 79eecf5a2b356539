"""The tables of a store, and how its databases are opened.

`data` holds people, what was remembered, versions, jobs and the audit log: ciphertext, random
names, times and counts, never a text. `keys` holds wrapped keys, in a database of its own, so that
a copy of the one opens nothing of the other.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    extract,
    func,
    select,
)

from lorecall.errors import PendingError

FORMAT = 1
_WAIT_S = 30
_UID = String(32)

data = MetaData()
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
    Column("until", Integer, nullable=False),
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

keys = MetaData()
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


def open_database(path: Path, tables: MetaData) -> Engine:
    """Open a SQLite file, with its tables made if they are not there."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _WAIT_S})
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    with writing(engine) as connection:
        tables.create_all(connection)
    return engine


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """Open a transaction that writes: it waits for its turn at its start, and never fails later."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


def scrub(engine: Engine) -> None:
    """Have what was deleted overwritten in the file, and the write-ahead log emptied.

    Deleted rows are overwritten where they stood (`secure_delete`); the log still has them until it
    is emptied, for which nobody else may be reading.

    Raises:
        PendingError: Someone reads all the time.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise PendingError(
            "what was deleted must leave the database's log, too",
            expected=f"a moment without readers within {_WAIT_S} s",
            got="readers all the time",
            next_step="Give the same command again.",
        )


def clock(connection: Connection) -> int:
    """Return the database's time, in whole seconds: one clock for all that work on it."""
    return int(connection.execute(select(extract("epoch", func.current_timestamp()))).scalar_one())


def _on_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin as `_on_begin` says
    for pragma in (
        f"busy_timeout = {_WAIT_S * 1000}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _on_begin(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
