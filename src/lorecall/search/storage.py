"""A storage of trials that can be reached, or a line that says why not. Nothing heavy is imported.

`lorecall.search.study` opens it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from lorecall.core.provenance import without_password
from lorecall.errors import StorageError


def check_url(storage_url: str) -> None:
    """Refuse the URL of a database that cannot be reached; nothing is made there."""
    with reaching(storage_url):
        url = make_url(storage_url)
        if url.get_backend_name() == "sqlite":
            folder = Path(url.database or ".").parent
            if not folder.is_dir():
                raise FileNotFoundError(f"no folder {folder}")
            return
        engine = create_engine(url)
        try:
            engine.connect().close()
        finally:
            engine.dispose()


@contextmanager
def reaching(storage_url: str, *others: type[Exception]) -> Generator[None]:
    """Turn what a storage raises that cannot be reached into one line.

    Raises:
        StorageError: It cannot be reached.
    """
    try:
        yield
    except (SQLAlchemyError, ImportError, ValueError, OSError, *others) as reason:
        raise StorageError(
            "the storage of the trials must be reachable",
            expected="an SQLAlchemy URL of a database that can be written",
            got=f"{without_password(storage_url)} ({_first_cause(reason)})",
            next_step="Check the URL, its driver and the server, or leave it out for a local file;"
            " a local file that is no database can only be deleted.",
        ) from None


def _first_cause(reason: BaseException) -> str:
    """Return the first line of the error under Optuna's and SQLAlchemy's."""
    while reason.__cause__ is not None:
        reason = reason.__cause__
    lines = str(reason).splitlines() or [""]
    return f"{type(reason).__name__}: {lines[0]}"
