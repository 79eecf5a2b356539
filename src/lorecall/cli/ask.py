"""`lorecall ask`: one query, answered with a memory, without it, or both.

Without it is the base as the memory was trained on: with the shared memory, but nobody's own.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorecall.cli.output import base_of, print_result, tell, to_stay
from lorecall.cli.parameters import (
    Device,
    DrawSeed,
    FourBit,
    Json,
    KeysAt,
    MemoryFolder,
    MinP,
    Model,
    PersonAt,
    StoreAt,
    Temperature,
    TopP,
)
from lorecall.cli.store_place import opened_store, person_at
from lorecall.core.text import printable
from lorecall.decoding import READABLE, Decoding
from lorecall.errors import ConfigError

if TYPE_CHECKING:
    from lorecall.memory.memory import StoredMemory
    from lorecall.reply.memory import Memory
    from lorecall.reply.messages import Messages
    from lorecall.reply.responder import ModelResponder


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySource:
    """Where a memory is: a folder, or someone's in a store."""

    folder: Path | None = None
    person: str | None = None
    store: str | None = None
    keys: Path | None = None

    @property
    def path(self) -> Path:
        """What it is called."""
        return self.folder or Path(str(self.person))

    def check(self) -> None:
        """Refuse both, and neither.

        Raises:
            ConfigError: Not one of them is given.
        """
        if (self.folder is None) == (self.person is None):
            raise ConfigError(
                "a memory must be named",
                expected="--memory DIR, or --person PERSON[@N] with --store",
                got="neither" if self.folder is None else "both",
                next_step="For example: --memory runs/ann",
            )

    def stored(self) -> "StoredMemory | None":
        """Read it; None where someone in a store has none now."""
        from lorecall.memory.memory import StoredMemory  # noqa: PLC0415

        if self.folder is not None:
            return StoredMemory.load(self.folder)
        name, n = person_at(str(self.person))
        with opened_store(self.store, self.keys) as site:
            person = site.person(name)
            return None if n is None and person.log().head is None else person.stored(n)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Who answers: a memory with its base, and that base without it; and how tokens are drawn."""

    memory: "Memory | ModelResponder"
    without: "ModelResponder"
    sampling: Decoding

    @classmethod
    def load(
        cls,
        source: "MemorySource",
        sampling: Decoding,
        *,
        model: str | None,
        device: str | None,
        four_bit: bool,
    ) -> "Sides":
        """Load both, on the base that the memory names unless another is given.

        Where someone in a store has no memory, the base answers.
        """
        from lorecall.lm.reach import check_name  # noqa: PLC0415

        source.check()
        if model is not None:
            check_name(model)  # before what takes seconds
        # a thread that waits for another gives its core away at once: one that something else keeps
        # busy makes a short reply take many times as long otherwise. Read when torch is imported
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        with to_stay():
            from lorecall.memory.shared import AUTO, shared_of  # noqa: PLC0415
            from lorecall.reply.memory import Memory  # noqa: PLC0415
            from lorecall.reply.responder import ModelResponder  # noqa: PLC0415

        stored = source.stored()
        if stored is None:
            tell(f"{source.person} has no memory now: the base answers")
            answers = ModelResponder(base_of(model, device, four_bit=four_bit, shared=AUTO))
            return cls(memory=answers, without=answers, sampling=sampling)
        identity = stored.manifest.base
        shared = shared_of(identity)
        base = base_of(model, device, four_bit=four_bit, default=identity.name, shared=shared)
        without = ModelResponder(base, limits=stored.manifest.recipe.settings)
        memory = Memory(stored, base, path=source.path)
        return cls(memory=memory, without=without, sampling=sampling)

    def decoding_of(self, responder: "Memory | ModelResponder") -> Decoding:
        """Return how one of them decodes, with the draws that were asked for."""
        return responder.decoding.drawn_as(self.sampling)

    def reply(self, responder: "Memory | ModelResponder", messages: "Messages") -> str:
        """Answer, masked."""
        from lorecall.data.privacy import mask  # noqa: PLC0415

        return mask(responder.reply(messages, decoding=self.decoding_of(responder)))

    def tell_cut(self, messages: "Messages") -> None:
        """Say on standard error when a query is too long to be read whole."""
        n_read, n_cut = self.memory.read_and_cut(messages)
        if n_cut:
            tell(
                f"the query is too long for this memory: its last {n_read:,} tokens are read, the"
                f" {n_cut:,} before them are cut. Say it in fewer words; a memory learnt with a"
                " higher train.max_prompt_tokens reads more."
            )


def ask(  # noqa: PLR0913 - one parameter an option
    query: Annotated[str, typer.Argument(help="What to say; - reads standard input.")],
    *,
    memory: MemoryFolder = None,
    person: PersonAt = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    earlier: Annotated[
        list[str] | None,
        typer.Option(
            help="What was said before, oldest first; may be repeated. The sides take turns, and"
            " the last is the memory's own.",
            show_default=False,
        ),
    ] = None,
    without: Annotated[
        bool,
        typer.Option(
            "--without", help="Answer without it: the base, with what is shared but nobody's own."
        ),
    ] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Answer with and without.")] = False,
    temperature: Temperature = READABLE.temperature,
    top_p: TopP = READABLE.top_p,
    min_p: MinP = READABLE.min_p,
    seed: DrawSeed = READABLE.seed,
    model: Model = None,
    device: Device = None,
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Answer a query as someone who knows the person."""
    from lorecall.reply.messages import parse, with_earlier  # noqa: PLC0415

    sampling = Decoding(temperature=temperature, top_p=top_p, min_p=min_p, seed=seed)
    said = utf8_text(sys.stdin.buffer.read()).strip() if query == "-" else query
    if not said.strip():
        raise ConfigError(
            "a query must say something",
            expected="some text",
            got="none",
            next_step='For example: lorecall ask --memory DIR "how was your day?"',
        )
    messages = with_earlier(said, earlier or ())
    parse(messages)
    source = MemorySource(folder=memory, person=person, store=store, keys=keys)
    sides = Sides.load(source, sampling, model=model, device=device, four_bit=four_bit)
    sides.tell_cut(messages)
    replies: dict[str, str] = {}
    if without or compare:
        replies["without"] = sides.reply(sides.without, messages)
    if compare or not without:
        replies["memory"] = sides.reply(sides.memory, messages)
    lines = [f"{name}: {reply}" for name, reply in replies.items()]
    text = map(printable, lines if compare else replies.values())
    print_result({"query": said, "replies": replies}, *text, as_json=as_json)


def utf8_text(given: bytes) -> str:
    """Return bytes as text.

    Raises:
        ConfigError: They are not UTF-8.
    """
    try:
        return given.decode()
    except UnicodeDecodeError as reason:
        raise ConfigError(
            "what is said must be text",
            expected="UTF-8",
            got=f"other bytes at byte {reason.start + 1}",
            next_step="Convert it, or check the terminal's encoding.",
        ) from reason
