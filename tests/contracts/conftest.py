"""Made-up files of every format, of any size."""

import json
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

Write = Callable[[Path, int, int], list[Path]]
"""Folder, number of users, usable pairs each -> the files."""

_WORDS = (
    *("tea", "rain", "sea", "dog", "jazz", "bread", "snow", "books"),
    *("moon", "fox", "red", "slow", "warm", "late", "hill", "river"),
)
_START = 1_400_000_000
_DAY = 86_400
_APART = 5 * 3600  # beyond a conversation's gap; a million of them stay within 11 digits
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August")


def text(*key: object) -> str:
    """Make up eight words and the key, which no other key has."""
    name = " ".join(map(str, key))
    first = zlib.crc32(name.encode()) % len(_WORDS)
    return " ".join((*(_WORDS * 2)[first : first + 8], name))


def _lines(path: Path, rows: Iterator[str]) -> list[Path]:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{row}\n" for row in rows)
    return [path]


def _list(path: Path, rows: Iterator[object], *, around: str = "[{}]") -> list[Path]:
    before, after = around.split("{}")
    with path.open("w", encoding="utf-8") as file:
        file.write(before)
        for i, row in enumerate(rows):
            file.write(("," if i else "") + json.dumps(row, ensure_ascii=False))
        file.write(after)
    return [path]


