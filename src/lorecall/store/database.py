"""A store's databases: a SQLite file, or PostgreSQL by its URL; how they are opened and locked.

Who writes about a person holds the lock on that person's row first, and the audit log's last, so
that nobody waits in a circle. In SQLite one transaction writes at a time, which is all of that.
"""

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    bindparam,
    create_engine,
    event,
    extract,
    func,
    select,
)
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, InternalError, OperationalError

from lorecall.core.provenance import without_password
from lorecall.errors import ConfigError, MissingError, MissingExtraError, PendingError, StorageError
from lorecall.store.schema import person

_WAIT_S = 30
_ENGINES = 8  # that are kept
_POSTGRESQL = "postgresql"
_LOCKS = 0x6C6F7265  # the advisory locks of this package
_LOG, _SCHEMA = 1, 2
_LOCK_NOT_AVAILABLE = "55P03"
_PERSON = select(person.c.uid).where(person.c.uid == bindparam("uid")).with_for_update()


def connect(place: Path | str, *, foreign_keys: bool = True) -> Engine:
    """Return an engine for a database: a SQLite file, or PostgreSQL by its URL.

    Whoever opens a database again in this process gets the same engine, which still has the texts
    of its statements; its connections are new.

    Args:
        place: Where it is.
        foreign_keys: Whether a SQLite file's references are checked at every change.

    Raises:
        ConfigError: It is another's URL, or none.
        MissingExtraError: The driver is not installed.
    """
    if isinstance(place, Path):
        url = URL.create("sqlite", database=str(place.absolute()))
    else:
        url = _postgresql(place)
    engine = _engine(url, foreign_keys, os.getpid())  # what a fork inherits is its parent's
    engine.dispose()
    return engine


def is_postgresql(engine: Engine) -> bool:
    """Whether it is a server, whose files and log are not ours."""
    return engine.dialect.name == _POSTGRESQL


@contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """Open a transaction that writes: it waits for its turn, and never fails later for another."""
    options = {"isolation_level": "READ COMMITTED"} if is_postgresql(engine) else {"writes": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def lock_person(connection: Connection, uid: str) -> None:
    """Have one transaction at a time work on a person, until it ends.

    Raises:
        MissingError: They are not there: someone has just forgotten them.
    """
    if connection.execute(_PERSON, {"uid": uid}).first() is None:
        raise MissingError(
            "the person must be in the store",
            expected="someone it has",
            got="one who was forgotten at this moment",
            next_step="Look at who is there, and give the command again.",
        )


def lock_log(connection: Connection) -> None:
    """Have one transaction at a time add to the audit log, until it ends."""
    _lock(connection, _LOG)


def lock_schema(connection: Connection) -> None:
    """Have one transaction at a time make or change tables, until it ends."""
    _lock(connection, _SCHEMA)


def scrub(engine: Engine, *tables: Table) -> None:
    """Have what was deleted leave the database's files, as far as it can be had.

    SQLite has overwritten deleted rows where they stood (`secure_delete`); its log still has them
    until it is emptied, for which nobody else may be reading. PostgreSQL writes the tables anew and
    removes the old files; its log keeps what it has until it is recycled.

    Args:
        engine: The database.
        tables: Those that something was deleted from.

    Raises:
        PendingError: Someone reads all the time.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if is_postgresql(engine):
            connection.detach()  # its settings end with it
            connection.exec_driver_sql(f"SET lock_timeout = '{_WAIT_S}s'")
            for table in tables:
                connection.exec_driver_sql(f"VACUUM (FULL) {table.name}")
            return
        busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if busy:
        raise _busy()


def clock(connection: Connection) -> int:
    """Return the database's time, in whole seconds: one clock for all that work on it."""
    is_server = connection.dialect.name == _POSTGRESQL
    # There the other one stands still from the transaction's beginning.
    time = func.clock_timestamp() if is_server else func.current_timestamp()
    return int(connection.execute(select(extract("epoch", time))).scalar_one())


def faults(connection: Connection) -> Generator[str]:
    """Yield what SQLite finds wrong in its file, a line each; a server looks after its own."""
    if connection.dialect.name == _POSTGRESQL:
        return
    found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    yield from (str(line) for line in found if line != "ok")
    alone = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    yield from (f"{row[0]}: a row without the {row[2]} it is of" for row in alone)


def shown(engine: Engine) -> str:
    """Return where a database is, fit to be shown."""
    url = engine.url
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string()


def in_parts(rows: Iterable[Any], size: int = 500) -> Generator[list[Any]]:
    """Yield rows some at a time, as many as a statement takes."""
    part: list[Any] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


@lru_cache(maxsize=_ENGINES)
def _engine(url: URL, foreign_keys: bool, _process: int) -> Engine:  # noqa: FBT001 - a key
    if url.get_backend_name() == _POSTGRESQL:
        # Several statements read one state, as they do in SQLite.
        engine = create_engine(url, isolation_level="REPEATABLE READ")
    else:
        engine = create_engine(url, connect_args={"timeout": _WAIT_S})
        event.listen(engine, "connect", _on_connect)
        if not foreign_keys:
            event.listen(engine, "connect", _without_foreign_keys)
        event.listen(engine, "begin", _on_begin)
    event.listen(engine, "handle_error", _on_error)
    return engine


def _postgresql(place: str) -> URL:
    try:
        url = make_url(place)
    except ArgumentError:
        url = None
    if url is None or url.drivername != _POSTGRESQL or not url.database:
        raise ConfigError(
            "a store is a folder, or a database of PostgreSQL",
            expected="a folder's path, or postgresql://USER@HOST/DATABASE",
            got=without_password(place),
            next_step="Name one of them.",
        )
    if find_spec("psycopg") is None:
        install = "pip install lorecall[postgresql]"
        raise MissingExtraError("a store in PostgreSQL", package="psycopg", install=install)
    return url.set(drivername="postgresql+psycopg")


def _lock(connection: Connection, which: int) -> None:
    if connection.dialect.name == _POSTGRESQL:
        connection.execute(select(func.pg_advisory_xact_lock(_LOCKS, which)))


def _on_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin as `_on_begin` says
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;"
        "PRAGMA foreign_keys = ON;"
    )


def _without_foreign_keys(connection: Any, _: object) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") == "AUTOCOMMIT":
        return
    if options.get("writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:  # it waits for nobody, and cannot fail
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN")


def _on_error(context: ExceptionContext) -> None:
    """Turn what a database raises that cannot be worked with into one line."""
    error = context.sqlalchemy_exception
    is_one = isinstance(error, (OperationalError, InternalError)) or type(error) is DatabaseError
    if not isinstance(error, DatabaseError) or not is_one or error.orig is None:
        return
    if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
        raise _busy() from error
    raise unusable(error.orig, context.engine) from error


def unusable(error: BaseException, engine: Engine | None) -> StorageError:
    """Return what is said of a database that cannot be worked with."""
    lines = str(error).splitlines() or [type(error).__name__]
    where = "the database" if engine is None else shown(engine)
    return StorageError(
        "the store's database must be reachable, and whole",
        expected="a database that can be read and written",
        got=f"{where}: {lines[0]}",
        next_step="Check the place, its room and the server, and give the same command again.",
    )


def _busy() -> PendingError:
    return PendingError(
        "what was deleted must leave the database's files, too",
        expected=f"a moment without readers within {_WAIT_S} s",
        got="readers all the time",
        next_step="Give the same command again.",
    )
