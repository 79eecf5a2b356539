"""`lorecall ask`: one query, answered with a memory, without it, or both."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorecall.cli.output import Device, FourBit, Json, Model, base_of, show, tell, to_stay
from lorecall.core.text import printable
from lorecall.errors import ConfigError
from lorecall.records import Decoding

if TYPE_CHECKING:
    from lorecall.reply.memory import Memory
    from lorecall.reply.messages import Messages
    from lorecall.reply.responder import ModelResponder

MemoryDir = Annotated[Path, typer.Option(help="A run's folder, or the memory in it.")]
Temperature = Annotated[
    float,
    typer.Option(help="Draw tokens: 0 the likeliest, 1 as likely as they are.", show_default=False),
]
TopP = Annotated[
    float,
    typer.Option(help="Draw from the likeliest that make up so much.", show_default=False),
]
MinP = Annotated[
    float,
    typer.Option(help="Draw none below this share of the likeliest.", show_default=False),
]
DrawSeed = Annotated[int, typer.Option(help="Seed of the draws.", show_default=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Who answers: a memory with its base, and that base alone; and how tokens are drawn."""

    memory: "Memory"
    vanilla: "ModelResponder"
    sampling: Decoding

    @classmethod
    def load(
        cls,
        folder: Path,
        sampling: Decoding,
        *,
        model: str | None,
        device: str | None,
        four_bit: bool,
    ) -> "Sides":
        """Load both, on the base that the memory names unless another is given."""
        from lorecall.lm.reach import check_name  # noqa: PLC0415

        if model is not None:
            check_name(model)  # before what takes seconds
        # a thread that waits for another gives its core away at once: one that something else keeps
        # busy makes a short reply take many times as long otherwise. Read when torch is imported
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        with to_stay():
            from lorecall.memory.memory import StoredMemory  # noqa: PLC0415
            from lorecall.memory.shared import shared_of  # noqa: PLC0415
            from lorecall.reply.memory import Memory  # noqa: PLC0415
            from lorecall.reply.responder import ModelResponder  # noqa: PLC0415

        identity = StoredMemory.load(folder).manifest.base
        shared = shared_of(identity)
        base = base_of(model, device, four_bit=four_bit, default=identity.name, shared=shared)
        memory = Memory.load(folder, base)
        vanilla = ModelResponder(base, limits=memory.manifest.recipe.settings)
        return cls(memory=memory, vanilla=vanilla, sampling=sampling)

    def decoding_of(self, responder: "Memory | ModelResponder") -> Decoding:
        """Return how one of them decodes, with the draws that were asked for."""
        own = responder.decoding
        return replace(self.sampling, stop_bias=own.stop_bias, no_repeat=own.no_repeat)

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
    memory: MemoryDir,
    earlier: Annotated[
        list[str] | None,
        typer.Option(
            help="What was said before, oldest first; may be repeated. The sides take turns, and"
            " the last is the memory's own.",
            show_default=False,
        ),
    ] = None,
    vanilla: Annotated[bool, typer.Option("--vanilla", help="Answer without the memory.")] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Answer with and without.")] = False,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    min_p: MinP = 0.0,
    seed: DrawSeed = 0,
    model: Model = None,
    device: Device = None,
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Answer a query as someone who knows the person."""
    from lorecall.reply.messages import parse, with_earlier  # noqa: PLC0415

    sampling = Decoding(temperature=temperature, top_p=top_p, min_p=min_p, seed=seed)
    said = as_text(sys.stdin.buffer.read()).strip() if query == "-" else query
    if not said.strip():
        raise ConfigError(
            "a query must say something",
            expected="some text",
            got="none",
            next_step='For example: lorecall ask --memory DIR "how was your day?"',
        )
    messages = with_earlier(said, earlier or ())
    parse(messages)
    sides = Sides.load(memory, sampling, model=model, device=device, four_bit=four_bit)
    sides.tell_cut(messages)
    replies: dict[str, str] = {}
    if vanilla or compare:
        replies["vanilla"] = sides.reply(sides.vanilla, messages)
    if compare or not vanilla:
        replies["memory"] = sides.reply(sides.memory, messages)
    lines = [f"{name}: {reply}" for name, reply in replies.items()]
    text = map(printable, lines if compare else replies.values())
    show({"query": said, "replies": replies}, *text, as_json=as_json)


def as_text(given: bytes) -> str:
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
