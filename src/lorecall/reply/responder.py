"""Whoever answers queries: a base, with a memory in its weights, notes in its prompt, or neither.

Every system under evaluation is a `ModelResponder`, so that all of them share prompts and decoding
and differ by nothing but what they know of the person.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from lorecall.decoding import Decoding
from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.generate import respond, stream
from lorecall.lm.prompts import Retriever, format_for, layout_of
from lorecall.memory.memory import StoredMemory
from lorecall.records import Sample
from lorecall.reply.messages import Messages, parse
from lorecall.settings import TrainSettings


@runtime_checkable
class Responder(Protocol):
    """Answers conversations; the contract every system under evaluation keeps.

    `decoding` is how its replies are decoded, `injection` what it has in the weights.

    Examples:
        >>> from lorecall import Memory, ModelResponder, Responder
        >>> from lorecall.lm import tiny_base
        >>> base = tiny_base()
        >>> with_memory: Responder = ModelResponder(base, Memory.load("runs/ann", base=base).stored)
        >>> without: Responder = ModelResponder(base)
        >>> len(without.reply_all(["tea?", "rain?"])), isinstance(with_memory, Responder)
        (2, True)
    """

    base: LanguageModel
    injection: Injection | None
    decoding: Decoding

    def reply(self, messages: Messages) -> str:
        """Answer the last of some messages."""
        ...

    def stream(self, messages: Messages) -> Iterator[str]:
        """Answer as `reply` does, in pieces as they are found."""
        ...

    def reply_all(self, queries: Sequence[str]) -> list[str]:
        """Answer queries that have no earlier turns, in their order."""
        ...

    def encode(self, sample: Sample) -> Encoded:
        """Return a sample as this system reads it: its prompt, and the true response."""
        ...


class ModelResponder:
    """A base with what is known of one person.

    The base stays as it is, so that it can serve any number of responders at once.

    Args:
        base: The base model.
        memory: What is in the weights; nothing when None.
        retriever: What is put in the prompt; nothing when None.
        limits: The longest prompt and response, and the earlier turns shown; when None those of
            the memory's training, or without one the defaults.
        decoding: How replies are decoded; when None as the memory's manifest says, or without a
            memory as the limits do.

    Raises:
        ModelError: The memory belongs to another base, or was taught in another layout of turns.
        ArtefactError: The pairs do not fit theta.

    Examples:
        >>> from lorecall import ModelResponder, StoredMemory, TrainSettings
        >>> from lorecall.lm import tiny_base
        >>> base, limits = tiny_base(), TrainSettings(max_response_tokens=16)
        >>> ann = ModelResponder(base, StoredMemory.load("runs/ann"), limits=limits)
        >>> nobody = ModelResponder(base, limits=limits)  # at the same time, on the same base
        >>> replies = [who.reply("and on day 3?") for who in (ann, nobody)]
        >>> ann.injection is None, nobody.injection is None
        (False, True)
    """

    def __init__(
        self,
        base: LanguageModel,
        memory: StoredMemory | None = None,
        *,
        retriever: Retriever | None = None,
        limits: TrainSettings | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        limits = limits or (memory.manifest.recipe.settings if memory else TrainSettings())
        if memory is not None:
            memory.check_base(base.title, base.fingerprint, prompts=layout_of(base.tokenizer))
        self.base = base
        self.memory = memory
        self.retriever = retriever
        self.injection = memory and Injection.of(base, memory)
        own = memory.decoding if memory else Decoding(no_repeat=limits.no_repeat)
        self.decoding = decoding or own
        self.max_new_tokens = limits.max_response_tokens
        self.earlier_turns = limits.earlier_turns
        self.format = format_for(base, limits)

    def reply(self, messages: Messages, *, decoding: Decoding | None = None) -> str:
        """Answer the last of some messages.

        Args:
            messages: The conversation, or a query; as many of its earlier turns are shown as in
                training.
            decoding: How tokens are chosen; the responder's own way when None.

        Raises:
            ConfigError: The messages are no conversation that ends with the user's.
        """
        return self._respond([self._prompt(messages)], decoding)[0]

    def stream(self, messages: Messages, *, decoding: Decoding | None = None) -> Iterator[str]:
        """Answer as `reply` does, in pieces as they are found.

        Args:
            messages: The conversation, or a query.
            decoding: How tokens are chosen; the responder's own way when None.

        Raises:
            ConfigError: The messages are no conversation that ends with the user's.
        """
        return stream(
            self.base,
            self.format,
            self._prompt(messages),
            max_new_tokens=self.max_new_tokens,
            decoding=decoding or self.decoding,
            injection=self.injection,
        )

    def read_and_cut(self, messages: Messages) -> tuple[int, int]:
        """Return how many tokens of the query are read, and how many there is no room for."""
        return self.format.read_and_cut(parse(messages)[0])

    def reply_all(self, queries: Sequence[str]) -> list[str]:
        """Answer queries that have no earlier turns, in their order."""
        prompts = [self.format.prompt(query, (), self._notes(query)) for query in queries]
        return self._respond(prompts)

    def encode(self, sample: Sample) -> Encoded:
        """Return a sample as this system reads it: its prompt, and the true response."""
        notes = self._notes(sample.query, before=sample.id)
        return self.format.encode(sample, earlier=self.earlier_turns, notes=notes)

    def _notes(self, query: str, *, before: str | None = None) -> Sequence[str]:
        return self.retriever.retrieve(query, before=before) if self.retriever is not None else ()

    def _prompt(self, messages: Messages) -> list[int]:
        query, earlier = parse(messages)
        shown = earlier[max(0, len(earlier) - self.earlier_turns) :]
        return self.format.prompt(query, shown, self._notes(query))

    def _respond(self, prompts: list[list[int]], decoding: Decoding | None = None) -> list[str]:
        return respond(
            self.base,
            self.format,
            prompts,
            max_new_tokens=self.max_new_tokens,
            decoding=decoding or self.decoding,
            injection=self.injection,
        )
