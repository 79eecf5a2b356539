"""The chitchat dataset: real conversations between people, from the wheel `chitchat-dataset`.

Format: conversation id -> `{"messages": [turn, ...]}`, a turn = messages of one sender, a message =
`{"text", "timestamp", "sender"}`. The author of the responses is the user. Speakers hold several
conversations at once, so conversations are ordered by their first message.
"""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lorecall.core.files import sha256_of
from lorecall.data.events import Dialogue, Dropped, Event, Spoken, of_people
from lorecall.data.head import Head
from lorecall.data.lines import first_byte, unreadable
from lorecall.data.loader import Dataset, Loader, Paths
from lorecall.data.samples import CHAT, unix_seconds
from lorecall.data.values import members
from lorecall.errors import MissingExtraError

PACKAGE = "chitchat-dataset==0.9.0"
INSTALL = f"pip install --no-deps {PACKAGE}"
SHA256 = "d2a5d0bf6acf354fef51f3af39cbece2220d3b8f6086b658c3d335105798312a"


def read(paths: Paths) -> Iterator[Event]:
    """Return the replies and openers of each conversation, in the order of the file."""
    return of_people(dialogues(paths))


def dialogues(paths: Paths) -> Iterator[Dialogue | Dropped]:
    """Return each conversation that is not empty, or what is wrong with it."""
    for path in paths:
        if first_byte(path) != b"{":
            raise unreadable(path, got="no object", expected="conversation id -> messages")
        for number, ((name,), conversation) in enumerate(members(path), start=1):
            dialogue = _dialogue(str(name), conversation, number=number)
            if isinstance(dialogue, Dropped) or dialogue.turns:
                yield dialogue


def dataset_file() -> Path:
    """Find the installed dataset, without importing its package, and check its checksum.

    Raises:
        DataError: It is not the published file.
        MissingExtraError: The dataset is not installed.
    """
    spec = importlib.util.find_spec("chitchat_dataset")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (file := Path(folder) / "dataset.json").is_file():
            if sha256_of(file) != SHA256:
                raise unreadable(
                    file,
                    got="another checksum",
                    expected=f"the file of {PACKAGE}",
                    next_step=f"Install it again: {INSTALL} --force-reinstall",
                )
            return file
    raise MissingExtraError("the chitchat dataset", package=PACKAGE, install=INSTALL)


def recognises(head: Head) -> bool:
    """Whether each name stands for a conversation of turns of messages."""
    return head.has(r".+\.messages\.\[\]\.\[\]\.sender")


LOADER = Loader(
    dataset=Dataset(
        name="chitchat",
        title="Chit-Chat Challenge: open conversations between people",
        licence="MIT",
        origin="PyPI wheel chitchat-dataset 0.9.0",
        file="dataset.json",
        sha256=SHA256,
        n_conversations=7_168,
        n_replies=131_569,
        n_users=1_113,
    ),
    record="a conversation: its messages by turns of one sender",
    rules=CHAT,
    read=read,
    recognises=recognises,
    strict=True,
    installed=dataset_file,
)


def _dialogue(name: str, conversation: Any, *, number: int) -> Dialogue | Dropped:
    # Checking a quarter of a million messages one by one would take longer than reading them, so
    # the reader just reads, and what a wrong structure raises is named here.
    try:
        return Dialogue(name, tuple(_turn(turn) for turn in conversation["messages"]))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as reason:
        detail = f"{type(reason).__name__}: {reason} in conversation {name[:60]!r}"
        return Dropped("broken conversation", number, detail=detail)


def _turn(messages: Any) -> Spoken:
    senders = {message["sender"] for message in messages}
    if len(senders) != 1:
        raise ValueError(f"a turn of {len(senders)} senders")
    sender = senders.pop()
    text = " ".join([part for message in messages if (part := message["text"].strip())])
    # Half a surrogate pair cannot be written to any file, nor can a sender that is no string.
    if not text.isascii() or not sender.isascii():
        (text + sender).encode("utf-8")
    return Spoken(sender, text, unix_seconds(messages[0]["timestamp"]))
