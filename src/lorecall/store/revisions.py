"""Which revision a database's tables are of: what is older is migrated, what is newer refused.

Revisions are numbered. What was made before they were is `0001`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, insert, inspect, select

from lorecall.errors import ConfigError, IntegrityError, StorageError
from lorecall.store.asking import Asker, Question
from lorecall.store.schema import REVISION, revision

FIRST = "0001"
SCRIPTS = Path(__file__).parent / "migrations"
_OF_FIRST = ("meta", "secret")
_NUMBER = Question(select(revision.c.version_num))


def revision_of(connection: Connection) -> str | None:
    """Return which revision a database is of; None where it has no tables."""
    found = inspect(connection)
    if found.has_table(revision.name):
        return connection.execute(select(revision.c.version_num)).scalar()
    return FIRST if any(map(found.has_table, _OF_FIRST)) else None


def answers(asker: Asker, *questions: Question) -> list[Sequence[Any]] | None:
    """Return what a database of this revision answers; None where it has no tables.

    Args:
        asker: Asks it.
        questions: What is asked; all is of one state.

    Raises:
        ConfigError: It is of an older revision.
        IntegrityError: It is of a newer one.
    """
    try:
        with asker.asking() as ask:
            found = [row[0] for row in ask(_NUMBER)]
            answered = [ask(each) for each in questions]
    except StorageError:  # a table is not there: of which revision is it?
        with asker.engine.connect() as connection:
            other = revision_of(connection)
        check_revision(other)
        if other is None:
            return None
        raise
    check_revision(found[0] if found else None)
    return answered


def make_tables(connection: Connection, tables: MetaData) -> None:
    """Make the tables, unless they are there."""
    if revision_of(connection) is None:
        tables.create_all(connection)
        connection.execute(insert(revision).values(version_num=REVISION))


def check_revision(found: str | None) -> None:
    """Refuse a database of another revision.

    Args:
        found: Which it is of; None where it has no tables.

    Raises:
        ConfigError: It is older.
        IntegrityError: It is newer.
    """
    if found is not None and found < REVISION:
        raise ConfigError(
            "a store must be of this version's format",
            expected=f"revision {REVISION}",
            got=found,
            next_step="Make a backup, and run `lorecall store migrate`.",
        )
    if found is not None and found > REVISION:
        raise IntegrityError(
            "a store must be of this version's format",
            expected=f"revision {REVISION}",
            got=f"{found}, of a later version",
            next_step="Use the lorecall that wrote it.",
        )
