"""Asking a database the same questions again and again, as fast as its driver answers them.

To look a row up by its key takes the driver a tenth of the time in which SQLAlchemy makes a
connection, begins, compiles, executes and rolls back. So what is asked in every call (who is it,
which version answers, what does the log say) is compiled once, and the driver is asked itself.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Dialect, Engine, Select
from sqlalchemy.dialects import sqlite

from lorecall.store.database import is_postgresql, unusable

_SQLITE = sqlite.dialect(paramstyle="named")
Asks = Callable[..., Sequence[Any]]


class Question:
    """A query that is asked again and again: its text is made once for each kind of database.

    Args:
        query: The query; what is given with each asking are its `bindparam`s.
    """

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._made: dict[str, tuple[str, dict[str, Any]]] = {}

    def text(self, dialect: Dialect) -> tuple[str, dict[str, Any]]:
        """Return it as the driver takes it, and what of its parameters is always the same."""
        if dialect.name not in self._made:
            is_sqlite = dialect.name == sqlite.dialect.name
            made = self._query.compile(dialect=_SQLITE if is_sqlite else dialect)
            self._made[dialect.name] = (str(made), dict(made.params))
        return self._made[dialect.name]


@contextmanager
def asking(engine: Engine) -> Generator[Asks]:
    """Yield who asks questions: `ask(question, name=value)` returns the rows; all of one state.

    Args:
        engine: The database.

    Raises:
        StorageError: It cannot be reached, or is not whole.
    """
    errors = engine.dialect.loaded_dbapi.Error
    try:
        with closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            if not is_postgresql(engine):  # there a transaction begins by itself
                cursor.execute("BEGIN")

            def ask(question: Question, **given: object) -> Sequence[Any]:
                text, same = question.text(engine.dialect)
                cursor.execute(text, same | given)
                return cursor.fetchall()

            yield ask
    except errors as error:
        raise unusable(error, engine) from error
