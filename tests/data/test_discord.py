"""A channel of Discord."""

import json
from pathlib import Path

import pytest

from lorecall.data.catalog import check, load_history, recognised
from lorecall.errors import DataError
from lorecall.records import History

OUT, PLACE = "shall we go out tonight", "the usual place then"


def sent(number: int, name: str, content: str, **more: object) -> dict[str, object]:
    """Make a message, a minute after the one before."""
    author = {"id": f"{len(name)}00", "name": name, "discriminator": "0000", "isBot": False}
    time = f"2024-06-20T19:{number:02}:00.5+00:00"
    said = {"id": str(number), "type": "Default", "timestamp": time, "content": content}
    return {**said, "author": author, **more}


def channel(folder: Path, *messages: object, **more: object) -> Path:
    """Write an export."""
    told = {"guild": {"id": "0"}, "channel": {"id": "5"}, "messages": messages, **more}
    (folder / "export.json").write_text(json.dumps(told), encoding="utf-8")
    return folder / "export.json"


def replies(path: Path, user: str = "Bob") -> list[tuple[str, str]]:
    """Return the pairs of a user."""
    return pairs(load_history(path, user=user))


def pairs(history: History) -> list[tuple[str, str]]:
    """Return what was said."""
    return [(sample.query, sample.response) for sample in history.samples]


def test_a_channel(tmp_path: Path) -> None:
    """Authors are named with their ids, times are read, the conversation is the channel's."""
    path = channel(tmp_path, sent(1, "Anne", OUT), sent(2, "Bob", "yes but only after eight"))
    assert recognised(path).name == "discord"
    (sample,) = load_history(path, user="Bob").samples
    assert (sample.user, sample.partner) == ("Bob (300)", "Anne (400)")
    assert (sample.conversation, sample.time) == ("channel 5 1", 1718910120.5)


def test_a_reply_answers_what_it_says(tmp_path: Path) -> None:
    """Not the message before it; what it answers may be in another channel."""
    of_first = sent(
        3, "Bob", "yes but only after eight", reference={"messageId": "1"}, type="Reply"
    )
    of_none = sent(4, "Bob", "nobody knows what of", reference={"messageId": "77"}, type="Reply")
    path = channel(tmp_path, sent(1, "Anne", OUT), sent(2, "Cem", PLACE), of_first, of_none)
    assert replies(path) == [(OUT, "yes but only after eight")]


@pytest.mark.parametrize(
    "more",
    [
        {"author": {"id": "300", "name": "Bob", "isBot": True}},
        {"reference": {"messageId": "1", "type": "Forward"}},
        {"forwardedMessage": {"content": "news of the day"}},
        {"content": "> news of the day\n> and more"},
        {"content": ">>> news of the day\nand more"},
        {"content": "", "attachments": [{"url": "x.png"}]},
    ],
)
def test_what_the_author_did_not_write_parts_the_rest(
    tmp_path: Path, more: dict[str, object]
) -> None:
    """Bots, forwards, quotes and pictures are no words; what answers them answers nothing."""
    said = {**sent(2, "Bob", "news of the day"), **more}
    path = channel(tmp_path, sent(1, "Anne", OUT), said, sent(3, "Cem", "what is it about"))
    summary = check(path)
    assert (summary.n_replies, summary.n_problems, sum(summary.dropped.values())) == (0, 0, 1)


def test_a_quote_is_taken_off(tmp_path: Path) -> None:
    """The rest of the message is the author's; a smaller-than sign is no quote."""
    path = channel(tmp_path, sent(1, "Anne", OUT), sent(2, "Bob", f"> {OUT}\nyes after >8 or so"))
    assert replies(path) == [(OUT, "yes after >8 or so")]


def test_names_and_emoji_are_shown(tmp_path: Path) -> None:
    """Where the export left their marks; who is not known keeps the id."""
    said = "<@!400> and <@5> <:smile:77> <a:wave:78>"
    named = [{"id": "400", "name": "anne", "nickname": "Anne"}]
    path = channel(tmp_path, sent(1, "Anne", OUT), sent(2, "Bob", said, mentions=named))
    assert replies(path) == [(OUT, "@Anne and @5 :smile: :wave:")]


def test_service_messages_are_nobodys(tmp_path: Path) -> None:
    """They part nothing."""
    joined = sent(2, "Cem", "Joined the server.", type="GuildMemberJoin")
    path = channel(tmp_path, sent(1, "Anne", OUT), joined, sent(3, "Bob", "yes but after eight"))
    assert replies(path) == [(OUT, "yes but after eight")]
    assert check(path).dropped == {"service message": 1}


def test_what_is_broken_is_counted(tmp_path: Path) -> None:
    """Without an author, without an id, no object."""
    path = channel(tmp_path, {"id": "1", "type": "Default"}, {**sent(1, "Bob", "x"), "id": ""}, 5)
    assert check("discord", path=path).n_problems == 3


@pytest.mark.parametrize("content", ["[]", "", '{"messages": []}', "plain"])
def test_what_is_no_export(tmp_path: Path, content: str) -> None:
    """The message says how to make one."""
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="DiscordChatExporter in the format JSON"):
        load_history("discord", path=tmp_path / "file")
