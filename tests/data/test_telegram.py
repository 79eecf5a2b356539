"""Telegram's export."""

import json
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, summarise
from lorecall.data.chatlog import GAP_S, MAX_MESSAGES
from lorecall.errors import DataError

_HOUR = 3600


def sent(n: int, sender: str | None, said: object, time: int = 0, **more: object) -> object:
    """Make a message."""
    message = {"id": n, "type": "message", "from": sender, "text": said}
    identity = {"from_id": f"user{sender}", "date_unixtime": str(time)} if sender else {}
    return message | identity | more


def write(folder: Path, *messages: object, **chat: object) -> Path:
    """Write the export of one chat."""
    value = {"name": "us", "type": "personal_chat", "id": 7, "messages": messages} | chat
    (folder / "result.json").write_text(json.dumps(value))
    return folder / "result.json"


class TestOneChat:
    """An export of a chat."""

    def test_replies_of_every_sender(self, tmp_path: Path) -> None:
        """Messages in a row are one turn; the start of the name is enough."""
        path = write(
            tmp_path,
            sent(1, "Ann", "hello there you", 10),
            sent(2, "Bob", "good morning", 20),
            sent(3, "Bob", "dear Ann", 30),
            sent(4, "Ann", "how was the trip", 40),
        )
        history = load_history("telegram", user="Ann", path=path)
        assert history.user == "Ann (userAnn)"
        (sample,) = history.samples
        assert (sample.query, sample.response) == ("good morning dear Ann", "how was the trip")
        assert (sample.time, sample.conversation) == (40.0, "chat 7 1")
        assert [said.text for said in history.statements] == ["hello there you"]

    def test_two_of_one_name_stay_two(self, tmp_path: Path) -> None:
        """The message lists both ids."""
        messages = [sent(n, "Ann", f"one two {n}", from_id=f"user{n % 2}") for n in range(4)]
        path = write(tmp_path, *messages)
        assert summarise("telegram", path=path).n_users == 2
        with pytest.raises(DataError, match=r"'Ann \(user\d\)', 'Ann \(user\d\)'"):
            load_history("telegram", user="Ann", path=path)

    def test_texts_with_links_are_whole(self, tmp_path: Path) -> None:
        """Parts follow each other as they are."""
        said = ["look at ", {"type": "link", "text": "x.org"}, "!", {"type": "custom_emoji"}]
        path = write(tmp_path, sent(1, "Bob", "hi"), sent(2, "Ann", said))
        assert load_history("telegram", user="Ann", path=path).samples[0].response == (
            "look at x.org!"
        )

    def test_hours_of_silence_end_a_conversation(self, tmp_path: Path) -> None:
        """What comes after them answers nobody."""
        times = (0, GAP_S, 2 * GAP_S + 1)
        names = ("Bob", "Ann", "Bob")
        messages = [
            sent(n, name, f"this is message {n}", int(time))
            for n, (name, time) in enumerate(zip(names, times, strict=True))
        ]
        summary = summarise("telegram", path=write(tmp_path, *messages))
        assert [user.user for user in summary.users] == ["Ann (userAnn)"]

    def test_a_conversation_without_an_end_is_cut(self, tmp_path: Path) -> None:
        """So that no chat must be in memory as a whole."""
        messages = [sent(n, "AB"[n % 2], f"message {n} of all") for n in range(MAX_MESSAGES + 3)]
        summary = summarise("telegram", path=write(tmp_path, *messages))
        assert summary.n_replies == MAX_MESSAGES + 3 - 2

    def test_what_is_no_text_is_counted(self, tmp_path: Path) -> None:
        """Pictures, calls, deleted accounts, broken messages."""
        path = write(
            tmp_path,
            *(sent(1, "Bob", "hi"), sent(2, "Ann", ""), sent(3, None, "who am I")),
            *({"id": 4, "type": "service", "action": "phone_call"}, {"id": "x"}, 5),
            sent(7, "Ann", "and a good day"),
        )
        summary = check("telegram", path=path)
        assert summary.dropped == {
            "message without text": 1,
            "message of nobody": 1,
            "service message": 1,
            "broken message": 2,
        }
        assert summary.n_problems == 3

    def test_a_date_without_unix_time(self, tmp_path: Path) -> None:
        """As older exports have it."""
        date = {"date": "1970-01-01T00:01:00", "date_unixtime": None}
        path = write(tmp_path, sent(1, "Bob", "hi"), sent(2, "Ann", "one two three", **date))
        assert load_history("telegram", user="Ann", path=path).samples[0].time == 60.0


