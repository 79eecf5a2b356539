"""Questions and answers without a conversation: Alpaca, and pairs of prompt and completion.

A row a line, or a JSON list of them: `{"instruction", "input", "output", "history": [[question,
answer]]}` or `{"prompt", "completion"}`. Prompt and completion may be lists of messages with roles.
The answers are the assistant's, but for those of `label` false, which are no good; the person's id
is the row's `user`, where it has that field.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from lorecall.data.assistant import ASSISTANT, USER, answers, logs
from lorecall.data.events import Event
from lorecall.data.head import Head
from lorecall.data.loader import YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Record, Text
from lorecall.data.samples import Rules

_PAIRS = (("instruction", "output"), ("prompt", "completion"))
_ASKED, _ANSWERED = zip(*_PAIRS, strict=True)


_Round = Annotated[list[Any], Field(min_length=2, max_length=2)]


class Row(Record):
    """One row, in either form."""

    asked: Text | list[Any] = Field(validation_alias=AliasChoices(*_ASKED))
    answered: Text | list[Any] = Field(validation_alias=AliasChoices(*_ANSWERED))
    input: Text | None = None
    history: list[_Round] | None = None
    label: Any = None
    user: Name | int | None = None

    def sent(self) -> Iterator[object]:
        """Return its messages, oldest first."""
        asked = self.asked
        if isinstance(asked, str) and self.input:
            asked = f"{asked}\n{self.input}"
        for pair in (*(self.history or ()), (asked, self.answered)):
            for role, said in zip((USER, ASSISTANT), pair, strict=True):
                is_good = role == USER or self.label is not False
                alone = {"role": role, "content": said} | ({} if is_good else {"train": False})
                yield from said if isinstance(said, list) else [alone]


def read(paths: Paths) -> Iterator[Event]:
    """Return each row's pair, and those of its history."""
    what = "pairs of prompt and completion"
    next_step = "Give rows of Alpaca, or of prompt and completion."
    yield from logs(paths, Row, _events, what=what, next_step=next_step)


def recognises(head: Head) -> bool:
    """Whether rows have both fields of a pair."""
    return any(all(head.has(rf"(\[\]\.)?{name}") for name in pair) for pair in _PAIRS)


LOADER = Loader(
    dataset=Dataset(
        name="instructions",
        title="Pairs for an assistant: Alpaca, or prompt and completion",
        licence=YOURS,
        origin="a file of your own",
    ),
    record="an instruction and its output, or a prompt and its completion",
    rules=Rules(),
    read=read,
    recognises=recognises,
)


def _events(row: Row, place: int) -> Iterator[Event]:
    yield from answers(row.sent(), user=row.user, place=place)
