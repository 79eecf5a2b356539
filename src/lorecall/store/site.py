"""What everything in a store works with: its databases, where its versions are, and who builds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from lorecall.store.asking import Asker
from lorecall.store.blobs import Blobs
from lorecall.store.builder import Builder
from lorecall.store.keyring.keys import KeyStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An open store.

    Args:
        uid: Its random name.
        place: Its folder, or its database's URL.
        keys_folder: Where its keys are.
        engine: Its database.
        asker: Asks that database what is asked in every call.
        keys: Its keys.
        blobs: Where its versions are.
        builder: Who builds versions.
    """

    uid: str
    place: Path | str
    keys_folder: Path
    engine: Engine
    asker: Asker
    keys: KeyStore
    blobs: Blobs
    builder: Builder

    @property
    def database_files(self) -> Sequence[Path]:
        """The database's files, with its log; none where a server has them."""
        return [*self.place.glob("store.db*")] if isinstance(self.place, Path) else ()

    def close(self) -> None:
        """Close the databases."""
        self.asker.close()
        self.engine.dispose()
        self.keys.close()
