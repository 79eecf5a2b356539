"""Chats of Messenger and Instagram."""

import json
import zipfile
from pathlib import Path

import pytest

from lorecall.data.catalog import check, list_users, load_history, recognised
from lorecall.errors import DataError

OUT, YES = "shall we go out tonight", "yes but only after eight"
HOUR_MS = 3_600_000
START_MS = 1_718_910_000_000


def sent(minute: int, name: str, content: str | None, **more: object) -> dict[str, object]:
    """Make a message as the export writes it: its bytes of UTF-8 taken for Latin-1."""
    said = {} if content is None else {"content": content.encode().decode("latin-1")}
    wrong = name.encode().decode("latin-1")
    return {"sender_name": wrong, "timestamp_ms": START_MS + 60_000 * minute, **said, **more}


def chat(folder: Path, *messages: object) -> Path:
    """Write a chat, its messages given in the order in which they were written."""
    told = {
        "participants": [],
        "messages": messages[::-1],
        "title": "Ann",
        "thread_path": "inbox/a",
    }
    (folder / "message_1.json").write_text(json.dumps(told), encoding="utf-8")
    return folder / "message_1.json"


def replies(path: Path, user: str = "Bob") -> list[tuple[str, str]]:
    """Return the pairs of a user."""
    return [(s.query, s.response) for s in load_history(path, user=user).samples]


def test_a_chat(tmp_path: Path) -> None:
    """Read from its end, it is in order; letters are as they were written."""
    path = chat(
        tmp_path,
        sent(1, "Zo\u00eb", "gehen wir sp\u00e4ter \U0001f600"),
        sent(2, "Bob", "ja aber"),
        sent(3, "Bob", "erst um acht"),
        sent(300, "Bob", "wo bist du denn"),
        sent(301, "Zo\u00eb", "fast schon da"),
    )
    assert recognised(path).name == "messenger"
    assert replies(path) == [("gehen wir sp\u00e4ter \U0001f600", "ja aber erst um acht")]
    assert replies(path, "Zo\u00eb") == [("wo bist du denn", "fast schon da")]
    conversations = {s.conversation for s in load_history(path, user="Zo\u00eb").statements}
    assert len(conversations) == 1


def test_conversations_are_in_order(tmp_path: Path) -> None:
    """The oldest first, though it comes last."""
    said = [
        each
        for day in range(3)
        for each in (
            sent(day * 1440, "Ann", f"{OUT} {day}"),
            sent(day * 1440, "Bob", f"{YES} {day}"),
        )
    ]
    assert [r[-1] for _, r in replies(chat(tmp_path, *said))] == ["0", "1", "2"]


def test_encrypted_chats(tmp_path: Path) -> None:
    """Their export has other names of fields, whole letters, and may be oldest first."""
    rows = [
        {"senderName": name, "timestamp": START_MS + i, "text": text, "isUnsent": False}
        for i, (name, text) in enumerate((("Zo\u00eb", OUT), ("Bob", "ja sp\u00e4ter dann")))
    ]
    for messages in (rows, rows[::-1]):
        (tmp_path / "chat.json").write_text(json.dumps({"messages": messages}), encoding="utf-8")
        assert replies(tmp_path / "chat.json") == [(OUT, "ja sp\u00e4ter dann")]


@pytest.mark.parametrize(
    "more",
    [
        *({"photos": [{"uri": "x"}]}, {"is_unsent": True, "content": YES}),
        *({"content": "Bob sent an attachment."}, {"content": "Bob hat einen Anhang gesendet."}),
        *({"content": "You sent a photo."}, {"content": "Bob called you.", "call_duration": 5}),
        *({"content": "Bob unsent a message"}, {"content": "Bob is waving at you!"}),
        *({"content": "The video chat ended."}, {"content": "You set your nickname to x."}),
        *({"content": "Du hast einen Anhang gesendet."}, {"content": "Hai inviato un allegato."}),
        {"content": "Vous avez envoy\u00e9 une photo.".encode().decode("latin-1")},
    ],
)
def test_what_is_no_text_parts_the_rest(tmp_path: Path, more: dict[str, object]) -> None:
    """Who answers a picture answers nothing that is known."""
    said = {**sent(2, "Bob", None), **more}
    path = chat(tmp_path, sent(1, "Ann", OUT), said, sent(3, "Ann", "what a nice one"))
    summary = check(path)
    assert summary.dropped == {"message without text": 1}
    assert summary.n_replies == 0


def test_reactions_are_nobodys(tmp_path: Path) -> None:
    """They part nothing; what begins like one is a text."""
    reactions = (
        "Reacted \u2764 to your message",
        "Hat mit \u2764 auf deine Nachricht reagiert",
        "Reaccion\u00f3 con \u2764 a tu mensaje",
        "A r\u00e9agi \u2764 \u00e0 votre message",
    )
    hearts = (sent(2, "Ann", each) for each in reactions)
    said = "You sent me the wrong message \u2764"
    path = chat(tmp_path, sent(1, "Ann", OUT), *hearts, sent(3, "Bob", said))
    assert replies(path) == [(OUT, said)]
    assert check(path).dropped == {"service message": 4}


def test_all_chats_of_an_archive(tmp_path: Path) -> None:
    """Whatever else is in it; chats stay apart."""
    with zipfile.ZipFile(tmp_path / "information.zip", "w") as archive:
        archive.writestr("ads/preferences.json", '{"ads": []}')
        archive.writestr("notes.txt", "plain text")
        for name in ("Ann", "Cem"):
            path = chat(tmp_path, sent(1, name, f"{OUT} {name}"), sent(2, "Bob", f"{YES} {name}"))
            archive.write(path, f"messages/inbox/{name}/message_1.json")
    path = tmp_path / "information.zip"
    assert recognised(path).name == "messenger"
    assert sorted(replies(path)) == [(f"{OUT} {n}", f"{YES} {n}") for n in ("Ann", "Cem")]
    assert {user.user for user in list_users("messenger", path=path)} == {"Bob"}
    assert load_history(path, user="Bob").files == (str(path.resolve()),)


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    """Without a sender, of another type, no object."""
    path = chat(tmp_path, {"content": "x"}, {**sent(1, "Bob", None), "content": 5}, 5)
    assert check("messenger", path=path).n_problems == 3


@pytest.mark.parametrize("content", ["[]", "", '{"messages": []}', "plain"])
def test_what_is_no_chat(tmp_path: Path, content: str) -> None:
    """The message says where one is."""
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="Download your information in the format JSON"):
        load_history("messenger", path=tmp_path / "file")
