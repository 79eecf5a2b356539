"""Bringing a store's tables to this version's revision: all of it, or nothing.

SQLite changes tables in a transaction as well as PostgreSQL does, where the program begins it
itself. So both databases are migrated where they are, in a transaction each, and these end only if
what came of them is whole; killed between the two, the same command does the other. A copy that is
migrated and put in the old one's place would be of no more use, and a process that had the old file
open would go on to write to a file that is nobody's any more.
"""

from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Connection, insert

from lorecall.errors import IntegrityError, MissingError
from lorecall.store.database import connect, faults, lock_schema, writing
from lorecall.store.place import Place
from lorecall.store.revisions import FIRST, SCRIPTS, check_revision, revision_of
from lorecall.store.schema import REVISION, revision


def migrate(place: Place, *, scripts: Path = SCRIPTS, to: str = REVISION) -> tuple[str, str]:
    """Migrate the keys' database and the data's; return from which revision to which.

    Of several processes that do so at once the others wait, and find it done.

    Args:
        place: Where the store is.
        scripts: Alembic's scripts.
        to: The revision.

    Raises:
        MissingError: There is no store.
        IntegrityError: A later version made it; or the result is not whole, and nothing was done.
    """
    databases = {"data": place.database, "keys": place.keys / "keys.db"}
    for database in databases.values():
        if isinstance(database, Path) and not database.is_file():
            raise _missing(str(database))
    with ExitStack() as stack:  # both end well, or neither does
        found = [
            _migrate(stack, database, name, scripts=scripts, to=to)
            for name, database in databases.items()
        ]
    return min(found), to


def _migrate(stack: ExitStack, database: Path | str, name: str, *, scripts: Path, to: str) -> str:
    engine = connect(database, foreign_keys=False)  # tables are made anew; checked at the end
    stack.callback(engine.dispose)
    connection = stack.enter_context(writing(engine))
    lock_schema(connection)
    found = revision_of(connection)
    if found is None:
        raise _missing(name)
    if found < to:
        _upgrade(connection, name, scripts=scripts, to=to)
        _check_whole(connection)
    else:
        check_revision(found)
    return found


def _upgrade(connection: Connection, name: str, *, scripts: Path, to: str) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    revision.create(connection, checkfirst=True)
    if connection.execute(revision.select()).first() is None:
        connection.execute(insert(revision).values(version_num=FIRST))
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes.update({"connection": connection, "database": name})
    command.upgrade(config, to)


def _check_whole(connection: Connection) -> None:
    broken = next(faults(connection), None)
    if broken is not None:
        raise IntegrityError(
            "a migrated database must be whole",
            expected="every page and every reference as it should be",
            got=broken,
            next_step="Nothing was changed. Restore the store from a backup, and migrate that.",
        )


def _missing(where: str) -> MissingError:
    return MissingError(
        "the store must be there to be migrated",
        expected=where,
        got="nothing",
        next_step="Check --store and --keys.",
    )
