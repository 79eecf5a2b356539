"""What a system that puts notes in the prompt keeps for one person."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel as Schema
from pydantic import ConfigDict

from lorecall.core.files import json_bytes, write_bytes
from lorecall.memory.memory import Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A response, a statement or a sentence of the profile, of a training history.

    What is no response has no `query` and no `sample`, whose id that is; `time` is in Unix seconds.
    """

    text: str
    query: str = ""
    sample: str = ""
    time: float | None = None

    @property
    def key(self) -> str:
        """What it is found by: what it answered, or else itself."""
        return self.query or self.text

    @property
    def whole(self) -> str:
        """Return what it answered and itself, in one line."""
        return f"{self.query} -> {self.text}" if self.query else self.text


class StoredNotes(Schema):
    """What a system keeps of notes for one person, and the training part that they are from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
    training: Training
    notes: tuple[Note, ...]

    @property
    def n_bytes(self) -> int:
        """What the file takes."""
        return len(self._content())

    def save(self, path: Path) -> None:
        """Write the file whole, or leave it as it was."""
        write_bytes(path, self._content())

    def _content(self) -> bytes:
        return json_bytes(self.model_dump(mode="json"))
