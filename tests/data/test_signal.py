"""A decrypted backup of Signal."""

import json
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, recognised
from lorecall.errors import DataError

OUT, YES = "shall we go out tonight", "yes but only after eight"
START_MS = 1_718_910_000_000
PEOPLE = [
    {"version": "1", "backupTimeMs": "5"},
    {"account": {"givenName": "Bob", "familyName": "B"}},
    {"recipient": {"id": "1", "self": {}}},
    {"recipient": {"id": "2", "contact": {"profileGivenName": "annie", "systemGivenName": "Ann"}}},
    {"recipient": {"id": "3", "contact": {"profileGivenName": "Cem"}}},
    {"chat": {"id": "5", "recipientId": "2"}},
]


def sent(minute: int, author: str, body: str | None, **more: object) -> dict[str, object]:
    """Make a frame of a message; of the chat 5, where no other is given."""
    kind = {} if body is None else {"standardMessage": {"text": {"body": body}}}
    item = {"chatId": "5", "authorId": author, "dateSent": str(START_MS + 60_000 * minute)}
    return {"chatItem": {**item, **kind, **more}}


def backup(folder: Path, *frames: object) -> Path:
    """Write a backup."""
    lines = [json.dumps(frame) + "\n" for frame in (*PEOPLE, *frames)]
    (folder / "main.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder / "main.jsonl"


def replies(path: Path, user: str = "Bob") -> list[tuple[str, str]]:
    """Return the pairs of a user."""
    return [(s.query, s.response) for s in load_history(path, user=user).samples]


def test_a_chat(tmp_path: Path) -> None:
    """People are called as the owner calls them; an edited message counts as it is now."""
    revisions = [{"standardMessage": {"text": {"body": "no"}}}]
    path = backup(tmp_path, sent(1, "2", OUT), sent(2, "1", YES, revisions=revisions))
    assert recognised(path).name == "signal"
    (sample,) = load_history(path, user="Bob").samples
    assert (sample.query, sample.response) == (OUT, YES)
    assert (sample.user, sample.partner) == ("Bob B (1)", "Ann (2)")
    assert sample.time == START_MS / 1000 + 120


def test_numbers_are_numbers_or_their_digits(tmp_path: Path) -> None:
    """Ids and times; who is not known is called by the id."""
    said = [sent(1, "2", OUT), sent(2, "9", YES, chatId=5, authorId=9, dateSent=START_MS + 1)]
    (sample,) = load_history(backup(tmp_path, *said), user="9").samples
    assert (sample.user, sample.partner, sample.query) == ("9", "Ann (2)", OUT)


def test_chats_by_turns(tmp_path: Path) -> None:
    """Each is read apart."""
    path = backup(
        tmp_path,
        sent(1, "2", OUT),
        sent(2, "3", "who has the keys", chatId="6"),
        sent(3, "1", YES),
        sent(4, "1", "they are with me now", chatId="6"),
    )
    assert replies(path) == [(OUT, YES), ("who has the keys", "they are with me now")]


def test_what_quotes_a_message_answers_it(tmp_path: Path) -> None:
    """Without the words of the quote; one that is not there leaves nothing to answer."""
    of_first, of_none = (
        {"text": {"body": body}, "quote": {"targetSentTimestamp": str(time), "text": {"body": "q"}}}
        for body, time in ((YES, START_MS + 60_000), ("nobody knows what of", 77))
    )
    path = backup(
        tmp_path,
        sent(1, "2", OUT),
        sent(2, "3", "the usual place then"),
        sent(3, "1", None, standardMessage=of_first),
        sent(4, "1", None, standardMessage=of_none),
    )
    assert replies(path) == [(OUT, YES)]


@pytest.mark.parametrize(
    "kind",
    [
        *({"stickerMessage": {}}, {"remoteDeletedMessage": {}}, {"contactMessage": {}}),
        *({"standardMessage": {"attachments": [{}]}}, {"viewOnceMessage": {}}),
    ],
)
def test_what_is_no_text_parts_the_rest(tmp_path: Path, kind: dict[str, object]) -> None:
    """Who answers a picture answers nothing that is known."""
    other = sent(2, "1", None, **kind)
    summary = check(backup(tmp_path, sent(1, "2", OUT), other, sent(3, "2", "what a nice one")))
    assert summary.dropped == {"message without text": 1}
    assert (summary.n_replies, summary.n_problems) == (0, 0)


def test_lines_of_the_application_are_nobodys(tmp_path: Path) -> None:
    """They part nothing."""
    call = sent(2, "1", None, updateMessage={"individualCall": {}})
    path = backup(tmp_path, sent(1, "2", OUT), call, sent(3, "1", YES))
    assert replies(path) == [(OUT, YES)]
    assert check(path).dropped == {"service message": 1}


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    """Without an author, no object, no JSON."""
    path = backup(tmp_path, {"chatItem": {"chatId": "5"}}, 5)
    path.write_text(path.read_text() + '{"chatItem"\n', encoding="utf-8")
    assert check("signal", path=path).n_problems == 3


def test_no_frames(tmp_path: Path) -> None:
    """The message says where they are."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="Export the chats in Signal's settings"):
        load_history("signal", path=tmp_path / "file")
