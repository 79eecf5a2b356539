"""Whoever answers queries: the base alone, or the base with a person's memory on it."""

from collections.abc import Sequence
from typing import Protocol

from lorecall.lm.base import BaseModel
from lorecall.lm.body import body_of
from lorecall.lm.decode import respond
from lorecall.lm.inject import Injection
from lorecall.lm.prompts import format_for
from lorecall.memory.artefact import Memory
from lorecall.records import Inject, Turn
from lorecall.settings import TrainSettings


class Responder(Protocol):
    """Answers queries; the contract every system under evaluation keeps."""

    def reply(self, query: str, *, earlier: Sequence[Turn] = ()) -> str:
        """Answer one query."""
        ...

    def reply_all(self, queries: Sequence[str]) -> list[str]:
        """Answer queries that have no earlier turns, in their order."""
        ...


class VanillaResponder:
    """The base alone.

    Args:
        base: The base model.
    """

    inject: Inject = "all"

    def __init__(self, base: BaseModel) -> None:
        limits = TrainSettings()
        self.base = base
        self.max_new_tokens = limits.max_response_tokens
        self.format = format_for(base, limits)

    def reply(self, query: str, *, earlier: Sequence[Turn] = ()) -> str:
        """Answer one query.

        Args:
            query: What was said.
            earlier: Earlier turns of the conversation, oldest first.
        """
        return self._respond([self.format.prompt(query, earlier)])[0]

    def reply_all(self, queries: Sequence[str]) -> list[str]:
        """Answer queries that have no earlier turns, in their order."""
        return self._respond([self.format.prompt(query) for query in queries])

    def _respond(self, prompts: list[list[int]]) -> list[str]:
        return respond(
            self.base,
            self.format,
            prompts,
            max_new_tokens=self.max_new_tokens,
            inject=self.inject,
        )


class MemoryResponder(VanillaResponder):
    """The base with one person's memory; no token of the prompt is spent on it.

    The memory is put on for each call and taken off after it, so that one base can serve several
    responders in turn.

    Args:
        base: The base the memory was trained for.
        memory: The memory.

    Raises:
        ModelError: The memory belongs to another base.
        ArtefactError: The pairs do not fit theta.
    """

    def __init__(self, base: BaseModel, memory: Memory) -> None:
        super().__init__(base)
        memory.check_base(base.name, base.fingerprint)
        self.memory = memory
        self.inject = memory.config.inject

    def _respond(self, prompts: list[list[int]]) -> list[str]:
        with Injection(self.base, self.memory.config, linears=self.memory.linears) as injection:
            injection.load(self.memory.tensors)
            with body_of(self.base).linears.folded(injection.modules):
                return super()._respond(prompts)
