"""An export of Claude (`conversations.json`, or the ZIP it comes in): a list of conversations.

`{"uuid", "account": {"uuid"}, "created_at", "chat_messages": [{"uuid", "sender", "text",
"content", "created_at"}]}`; the sender is `human` or `assistant`. The person is called as the
account is, so that two accounts stay two; `user` where there is none. The texts of the content
count, without thinking and use of tools; older exports have `text` alone. Where messages name the
one before them (`parent_message_uuid`), the branch that ends at the last is read.
"""

from collections.abc import Iterator
from typing import Any, cast

from lorecall.data.assistant import answers, branch, logs
from lorecall.data.events import Event
from lorecall.data.head import Head
from lorecall.data.loader import EXPORT, YOURS, Dataset, Loader, Paths
from lorecall.data.rows import Name, Record
from lorecall.data.samples import Rules, seconds


class _Account(Record):
    """Whose conversation it is."""

    uuid: Name


class Conversation(Record):
    """One conversation."""

    chat_messages: list[Any]
    account: _Account | None = None
    created_at: Any = None
    current_leaf_message_uuid: Any = None


def read(paths: Paths) -> Iterator[Event]:
    """Return what the assistant answered, and what got no answer."""
    what = "conversations with chat_messages"
    next_step = "Export your data in Claude's settings, and give the ZIP or its conversations.json."
    yield from logs(paths, Conversation, _events, what=what, next_step=next_step)


def recognises(head: Head) -> bool:
    """Whether conversations hold messages as Claude's exports call them."""
    return head.has(r"(\[\]\.)?chat_messages\.\[\]\.sender")


LOADER = Loader(
    dataset=Dataset(
        name="claude", title="Claude: conversations.json", licence=YOURS, origin=EXPORT
    ),
    record="a conversation with chat_messages",
    rules=Rules(),
    read=read,
    recognises=recognises,
)


def _events(found: Conversation, place: int) -> Iterator[Event]:
    user, started = found.account and found.account.uuid, seconds(found.created_at)
    yield from answers(_branch(found), user=user, place=place, started=started)


def _branch(found: Conversation) -> list[object]:
    """Return the messages that lead to the last one, where they say so; otherwise all."""
    each = [cast("dict[str, Any]", m) for m in found.chat_messages if isinstance(m, dict)]
    if len(each) < len(found.chat_messages) or not all("parent_message_uuid" in m for m in each):
        return found.chat_messages
    tree = {str(m.get("uuid")): {"parent": m["parent_message_uuid"], "message": m} for m in each}
    last = found.current_leaf_message_uuid
    return branch(tree, last if isinstance(last, str) else None)
