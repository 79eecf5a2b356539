"""Where a store is: its database, its keys and its versions, each from what was given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from lorecall.errors import ConfigError

_DATABASE = "store.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a store is.

    Args:
        named: What it is called by: its folder, or its database's URL.
        keys: The folder of its keys.
        blobs: Where its versions are to be; None for where they are.
    """

    named: Path | str
    keys: Path
    blobs: str | None = None

    @classmethod
    def of(
        cls,
        place: str | Path,
        *,
        keys: str | Path | None = None,
        blobs: str | Path | None = None,
    ) -> Self:
        """Return where everything is, with what is usual for what was not given.

        Raises:
            ConfigError: A database's keys have no usual place, or keys are no folder.
        """
        if keys is not None and "://" in str(keys):
            raise ConfigError(
                "keys are in a folder on a disk of this machine, where they can be overwritten",
                expected="a folder",
                got="a URL",
                next_step="Name a folder (--keys).",
            )
        is_url = "://" in str(place)
        if is_url and keys is None:
            raise ConfigError(
                "the keys of a store in a database are kept apart from it",
                expected="a folder on a disk of this machine",
                got="none",
                next_step="Name it (--keys, or LORECALL_KEYS).",
            )
        named = str(place) if is_url else Path(place)
        if isinstance(named, Path) and named.is_file():
            raise ConfigError(
                "a store is a folder, or a database of PostgreSQL",
                expected="a folder",
                got="a file",
                next_step="Name a folder.",
            )
        beside = Path(place).with_name(f"{Path(place).name}-keys")
        kept = blobs if blobs is None or "://" in str(blobs) else Path(blobs).resolve()
        return cls(
            named=named,
            keys=beside if keys is None else Path(keys),
            blobs=None if kept is None else str(kept),
        )

    @property
    def database(self) -> Path | str:
        """The SQLite file, or the URL."""
        return self.named / _DATABASE if isinstance(self.named, Path) else self.named

    @property
    def usual_blobs(self) -> Path | None:
        """Where versions are when nothing was said; None where something must be said."""
        return self.named / "blobs" if isinstance(self.named, Path) else None
