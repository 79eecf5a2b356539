"""A memory with its base: what replies."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Self

from lorecall.decoding import Decoding
from lorecall.lm.base import LanguageModel
from lorecall.lm.prompts import layout_of
from lorecall.memory.memory import Manifest, StoredMemory, find_memory
from lorecall.memory.shared import load_base_of
from lorecall.records import InjectionConfig
from lorecall.reply.messages import Messages
from lorecall.reply.responder import ModelResponder


class Memory:
    """A person's memory, ready to reply.

    Args:
        stored: What is in its folder.
        base: The base it was trained for; loaded by its name when None, at the first reply.
        path: Its folder.

    Raises:
        ModelError: The base is another one.

    Examples:
        >>> from lorecall import Decoding, Memory
        >>> from lorecall.lm import tiny_base
        >>> memory = Memory.load("runs/ann", base=tiny_base())
        >>> messages = [{"role": "user", "content": "how was your day?"}]
        >>> reply = memory.reply(messages)
        >>> "".join(memory.stream(messages)) == reply
        True
        >>> drawn = Decoding(temperature=0.8, top_p=0.9, seed=1)
        >>> memory.reply(messages, decoding=drawn) == reply
        False
        >>> memory.manifest.training.user
        'ann'
    """

    def __init__(
        self, stored: StoredMemory, base: LanguageModel | None = None, *, path: Path
    ) -> None:
        if base is not None:
            stored.check_base(base.title, base.fingerprint, prompts=layout_of(base.tokenizer))
        self.stored, self.path, self._base = stored, path, base

    @classmethod
    def load(cls, folder: str | Path, base: LanguageModel | None = None) -> Self:
        """Read a memory's folder, or the run's that holds one.

        Args:
            folder: The folder.
            base: The base it was trained for; loaded by its name when None, at the first reply.

        Raises:
            ArtefactError: It is missing, corrupt, truncated or of another version.
            ModelError: The base is another one.
        """
        return cls(StoredMemory.load(folder), base, path=find_memory(Path(folder)))

    @property
    def manifest(self) -> Manifest:
        """What it was made of, and for which base."""
        return self.stored.manifest

    @property
    def theta(self) -> InjectionConfig:
        """Which layers carry it, with how many modules, of which rank."""
        return self.stored.config

    @property
    def decoding(self) -> Decoding:
        """How its replies are decoded unless another way is asked for."""
        return self.stored.decoding

    @property
    def base(self) -> LanguageModel:
        """The base, loaded if it was not.

        Raises:
            ModelError: It is not there, or another one is.
        """
        return self._responder.base

    def reply(self, messages: Messages, *, decoding: Decoding | None = None) -> str:
        """Answer the last of some messages.

        Args:
            messages: The conversation, `[{"role": "user", "content": "..."}, ...]`, or a query;
                messages in a row of one side are one turn, a line each.
            decoding: How tokens are chosen; as the memory says when None.

        Raises:
            ConfigError: The messages are no conversation that ends with the user's.
        """
        return self._responder.reply(messages, decoding=decoding)

    def stream(self, messages: Messages, *, decoding: Decoding | None = None) -> Iterator[str]:
        """Answer as `reply` does, in pieces as they are found.

        Args:
            messages: The conversation, or a query.
            decoding: How tokens are chosen; as the memory says when None.

        Raises:
            ConfigError: The messages are no conversation that ends with the user's.
        """
        return self._responder.stream(messages, decoding=decoding)

    def read_and_cut(self, messages: Messages) -> tuple[int, int]:
        """Return how many tokens of the query are read, and how many there is no room for."""
        return self._responder.read_and_cut(messages)

    @cached_property
    def _responder(self) -> ModelResponder:
        return ModelResponder(self._base or load_base_of(self.manifest.base), self.stored)