class TestWhoseWords:
    """What was written by someone else."""

    @pytest.mark.parametrize(
        "mark",
        [
            *({"forwarded_from": "News"}, {"forwarded_from": None}, {"via_bot": "@gif"}),
            *({"saved_from": "Ann"}, {"from": "us", "from_id": "channel7"}),
        ],
    )
    def test_a_forward_is_nobodys_reply(self, tmp_path: Path, mark: dict[str, object]) -> None:
        """Named or hidden, or of an inline bot; what answers it is no reply either."""
        path = write(
            tmp_path,
            *(sent(1, "Bob", "hi", 1), sent(2, "Ann", "one two three", 2, **mark)),
            *(sent(3, "Bob", "four five six", 3), sent(4, "Ann", "seven eight nine", 4)),
        )
        summary = check("telegram", path=path)
        assert summary.dropped == {"message that another wrote": 1}
        history = load_history("telegram", user="Ann", path=path)
        assert [s.response for s in history.samples] == ["seven eight nine"]

    def test_a_quote_is_left_out(self, tmp_path: Path) -> None:
        """The rest of the message is its sender's."""
        said = [{"type": "blockquote", "text": "old words"}, "\nmy own words"]
        said.append({"type": "expandable_blockquote", "text": "older words"})
        path = write(tmp_path, sent(1, "Bob", "hi", 1), sent(2, "Ann", said, 2))
        (sample,) = load_history("telegram", user="Ann", path=path).samples
        assert sample.response == "my own words"


class TestAnswers:
    """What a message says it answers."""

    def test_topics_are_read_apart(self, tmp_path: Path) -> None:
        """They begin with a message that is not in the export."""
        path = write(
            tmp_path,
            *(
                sent(1, "Ann", "who has a drill", 1, reply_to_message_id=900),
                sent(2, "Cem", "who brings the cake", 2, reply_to_message_id=901),
                sent(3, "Bob", "I have one here", 3, reply_to_message_id=900),
                sent(4, "Bob", "Ann brings a cake", 4, reply_to_message_id=2),
            ),
        )
        samples = load_history("telegram", user="Bob", path=path).samples
        assert [(s.query, s.response) for s in samples] == [
            ("who has a drill", "I have one here"),
            ("who brings the cake", "Ann brings a cake"),
        ]

    def test_an_answer_to_another_chat_answers_nobody_here(self, tmp_path: Path) -> None:
        """Though a message of that number is here."""
        elsewhere = {"reply_to_message_id": 1, "reply_to_peer_id": "channel5"}
        path = write(
            tmp_path, sent(1, "Bob", "hi", 1), sent(2, "Ann", "one two three", 2, **elsewhere)
        )
        assert check("telegram", path=path).n_replies == 0


def test_ids_of_other_kinds(tmp_path: Path) -> None:
    """Numbers or texts, as programs write them."""
    messages = [
        sent(1, "Bob", "hi", 1, id="a", from_id=7),
        sent(2, "Ann", "one two three", 2, id=None),
    ]
    (ann,) = check("telegram", path=write(tmp_path, *messages)).users
    assert (ann.user, ann.n_samples) == ("Ann (userAnn)", 1)


def test_a_date_alone_is_as_far_from_utc_as_the_others(tmp_path: Path) -> None:
    """One missing number does not move a message by hours."""
    path = write(
        tmp_path,
        *(sent(1, "Bob", "hi", 3600, date="1970-01-01T03:00:00"),),
        sent(2, "Ann", "one two three", date="1970-01-01T03:01:00", date_unixtime=None),
    )
    assert load_history("telegram", user="Ann", path=path).samples[0].time == 3660.0


def test_exports_that_overlap_count_once(tmp_path: Path) -> None:
    """Messages have the same ids in each."""
    messages = [sent(n, "AB"[n % 2], f"message {n} of all", n) for n in range(8)]
    for name, part in (("a", messages[:5]), ("b", messages)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, *part)
    paths = [tmp_path / name / "result.json" for name in "ab"]
    assert (
        check("telegram", path=paths).n_replies == check("telegram", path=paths[1]).n_replies == 7
    )


def test_all_chats_of_an_account(tmp_path: Path) -> None:
    """One chat does not go on in the next; conversations are in time order."""
    chats = [
        {"id": n, "messages": [sent(1, "Bob", "hi", t), sent(2, "Ann", f"chat {n} said", t)]}
        for n, t in ((8, 500), (9, 100))
    ]
    left = {"list": [{"id": 3, "messages": [sent(1, "Ann", "nobody is here", 900)]}]}
    value = {"about": "x", "chats": {"list": chats}, "left_chats": left, "id": 5}
    (tmp_path / "all.json").write_text(json.dumps(value))
    history = load_history("telegram", user="Ann", path=tmp_path / "all.json")
    assert [s.conversation for s in history.samples] == ["chat 9 1", "chat 8 1"]
    assert [said.conversation for said in history.statements] == ["chat 3 1"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"messages": []}', '{"chats": {"list": []}}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    """The message says how to export."""
    (tmp_path / "x").write_text(content)
    with pytest.raises(DataError, match="expected a Telegram export as JSON"):
        summarise("telegram", path=tmp_path / "x")
