"""`lorecall chat`: a conversation with a memory, streamed.

Where it is piped, a line is a message, and what is shown names who says it: `you` or `memory`.
"""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from lorecall.cli.ask import MemorySource, Sides, utf8_text
from lorecall.cli.output import tell
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
from lorecall.core.text import printable
from lorecall.decoding import READABLE, Decoding

if TYPE_CHECKING:
    from lorecall.reply.messages import ChatMessage

_HELP = {
    "/compare": "answer the last message without the memory (the base, with what is shared) and"
    " with it",
    "/reset": "forget the conversation",
    "/help": "show this",
    "/quit": "end; so do Ctrl-D and Ctrl-C",
}


def chat(  # noqa: PLR0913 - one parameter an option
    *,
    memory: MemoryFolder = None,
    person: PersonAt = None,
    store: StoreAt = None,
    keys: KeysAt = None,
    temperature: Temperature = READABLE.temperature,
    top_p: TopP = READABLE.top_p,
    min_p: MinP = READABLE.min_p,
    seed: DrawSeed = READABLE.seed,
    model: Model = None,
    device: Device = None,
    four_bit: FourBit = False,
    as_json: Json = False,
) -> None:
    """Talk with someone who knows the person; `/help` lists what else it takes."""
    sampling = Decoding(temperature=temperature, top_p=top_p, min_p=min_p, seed=seed)
    source = MemorySource(folder=memory, person=person, store=store, keys=keys)
    sides = Sides.load(source, sampling, model=model, device=device, four_bit=four_bit)
    conversation = _Conversation(sides, as_json=as_json, piped=not sys.stdin.isatty())
    try:
        for line in _lines():
            if not conversation.take(line):
                break
    except KeyboardInterrupt:
        tell("")


class _Conversation:
    """What was said so far, and who answers; where it is piped, who says each line is shown."""

    def __init__(self, sides: Sides, *, as_json: bool, piped: bool) -> None:
        self._sides, self._as_json, self._piped = sides, as_json, piped
        self._messages: list[ChatMessage] = []

    def take(self, line: str) -> bool:
        """Take a message or a command; whether the conversation goes on."""
        line = line.strip()
        match line:
            case "":
                pass
            case "/quit":
                return False
            case "/reset":
                self._messages = []
            case "/compare":
                self._compare()
            case _ if line.startswith("/"):
                for name, does in _HELP.items():
                    tell(f"{name:<9} {does}")
            case _:
                self._answer(line)
        return True

    def _answer(self, said: str) -> None:
        self._messages.append({"role": "user", "content": said})
        self._sides.tell_cut(self._messages)
        pieces = self._stream()
        if self._as_json:
            reply = "".join(pieces)
            _print(json.dumps({"query": said, "reply": reply}, ensure_ascii=False) + "\n")
        else:
            if self._piped:
                _print(f"you: {printable(said)}\nmemory: ")
            reply = ""
            for piece in pieces:
                reply += piece
                _print(printable(piece))
            _print("\n")
        if reply.strip():
            self._messages.append({"role": "assistant", "content": reply})
        else:  # nothing to go on from
            self._messages.pop()

    def _stream(self) -> Iterator[str]:
        from lorecall.data.privacy import mask_pieces  # noqa: PLC0415

        memory = self._sides.memory
        decoding = self._sides.decoding_of(memory)
        return mask_pieces(memory.stream(self._messages, decoding=decoding))

    def _compare(self) -> None:
        said = [i for i, message in enumerate(self._messages) if message["role"] == "user"]
        if not said:
            tell("nothing was said yet")
            return
        messages = self._messages[: said[-1] + 1]
        sides = {"without": self._sides.without, "memory": self._sides.memory}
        replies = {name: self._sides.reply(side, messages) for name, side in sides.items()}
        if self._as_json:
            value = {"query": messages[-1]["content"], "replies": replies}
            _print(json.dumps(value, ensure_ascii=False) + "\n")
            return
        for name, reply in replies.items():
            _print(f"{name}: {printable(reply)}\n")


def _lines() -> Iterator[str]:
    """Return what is typed, with a prompt, or what is piped."""
    if not sys.stdin.isatty():
        yield from map(utf8_text, sys.stdin.buffer)
        return
    import_module("readline")  # lines can be edited

    tell(f"{', '.join(_HELP)}")
    while True:
        try:
            yield input("> ")
        except EOFError:
            tell("")
            return


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
