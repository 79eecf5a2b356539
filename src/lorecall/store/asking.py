"""Asking a database the same questions again and again, as fast as its driver answers them.

To look a row up by its key takes the driver a fifth of the time in which SQLAlchemy takes a
connection from its pool, begins, executes and rolls back. So what is asked in every call (who is
it, which version answers, what does the log say) is compiled once, and asked on connections that
are kept for it.
"""

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import ClauseElement, Dialect, Engine
from sqlalchemy.dialects import sqlite

from lorecall.store.database import is_postgresql, unusable

_SQLITE = sqlite.dialect(paramstyle="named")
Asks = Callable[..., Sequence[Any]]


class Question:
    """A query that is asked again and again: its text is made once for each kind of database.

    Args:
        query: The query; what is given with each asking are its `bindparam`s.
    """

    def __init__(self, query: ClauseElement) -> None:
        self._query = query
        self._made: dict[str, tuple[str, dict[str, Any]]] = {}

    def text(self, dialect: Dialect) -> tuple[str, dict[str, Any]]:
        """Return it as the driver takes it, and what of its parameters is always the same."""
        if dialect.name not in self._made:
            is_sqlite = dialect.name == sqlite.dialect.name
            made = self._query.compile(dialect=_SQLITE if is_sqlite else dialect)
            self._made[dialect.name] = (str(made), {**(made.params or {})})
        return self._made[dialect.name]


class Asker:
    """Asks one database; as many connections are kept as ever asked at one time.

    Args:
        engine: The database.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine, self._is_server = engine, is_postgresql(engine)
        self._errors = engine.dialect.loaded_dbapi.Error
        self._kept: deque[tuple[Any, Any]] = deque()

    def close(self) -> None:
        """Close the connections."""
        while self._kept:
            self._kept.pop()[0].close()

    def ask(self, question: Question, **given: object) -> Sequence[Any]:
        """Return the rows that answer one question.

        Raises:
            StorageError: The database cannot be reached, or is not whole.
        """
        with self.asking(begin=False) as ask:
            return ask(question, **given)

    @contextmanager
    def asking(self, *, begin: bool = True) -> Generator[Asks]:
        """Yield who asks: `ask(question, name=value)` returns the rows.

        Args:
            begin: Whether all answers are of one state.

        Raises:
            StorageError: The database cannot be reached, or is not whole.
        """
        begin = begin and not self._is_server  # there a transaction begins by itself
        try:
            connection, cursor = kept = self._connection()
            try:
                if begin:
                    cursor.execute("BEGIN")
                yield partial(_ask, cursor, self.engine.dialect)
                if begin or self._is_server:
                    connection.rollback()
            except BaseException:
                connection.close()
                raise
        except self._errors as error:
            raise unusable(error, self.engine) from error
        self._kept.append(kept)

    def _connection(self) -> tuple[Any, Any]:
        try:
            return self._kept.pop()
        except IndexError:
            connection = self.engine.raw_connection()
            connection.detach()  # it is no longer the pool's
            return connection, connection.cursor()


def _ask(cursor: Any, dialect: Dialect, question: Question, **given: object) -> Sequence[Any]:
    text, same = question.text(dialect)
    return cursor.execute(text, same | given).fetchall()