def jsonl(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a pair a line."""
    rows = (
        {"user": f"u{u}", "query": text("q", u, p), "response": text("r", u, p), "time": p}
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _lines(folder / "mine.jsonl", map(json.dumps, rows))


def _turn(sender: str, said: str, second: int) -> list[dict[str, str]]:
    stamp = (
        f"2018-05-{1 + second // _DAY % 28:02}T{second // 3600 % 24:02}:{second // 60 % 60:02}:00Z"
    )
    return [{"text": said, "timestamp": stamp, "sender": sender}]


def chitchat(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a conversation a pair, with a bot that only opens."""
    file = folder / "dataset.json"
    with file.open("w", encoding="utf-8") as out:
        out.write("{")
        for i in range(n_users * n_pairs):
            u, p = i % n_users, i // n_users
            turns = [_turn("bot", text("q", u, p), p * 60), _turn(f"u{u}", text("r", u, p), p * 60)]
            out.write(("," if i else "") + f'"c{i}": ' + json.dumps({"messages": turns}))
        out.write("}")
    return [file]


def amazon_qa(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a product a pair, as Python literals, with reviews and items beside."""

    def products() -> Iterator[str]:
        for p in range(n_pairs):
            for u in range(n_users):
                answer = {
                    "answerText": text("r", u, p),
                    "answererID": f"A{u:09}",
                    "answerTime": f"{_MONTHS[p % 8]} {1 + p % 28}, 2014",
                    "helpful": [1, 2],
                }
                question = {
                    "questionType": "open-ended",
                    "askerID": "A39TQ7XW6P36BU",
                    "questionTime": "May 2, 2014",
                    "questionText": text("q", u, p),
                    "answers": [answer],
                }
                yield repr({"asin": f"B{u}-{p}", "questions": [question]})

    reviews = (
        {"reviewerID": f"A{u:09}", "asin": f"R{u}", "reviewText": text("s", u), "summary": "Good"}
        for u in range(n_users)
    )
    items = ({"asin": f"B{u}-0", "title": text("t", u)} for u in range(n_users))
    return [
        *_lines(folder / "QA_Things.json", products()),
        *_lines(folder / "reviews_Things_5.json", map(json.dumps, reviews)),
        *_lines(folder / "meta_Things.json", map(repr, items)),
    ]


def amazon_qa_processed(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write the four files of a part; what a user wrote elsewhere names the user."""
    pairs = [(u, p) for p in range(n_pairs) for u in range(n_users)]
    sides = {
        "src": (text("q", *pair) for pair in pairs),
        "tgt": (text("r", *pair) for pair in pairs),
        "fact": (repr([text("f", *pair), "it's"]) for pair in pairs),
        "pers": (repr([text("s", pair[0])]) for pair in pairs),
    }
    return [path for side, rows in sides.items() for path in _lines(folder / f"train.{side}", rows)]


def reddit(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a sample a line; the history names the user."""
    rows = (
        f"{text('q', u, p)}###{text('r', u, p)}###{text('s', u)}\t{text('t', u)}"
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _lines(folder / "samples.txt", rows)


def reddit_users(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a file a user, 8 fields a line."""
    return [
        path
        for u in range(n_users)
        for path in _lines(
            folder / f"user_{u}.txt",
            (
                "\t".join([text("q", u, p), "op", "1", text("r", u, p), f"u{u}", f"{p}", "", ""])
                for p in range(n_pairs)
            ),
        )
    ]


def med_dialogue(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a dialogue a user, with profiles; the last round is no sixth."""

    def rounds(u: int) -> list[object]:
        numbers = [p if p < 5 else p + 1 for p in range(n_pairs + 1)]
        return [
            {
                str(number): {
                    "Assistant": f"Doctor: {text('r', u, p)}",
                    "User": f'"Patient: {text("q", u, p)}"',
                }
            }
            for p, number in enumerate(numbers)
        ]

    profile = '{{"symptoms": "{}"}}'
    return [
        *_list(folder / "dialogues.json", (rounds(u) for u in range(n_users))),
        *_list(folder / "profiles.json", (profile.format(text("s", u)) for u in range(n_users))),
    ]


def openai(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a conversation a pair, a line each, with parts and a system prompt."""
    rows = (
        {
            "user": f"u{u}",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": [{"type": "text", "text": text("q", u, p)}]},
                {"role": "assistant", "content": text("r", u, p)},
            ],
        }
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _lines(folder / "log.jsonl", map(json.dumps, rows))


def openai_export(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write ChatGPT's export of the same."""

    def node(parent: str | None, role: str, said: str) -> dict[str, object]:
        content = {"content_type": "text", "parts": [said]}
        message = {"author": {"role": role}, "content": content, "create_time": 1.5}
        return {"parent": parent, "message": message}

    rows = (
        {
            "user": f"u{u}",
            "current_node": "b",
            "mapping": {
                "root": {"parent": None, "message": None},
                "a": node("root", "user", text("q", u, p)),
                "b": node("a", "assistant", text("r", u, p)),
                "other": node("a", "assistant", "another branch"),
            },
        }
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _list(folder / "conversations.json", rows)


def sharegpt(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a conversation a pair, as a JSON list."""
    rows = (
        {
            "user": f"u{u}",
            "system": "Be kind.",
            "conversations": [
                {"from": "human", "value": text("q", u, p)},
                {"from": "gpt", "value": text("r", u, p)},
            ],
        }
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _list(folder / "sharegpt.json", rows)


def claude(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a conversation a pair, with thinking and a tool."""

    def message(sender: str, said: str, parent: str) -> dict[str, object]:
        thinking, tool = {"type": "thinking", "thinking": "hm"}, {"type": "tool_use", "name": "f"}
        content = [thinking, {"type": "text", "text": said}, tool]
        more = {"uuid": sender, "parent_message_uuid": parent, "created_at": "2024-06-20T19:01:00Z"}
        return {"sender": sender, "text": "as shown", "content": content} | more

    rows = (
        {
            "account": {"uuid": f"u{u}"},
            "created_at": "2024-06-20T19:01:00Z",
            "chat_messages": [
                message("human", text("q", u, p), "none"),
                message("assistant", text("r", u, p), "human"),
            ],
        }
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _list(folder / "conversations.json", rows)


def instructions(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a prompt and its completion a line."""
    rows = (
        {"user": f"u{u}", "prompt": text("q", u, p), "completion": text("r", u, p)}
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _lines(folder / "pairs.jsonl", map(json.dumps, rows))


def alpaca(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write an instruction and its output a pair, as a JSON list."""
    rows = (
        {"user": f"u{u}", "instruction": text("q", u, p), "input": "", "output": text("r", u, p)}
        for p in range(n_pairs)
        for u in range(n_users)
    )
    return _list(folder / "alpaca.json", rows)


def lamp(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write a question a user, the others of the pairs in its profile, and the outputs."""
    ask = "Generate a headline for the following article: "

    def question(u: int) -> object:
        items = (
            {"id": f"{u}-{p}", "text": text("q", u, p), "title": text("r", u, p)}
            for p in range(n_pairs - 1)
        )
        return {"id": f"u{u}", "input": ask + text("q", u, n_pairs - 1), "profile": list(items)}

    golds = ({"id": f"u{u}", "output": text("r", u, n_pairs - 1)} for u in range(n_users))
    around = '{"task": "LaMP_4", "golds": [{}]}'
    return [
        *_list(folder / "questions.json", map(question, range(n_users))),
        *_list(folder / "outputs.json", golds, around=around),
    ]


def telegram(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write one chat, five hours between pairs, with a bot that only opens."""

    def messages() -> Iterator[object]:
        for i in range(n_users * n_pairs):
            u, p = i % n_users, i // n_users
            for k, (name, said) in enumerate((("bot", "q"), (f"u{u}", "r"))):
                yield {
                    "id": 2 * i + k,
                    "type": "message",
                    "date": "2020-01-01T10:00:00",
                    "date_unixtime": str(_START + _APART * i + k),
                    "from": name,
                    "from_id": f"user{0 if name == 'bot' else 1 + u}",
                    "text": [text(said, u, p), {"type": "link", "text": " x.org"}],
                }

    around = '{"name": "us", "type": "private_group", "id": 7, "messages": [{}]}'
    return _list(folder / "result.json", messages(), around=around)


def discord(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write one channel, five hours between pairs, with somebody who only opens."""

    def messages() -> Iterator[object]:
        for i in range(n_users * n_pairs):
            u, p = i % n_users, i // n_users
            for k, (name, said) in enumerate((("bot", "q"), (f"u{u}", "r"))):
                yield {
                    "id": str(2 * i + k),
                    "type": "Reply" if k else "Default",
                    "timestamp": str(_START + _APART * i + k),
                    "content": f"> quoted\n{text(said, u, p)}",
                    "author": {"id": name, "name": name, "isBot": False},
                    "reference": {"messageId": str(2 * i)} if k else None,
                }

    around = '{"guild": {"id": "0"}, "channel": {"id": "5"}, "messages": [{}]}'
    return _list(folder / "channel.json", messages(), around=around)


def messenger(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write one chat, newest first, five hours between pairs, with somebody who only opens."""

    def messages() -> Iterator[object]:
        for i in reversed(range(n_users * n_pairs)):
            u, p = i % n_users, i // n_users
            for k, (name, said) in reversed(list(enumerate((("bot", "q"), (f"u{u}", "r"))))):
                time = 1000 * (_START + _APART * i + k)
                yield {"sender_name": name, "timestamp_ms": time, "content": text(said, u, p)}

    around = '{"participants": [{"name": "us"}], "messages": [{}], "title": "us"}'
    return _list(folder / "message_1.json", messages(), around=around)


def slack(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write one day of a channel, five hours between pairs, with somebody who only opens."""

    def messages() -> Iterator[object]:
        for i in range(n_users * n_pairs):
            u, p = i % n_users, i // n_users
            for k, (name, said) in enumerate((("bot", "q"), (f"u{u}", "r"))):
                ts = f"{_START + _APART * i + k}.000100"
                yield {"type": "message", "user": name, "text": text(said, u, p), "ts": ts}

    return _list(folder / "2024-01-01.json", messages())


def signal(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write frames of one chat, five hours between pairs, with somebody who only opens."""

    def frames() -> Iterator[object]:
        yield {"recipient": {"id": "bot", "self": {}}}
        for i in range(n_users * n_pairs):
            u, p = i % n_users, i // n_users
            for k, (name, said) in enumerate((("bot", "q"), (f"u{u}", "r"))):
                sent = str(1000 * (_START + _APART * i + k))
                body = {"text": {"body": text(said, u, p)}}
                item = {"chatId": "5", "authorId": name, "dateSent": sent, "standardMessage": body}
                yield {"chatItem": item}

    return _lines(folder / "main.jsonl", map(json.dumps, frames()))


def mail(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write an mbox, a thread a pair, with a quotation, a signature and somebody who only opens."""

    def mails() -> Iterator[str]:
        for i in range(n_users * n_pairs):
            u, p = i % n_users, i // n_users
            for k, (name, said) in enumerate((("bot", "q"), (f"u{u}", "r"))):
                date = formatdate(_START + _APART * i + k)
                yield f"\nFrom {name}@example.org Thu Jun 20 19:01:00 2024"
                yield f"From: {name} <{name}@example.org>\nDate: {date}"
                yield f"Message-ID: <{2 * i + k}@x>"
                yield f"In-Reply-To: <{2 * i}@x>" if k else "Subject: us"
                yield f"\n{text(said, u, p)}\n\nOn {date}, Ann <a@x.org> wrote:\n> no\n-- \n{name}"

    return _lines(folder / "all.mbox", mails())


def whatsapp(folder: Path, n_users: int, n_pairs: int) -> list[Path]:
    """Write one chat, a day between pairs, some messages of two lines."""

    def rows() -> Iterator[str]:
        yield "[01/01/00, 10:00:00] us: \u200eMessages are encrypted."
        for i in range(n_users * n_pairs):
            u, p = i % n_users, i // n_users
            day, month, year = 1 + i % 28, 1 + i // 28 % 12, 2000 + i // 336 % 7000
            head = f"[{day:02}/{month:02}/{year}, 10:00"
            yield f"{head}:00] bot: {text('q', u, p)}"
            yield f"{head}:05] u{u}: {text('r', u, p)}\nand more"

    return _lines(folder / "_chat.txt", rows())


WRITERS: dict[str, Write] = {
    maker.__name__: maker
    for maker in (
        *(jsonl, chitchat, amazon_qa, amazon_qa_processed, reddit, reddit_users),
        *(med_dialogue, openai, openai_export, sharegpt, claude, instructions, alpaca, lamp),
        *(telegram, whatsapp, discord, messenger, slack, signal, mail),
    )
}


@pytest.fixture
def write_files() -> Callable[[str, Path, int, int], list[Path]]:
    """Write the files of a format: its name, a folder, how many users, how many pairs each."""

    def write(name: str, folder: Path, n_users: int, n_pairs: int) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        return WRITERS[name](folder, n_users, n_pairs)

    return write
