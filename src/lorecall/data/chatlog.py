"""Chat logs: messages of people, or of a person and an assistant, made dialogues.

What the exports have in common. Messages in a row by one sender are one turn; a chat without an
end is cut into conversations where nobody wrote for four hours.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lorecall.data.events import Dialogue, Dropped, Spoken
from lorecall.data.rows import broken, texts_in, whole

GAP_S = 4 * 3600.0
MAX_MESSAGES = 1_000  # of a conversation: a busy group never sleeps


class Message(NamedTuple):
    """One message. `id` names it within its chat; `time` is in Unix seconds."""

    chat: str
    id: str
    sender: str
    text: str
    time: float | None = None


def text_of(content: object, *, between: str, place: int) -> str | Dropped:
    """Return the text of a message, or why it has none.

    Args:
        content: A string, `{"text": string}`, `{"parts": list}`, or a list of such; parts that are
            no text are left out.
        between: What joins the parts.
        place: Where the message is in the file, for the drop.
    """
    try:
        text = whole(between.join(texts_in(content, under=("parts", "text"))))
    except ValueError as reason:
        return broken("message", str(reason), place=place)
    return text if text.strip() else Dropped("message without text", place, broken=False)


def dialogues(
    messages: Iterable[Message | Dropped], *, gap_s: float = GAP_S, between: str = " "
) -> Iterator[Dialogue | Dropped]:
    """Cut messages, chat by chat in time order, into dialogues as they come; drops pass through.

    Args:
        messages: The messages.
        gap_s: The longest silence within a dialogue, in seconds.
        between: What joins messages in a row by one sender, which are one turn.
    """
    open_: list[Message] = []
    for message in messages:
        if isinstance(message, Dropped):
            yield message
            continue
        if open_ and _ends(open_, message, gap_s=gap_s):
            yield _dialogue(open_, between=between)
            open_ = []
        open_.append(message)
    if open_:
        yield _dialogue(open_, between=between)


def _ends(messages: list[Message], message: Message, *, gap_s: float) -> bool:
    """Whether a message begins another conversation."""
    last = messages[-1]
    gap = 0.0 if last.time is None or message.time is None else message.time - last.time
    return message.chat != last.chat or gap > gap_s or len(messages) >= MAX_MESSAGES


def _dialogue(messages: list[Message], *, between: str) -> Dialogue:
    turns: list[list[Message]] = []
    for message in messages:
        if turns and turns[-1][0].sender == message.sender:
            turns[-1].append(message)
        else:
            turns.append([message])
    first = messages[0]
    return Dialogue(
        f"{first.chat} {first.id}",
        tuple(
            Spoken(turn[0].sender, between.join(part.text.strip() for part in turn), turn[0].time)
            for turn in turns
        ),
    )
