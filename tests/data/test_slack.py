"""An export of Slack."""

import json
import zipfile
from pathlib import Path

import pytest

from lorecall.data.catalog import check, list_users, load_history, recognised
from lorecall.errors import DataError

OUT, YES = "shall we go out tonight", "yes but only after eight"
USERS = [
    {"id": "U1", "name": "ann", "profile": {"real_name": "Ann Roux", "display_name": ""}},
    {"id": "U2", "name": "bob", "profile": {"real_name": "Bob B", "display_name": "Bob"}},
    {"id": 5},
]


def sent(minute: int, user: str, text: str, **more: object) -> dict[str, object]:
    """Make a message."""
    return {"type": "message", "user": user, "text": text, "ts": ts(minute), **more}


def ts(minute: int) -> str:
    """Return the time of a message, which is its name too."""
    return f"{1718910000 + 60 * minute}.000100"


def day(folder: Path, *messages: object, channel: str = "general", date: str = "20") -> Path:
    """Write a day of a channel, of a workspace with users."""
    file = folder / channel / f"2024-06-{date}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(messages), encoding="utf-8")
    (folder / "users.json").write_text(json.dumps(USERS), encoding="utf-8")
    return file


def replies(path: Path, user: str = "Bob") -> list[tuple[str, str]]:
    """Return the pairs of a user."""
    return [(s.query, s.response) for s in load_history(path, user=user).samples]


def test_a_day(tmp_path: Path) -> None:
    """Users are called as others see them; where no names are told, by their ids."""
    path = day(tmp_path, sent(1, "U1", OUT), sent(2, "U2", YES))
    assert recognised(path).name == "slack"
    (sample,) = load_history(path, user="Bob").samples
    assert (sample.user, sample.partner) == ("Bob (U2)", "Ann Roux (U1)")
    assert (sample.conversation, sample.time) == (f"general {ts(1)}", 1718910120.0001)
    (tmp_path / "users.json").unlink()
    assert replies(path, "U2") == [(OUT, YES)]


def test_marks_are_resolved_and_quotes_taken_off(tmp_path: Path) -> None:
    """As the application shows a text."""
    said = "&gt; they said\n<@U1> see <https://x.org|the page> &amp; <!here> <!subteam^S|@us> &lt;3"
    path = day(tmp_path, sent(1, "U1", OUT), sent(2, "U2", said))
    assert replies(path) == [(OUT, "@Ann Roux see the page & @here @us <3")]


def test_threads_are_read_apart(tmp_path: Path) -> None:
    """With the message that they are about; what is said between is of the channel."""
    path = day(
        tmp_path,
        sent(1, "U1", OUT, thread_ts=ts(1)),
        sent(2, "U3", "the printer is broken again"),
        sent(3, "U2", YES, thread_ts=ts(1)),
        sent(4, "U2", "have you tried another one"),
    )
    assert sorted(replies(path)) == [
        (OUT, YES),
        ("the printer is broken again", "have you tried another one"),
    ]


@pytest.mark.parametrize(
    "more",
    [
        *({"bot_id": "B1"}, {"subtype": "bot_message"}, {"user": "USLACKBOT"}),
        *({"text": "&gt;&gt;&gt; all of it\nquoted"}, {"text": "", "files": [{}]}),
    ],
)
def test_what_the_sender_did_not_write_parts_the_rest(
    tmp_path: Path, more: dict[str, object]
) -> None:
    """Who answers a bot or a file answers nothing that is known."""
    said = {**sent(2, "U2", "the build is red"), **more}
    summary = check(day(tmp_path, sent(1, "U1", OUT), said, sent(3, "U1", "what is it about")))
    assert (summary.n_replies, summary.n_problems, sum(summary.dropped.values())) == (0, 0, 1)


def test_service_messages_are_nobodys(tmp_path: Path) -> None:
    """They part nothing; the text of a file is its sender's."""
    joined = sent(2, "U3", "<@U3> has joined the channel", subtype="channel_join")
    path = day(tmp_path, sent(1, "U1", OUT), joined, sent(3, "U2", YES, subtype="file_share"))
    assert replies(path) == [(OUT, YES)]
    assert check(path).dropped == {"service message": 1}


def test_a_whole_workspace(tmp_path: Path) -> None:
    """Days of a channel go on where the last ended, channels stay apart."""
    files = [
        day(tmp_path, sent(0, "U1", OUT)),
        day(tmp_path, sent(2, "U2", YES), date="21"),
        day(tmp_path, sent(1, "U1", "who has the keys"), channel="keys"),
        day(tmp_path, sent(3, "U2", "they are with me now"), channel="keys", date="21"),
    ]
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for file in (tmp_path / "users.json", *files[::-1]):
            archive.write(file, file.relative_to(tmp_path))
        archive.writestr("channels.json", '[{"id": "C1", "name": "general"}]')
        archive.writestr("__MACOSX/general/._2024-06-20.json", "\0")
    path = tmp_path / "export.zip"
    assert recognised(path).name == "slack"
    assert replies(path) == [(OUT, YES), ("who has the keys", "they are with me now")]
    assert {user.user for user in list_users(path)} == {"Bob (U2)"}


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    """Without a time, without a sender, no object."""
    path = day(tmp_path, {"type": "message"}, {**sent(1, "U1", "x"), "user": None}, 5)
    assert check("slack", path=path).n_problems == 3


@pytest.mark.parametrize("content", ["{}", "", "[]", "plain"])
def test_what_is_no_day(tmp_path: Path, content: str) -> None:
    """The message says what to give."""
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="the ZIP of an export"):
        load_history("slack", path=tmp_path / "file")
