"""Which store a command means, and whom in it."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lorecall.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from lorecall.store.store import Store


@contextmanager
def opened_store(
    store: str | None, keys: Path | None, *, create: bool = False
) -> Generator["Store"]:
    """Open the store that a command names.

    Raises:
        ConfigError: None is named.
        MissingExtraError: The extra is not installed.
    """
    place = named_store(store)
    check_extra()
    from lorecall.store.store import Store  # noqa: PLC0415

    with Store.open(place, keys=keys, create=create) as site:
        yield site


def named_store(store: str | None) -> str:
    """Return the store that is named.

    Raises:
        ConfigError: None is.
    """
    if store is None:
        raise ConfigError(
            "the store must be named",
            expected="--store FOLDER, or LORECALL_STORE",
            got="neither",
            next_step="For example: --store people",
        )
    return store


def keys_folder(store: str | None, keys: Path | None) -> Path:
    """Return where a store's keys are.

    Raises:
        ConfigError: No store is named, or its keys have no usual place.
    """
    place = named_store(store)
    check_extra()
    from lorecall.store.place import Place  # noqa: PLC0415

    return Place.of(place, keys=keys).keys


def check_extra() -> None:
    """Refuse to go on without what encrypts.

    Raises:
        MissingExtraError: It is not installed.
    """
    for package in ("alembic", "confusable_homoglyphs", "cryptography", "rfc8785"):
        if find_spec(package) is None:
            install = "pip install lorecall[store]"
            raise MissingExtraError("a store", package=package, install=install)


def person_at(text: str) -> tuple[str, int | None]:
    """Return a name and a version's number, of `PERSON` or `PERSON@N`."""
    name, at, n = text.rpartition("@")
    return (name, int(n)) if at and name and n.isdecimal() else (text, None)
