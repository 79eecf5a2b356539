"""An export of Claude."""

import json
import zipfile
from pathlib import Path

import pytest

from lorecall.data.catalog import check, list_users, load_history, recognised
from lorecall.errors import DataError
from lorecall.records import History


def message(name: str, said: object, after: str | None = None, **more: object) -> object:
    """Make a message; of the assistant where the name begins so."""
    sender = "assistant" if name.startswith("a") else "human"
    parent = {} if after is None else {"parent_message_uuid": after}
    return {"uuid": name, "sender": sender, "text": said, "created_at": None, **parent, **more}


def export(folder: Path, *conversations: object) -> Path:
    """Write an export."""
    (folder / "conversations.json").write_text(json.dumps(conversations), encoding="utf-8")
    return folder / "conversations.json"


def pairs(history: History) -> list[tuple[str, str]]:
    """Return what was said."""
    return [(sample.query, sample.response) for sample in history.samples]


def test_what_was_said_is_told_from_thinking_and_tools(tmp_path: Path) -> None:
    """The content counts, not the text as it was shown; an empty content says nothing of it."""
    parts = [
        {"type": "thinking", "thinking": "soup"},
        {"type": "text", "text": "soup"},
        {"type": "tool_use", "name": "search", "input": {"text": "leeks"}},
        {"type": "tool_result", "content": [{"type": "text", "text": "found"}]},
        {"type": "text", "text": "and bread"},
    ]
    said = [message("h", "leeks?", content=[]), message("a", "not supported here", content=parts)]
    path = export(tmp_path, {"created_at": "2024-06-20T19:01:00Z", "chat_messages": said})
    history = load_history(path)
    assert pairs(history) == [("leeks?", "soup\nand bread")]
    assert (history.dataset, history.user) == ("claude", "user")
    assert history.samples[0].time == 1718910060


def test_a_block_that_could_not_be_shown_is_no_text(tmp_path: Path) -> None:
    """Exports have a line in its place."""
    block = "```\nThis block is not supported on your current device yet.\n```\n\nsoup"
    path = export(tmp_path, {"chat_messages": [message("h", "leeks?"), message("a", block)]})
    assert pairs(load_history(path)) == [("leeks?", "soup")]


def test_the_branch_that_was_read_last_counts(tmp_path: Path) -> None:
    """An answer asked for again has one that nobody went on from."""
    said = [
        message("h1", "leeks?", "none"),
        message("a1", "pie", "h1"),
        message("a2", "soup", "h1"),
        message("h2", "how long?", "a2"),
        message("a3", "an hour", "h2"),
    ]
    path = export(tmp_path, {"chat_messages": said})
    assert pairs(load_history(path)) == [("leeks?", "soup"), ("how long?", "an hour")]
    named = {"chat_messages": said, "current_leaf_message_uuid": "a1"}
    assert pairs(load_history(export(tmp_path, named))) == [("leeks?", "pie")]


def test_accounts_stay_apart(tmp_path: Path) -> None:
    """Each is a user."""
    said = [message("h", "leeks?"), message("a", "soup")]
    rows = [{"account": {"uuid": name}, "chat_messages": said} for name in ("one", "two")]
    assert {user.user for user in list_users(export(tmp_path, *rows))} == {"one", "two"}


def test_it_is_read_out_of_its_zip(tmp_path: Path) -> None:
    """Other files in it are none of the messages."""
    path = export(tmp_path, {"chat_messages": [message("h", "leeks?"), message("a", "soup")]})
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.write(path, "conversations.json")
        archive.writestr("users.json", "[]")
        archive.writestr("projects.json", "[]")
    assert recognised(tmp_path / "data.zip").name == "claude"
    assert len(load_history(tmp_path / "data.zip").samples) == 1


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    """A conversation without messages, and a message that is none."""
    said = [message("h", 5), message("a", "soup"), 7]
    found = check("claude", path=export(tmp_path, {"name": "x"}, {"chat_messages": said}))
    assert found.n_problems == 2
    assert found.n_replies == 0


@pytest.mark.parametrize("content", ["", "plain", "[]"])
def test_what_is_no_export(tmp_path: Path, content: str) -> None:
    """The message says where to get one."""
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="Claude's settings"):
        load_history("claude", path=tmp_path / "file")
