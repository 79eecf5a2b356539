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


def test_names_stand_where_people_are_mentioned(tmp_path: Path) -> None:
    """A sign stands there in the text; who is not known has no name."""
    cem = {"recipient": {"id": "7", "contact": {"aci": "c", "profileGivenName": "Cem"}}}
    ranges = [{"start": 12, "mentionAci": "x"}, {"start": 4, "mentionAci": "c"}, {"style": "BOLD"}]
    body = {"body": "ask \ufffc now or \ufffc", "bodyRanges": ranges}
    said = sent(2, "1", None, standardMessage={"text": body})
    assert replies(backup(tmp_path, cem, sent(1, "2", OUT), said)) == [(OUT, "ask @Cem now or @")]


def test_a_list_of_frames(tmp_path: Path) -> None:
    """As some tools write them."""
    frames = [*PEOPLE, sent(1, "2", OUT), sent(2, "1", YES)]
    (tmp_path / "main.json").write_text(json.dumps(frames, indent=1), encoding="utf-8")
    assert recognised(tmp_path / "main.json").name == "signal"
    assert replies(tmp_path / "main.json") == [(OUT, YES)]


def line(minute: int, sender: str, body: str, **more: object) -> str:
    """Write a message as `signal-export` does."""
    date = f"2024-06-20T19:{minute:02}:00"
    told = {"date": date, "sender": sender, "body": f"{body}  ", "quote": "", "reactions": []}
    return json.dumps({**told, "sticker": None, "attachments": [], **more}) + "\n"


def test_a_chat_of_signal_export(tmp_path: Path) -> None:
    """What quotes a text answers it; calls, stickers and what was deleted part the rest."""
    lines = (
        *(line(1, "Ann", OUT), line(2, "Ann", "and the bread"), line(3, "Cem", "who is there")),
        line(4, "Me", YES, quote=f"\n\n> {OUT}\n\n"),
        *(line(5, "Me", "Missed voice call"), line(6, "Ann", "I was not at home")),
        *(line(7, "Me", "gone for good now", deleted=True), line(8, "Ann", "what was it then")),
        *(
            line(9, "Me", "of another chat", quote="> lost"),
            line(10, "No-Sender", "of nobody here"),
        ),
    )
    (tmp_path / "data.json").write_text("".join(lines), encoding="utf-8")
    assert recognised(tmp_path / "data.json").name == "signal"
    history = load_history(tmp_path / "data.json", user="Me")
    assert [(s.query, s.response) for s in history.samples] == [(f"{OUT} and the bread", YES)]
    assert check(tmp_path / "data.json").dropped == {"message without text": 3}
