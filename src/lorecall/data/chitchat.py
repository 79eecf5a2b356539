"""The chitchat dataset: real conversations between people, from the wheel `chitchat-dataset`.

Format: conversation id -> `{"messages": [turn, ...]}`, a turn = messages of one sender, a message =
`{"text", "timestamp", "sender"}`. The author of the responses is the user. Speakers hold several
conversations at once, so conversations are ordered by their first message.
"""

import hashlib
import importlib.util
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from lorecall.data.samples import Dialogue, Rules, Spoken, history_of, unix_seconds
from lorecall.data.users import UserSummary, repliers, resolve_user
from lorecall.errors import DataError, MissingExtraError
from lorecall.records import History

NAME = "chitchat"
PACKAGE = "chitchat-dataset==0.9.0"
INSTALL = f"pip install --no-deps {PACKAGE}"
SHA256 = "d2a5d0bf6acf354fef51f3af39cbece2220d3b8f6086b658c3d335105798312a"
RULES = Rules(min_words=3, max_words=100, repeats=False)


def load_history(user: str, *, path: Path | None = None) -> History:
    """Load what one speaker wrote.

    Args:
        user: The speaker's id, or the start of it.
        path: A file of this format; None for the installed dataset.

    Raises:
        DataError: The file cannot be used, or the user is not in it.
        MissingExtraError: The dataset is not installed.
    """
    return history_from(read(path), user=user)


def history_from(dialogues: Sequence[Dialogue], *, user: str) -> History:
    """Collect what one speaker (an id, or the start of it) wrote in dialogues already read."""
    counts = Counter(d.turns[i].author for d in dialogues for i in d.replies())
    full_id = resolve_user(user, counts)
    return history_of(dialogues, user=full_id, dataset=NAME, rules=RULES)


def list_users(*, path: Path | None = None) -> list[UserSummary]:
    """Summarise everyone who replied at least once, most usable samples first.

    Raises:
        DataError: The file cannot be used.
        MissingExtraError: The dataset is not installed.
    """
    return repliers(read(path), rules=RULES)


def read(path: Path | None = None) -> list[Dialogue]:
    """Read all conversations, ordered by their first message.

    Args:
        path: A file of this format; None for the installed dataset, whose checksum is checked.

    Raises:
        DataError: The file is unreadable, not of this format, or not the published one.
        MissingExtraError: The dataset is not installed.
    """
    file = path or dataset_file()
    content = _content(file)
    if path is None and hashlib.sha256(content).hexdigest() != SHA256:
        raise _error(file, got="another checksum", expected=f"the file of {PACKAGE}")
    try:
        value: object = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as reason:
        raise _error(file, got=f"{type(reason).__name__}: {reason}") from reason
    if not isinstance(value, dict):
        raise _error(file, got=type(value).__name__)
    conversations = cast("dict[str, Any]", value)
    dialogues = [_dialogue(file, name, found) for name, found in conversations.items()]
    return sorted((d for d in dialogues if d.turns), key=lambda d: d.turns[0].time or 0.0)


def dataset_file() -> Path:
    """Find the installed dataset without importing its package.

    Raises:
        MissingExtraError: The dataset is not installed.
    """
    spec = importlib.util.find_spec("chitchat_dataset")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (file := Path(folder) / "dataset.json").is_file():
            return file
    raise MissingExtraError("the chitchat dataset", package=PACKAGE, install=INSTALL)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as reason:
        raise _error(file, got=f"{type(reason).__name__}: {reason}") from reason


def _dialogue(file: Path, name: str, conversation: Any) -> Dialogue:
    # Checking a quarter of a million messages one by one would take longer than reading them, so
    # the reader just reads, and what a wrong structure raises is named here.
    try:
        return Dialogue(name, tuple(_turn(turn) for turn in conversation["messages"]))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as reason:
        got = f"{type(reason).__name__}: {reason} in conversation {name[:60]!r}"
        raise _error(file, got=got) from reason


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


def _error(file: Path, *, got: str, expected: str = "conversation id -> messages") -> DataError:
    return DataError(
        "the chitchat file must be readable",
        expected=f"{expected} in {file}",
        got=got,
        next_step=f"Install it again: {INSTALL} --force-reinstall",
    )
