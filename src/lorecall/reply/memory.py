"""A memory with its base: what replies."""

from pathlib import Path
from typing import Self

from lorecall.lm.base import LanguageModel
from lorecall.memory.memory import StoredMemory


class Memory:
    """A stored memory with its base."""

    def __init__(self, stored: StoredMemory, base: LanguageModel, *, path: Path) -> None:
        self.stored, self.base, self.path = stored, base, path

    @classmethod
    def load(cls, folder: str | Path, base: LanguageModel | None = None) -> Self:
        """Load it."""
        stored = StoredMemory.load(folder)
        return cls(stored, base or LanguageModel.load(stored.manifest.base.name), path=Path(folder))
