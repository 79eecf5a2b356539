"""What everything in a store works with: its databases, its folder, and who builds."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from lorecall.store.builder import Builder
from lorecall.store.keys import KeyStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An open store.

    Args:
        uid: Its random name.
        folder: Where its database and blobs are.
        keys_folder: Where its keys are.
        engine: Its database.
        keys: Its keys.
        builder: Who builds versions.
    """

    uid: str
    folder: Path
    keys_folder: Path
    engine: Engine
    keys: KeyStore
    builder: Builder

    def blob(self, person: str, uid: str) -> Path:
        """Return where a blob is: names of the store's own, never anyone's."""
        return self.folder / "blobs" / person / uid
