"""What `importers.py` measures: files of every format, made up a row at a time."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from itertools import count

WORDS = (
    "tea",
    "rain",
    "sea",
    "dog",
    "jazz",
    "bread",
    "snow",
    "books",
    "moon",
    "fox",
    "red",
    "slow",
)
START = 1_400_000_000
PEOPLE = 50


def text(draw: random.Random) -> str:
    """Make up what someone says."""
    return " ".join(draw.choices(WORDS, k=draw.randint(4, 40)))


def turns(draw: random.Random) -> Iterator[tuple[int, int, str]]:
    """Make up a chat: which message, whose, and what it says."""
    number = 0
    while True:
        yield number, draw.randrange(PEOPLE), text(draw)
        number += 1


def jsonl(draw: random.Random) -> Iterator[str]:
    """Write pairs."""
    for n, who, said in turns(draw):
        row = {"user": f"u{who}", "query": said, "response": text(draw), "time": n}
        yield json.dumps(row) + "\n"


def openai(draw: random.Random) -> Iterator[str]:
    """Write conversations."""
    for _, who, said in turns(draw):
        sides = {"user": said, "assistant": text(draw)}
        messages = [{"role": role, "content": told} for role, told in sides.items()]
        yield json.dumps({"user": f"u{who}", "messages": messages}) + "\n"


def telegram(draw: random.Random) -> Iterator[str]:
    """Write messages of a group."""
    for n, who, said in turns(draw):
        told = {"id": n, "type": "message", "date_unixtime": str(START + 60 * n), "text": said}
        yield ("," if n else "") + json.dumps(told | {"from": f"u{who}", "from_id": f"user{who}"})


def discord(draw: random.Random) -> Iterator[str]:
    """Write messages of a channel."""
    for n, who, said in turns(draw):
        told = {"id": str(n), "type": "Default", "timestamp": str(START + 60 * n), "content": said}
        author = {"id": str(who), "name": f"u{who}", "isBot": False}
        yield ("," if n else "") + json.dumps(told | {"author": author})


def telegram_full(draw: random.Random) -> Iterator[str]:
    """Write messages of a group as the application does."""
    for n, who, said in turns(draw):
        time = START + 60 * n
        told = {
            "id": n,
            "type": "message",
            "date": datetime.fromtimestamp(time, UTC).isoformat()[:19],
            "date_unixtime": str(time),
            "from": f"u{who}",
            "from_id": f"user{who}",
            "text": said,
            "text_entities": [{"type": "plain", "text": said}],
        }
        yield ("," if n else "") + json.dumps(told, indent=1)


def discord_full(draw: random.Random) -> Iterator[str]:
    """Write messages of a channel as the exporter does."""
    for n, who, said in turns(draw):
        told = {
            "id": str(10**18 + n),
            "type": "Default",
            "timestamp": datetime.fromtimestamp(START + 60 * n, UTC).isoformat(),
            "timestampEdited": None,
            "callEndedTimestamp": None,
            "isPinned": False,
            "content": said,
            "author": {
                "id": str(10**17 + who),
                "name": f"u{who}",
                "discriminator": "0000",
                "nickname": f"u{who}",
                "color": None,
                "isBot": False,
                "roles": [],
                "avatarUrl": f"https://cdn.discordapp.com/avatars/{who}.png",
            },
            "attachments": [],
            "embeds": [],
            "stickers": [],
            "reactions": [],
            "mentions": [],
        }
        yield ("," if n else "") + json.dumps(told, indent=2)


def messenger(draw: random.Random) -> Iterator[str]:
    """Write messages of a chat, newest first."""
    for n, who, said in turns(draw):
        told = {
            "sender_name": f"u{who}",
            "timestamp_ms": 1000 * (2 * START - 60 * n),
            "content": said,
            "is_geoblocked_for_viewer": False,
            "is_unsent_image_by_messenger_kid_parent": False,
        }
        yield ("," if n else "") + json.dumps(told, indent=2)


def slack(draw: random.Random) -> Iterator[str]:
    """Write messages of a channel."""
    for n, who, said in turns(draw):
        element = {"type": "rich_text_section", "elements": [{"type": "text", "text": said}]}
        told = {
            "user": f"U{who:08}",
            "type": "message",
            "ts": f"{START + 60 * n}.000100",
            "client_msg_id": f"{n:032x}",
            "text": said,
            "team": "T00000001",
            "blocks": [{"type": "rich_text", "block_id": "b", "elements": [element]}],
        }
        yield ("," if n else "") + json.dumps(told, indent=4)


def signal(draw: random.Random) -> Iterator[str]:
    """Write frames of a backup."""
    for who in range(PEOPLE):
        contact = {"profileGivenName": f"u{who}", "profileFamilyName": ""}
        yield json.dumps({"recipient": {"id": str(who), "contact": contact}}) + "\n"
    for n, who, said in turns(draw):
        sent = str(1000 * (START + 60 * n))
        item = {
            "chatId": "5",
            "authorId": str(who),
            "dateSent": sent,
            "incoming": {"dateReceived": sent, "dateServerSent": sent, "read": True},
            "standardMessage": {"text": {"body": said}},
        }
        yield json.dumps({"chatItem": item}) + "\n"


def claude(draw: random.Random) -> Iterator[str]:
    """Write conversations of four messages."""
    for n in count():
        at = datetime.fromtimestamp(START + 3600 * n, UTC).isoformat()
        said = [
            {
                "uuid": f"{4 * n + k:032x}",
                "text": (one := text(draw)),
                "content": [{"type": "text", "text": one, "citations": []}],
                "sender": ("human", "assistant")[k % 2],
                "created_at": at,
                "updated_at": at,
                "attachments": [],
                "files": [],
            }
            for k in range(4)
        ]
        told = {"uuid": f"{n:032x}", "name": "us", "created_at": at, "account": {"uuid": "a"}}
        yield ("," if n else "") + json.dumps(told | {"chat_messages": said})


def instructions(draw: random.Random) -> Iterator[str]:
    """Write rows of instructions."""
    for _, who, said in turns(draw):
        row = {"user": f"u{who}", "instruction": said, "input": "", "output": text(draw)}
        yield json.dumps(row) + "\n"


def lamp(draw: random.Random) -> Iterator[str]:
    """Write questions, with profiles of twenty items."""
    ask = "Generate a headline for the following article: "
    for n in count():
        profile = [
            {"id": f"{n}-{k}", "text": text(draw), "title": text(draw)[:40]} for k in range(20)
        ]
        told = {"id": str(n), "input": ask + text(draw), "profile": profile, "output": text(draw)}
        yield ("," if n else "") + json.dumps(told)


def mail(draw: random.Random) -> Iterator[str]:
    """Write mails, every other one an answer to the one before it."""
    before = ""
    received = "Received: from mx.example.org (mx.example.org [203.0.113.5])\n\tby mail; "
    for n, who, _ in turns(draw):
        said = "\n".join(text(draw) for _ in range(5))
        date = formatdate(START + 600 * n)
        yield f"From u{who}@example.org {datetime.fromtimestamp(START, UTC):%a %b %d %H:%M:%S %Y}\n"
        yield "".join(f"{received}{date}\n" for _ in range(3))
        yield f"From: U {who} <u{who}@example.org>\nTo: list@example.org\nDate: {date}\n"
        yield f"Subject: us {n // 2}\nMessage-ID: <{n}@x>\n"
        yield f"In-Reply-To: <{n - 1}@x>\nReferences: <{n - 1}@x>\n" if n % 2 else ""
        yield "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nX-Mailer: made up\n"
        yield f"\n{said}\n\n"
        if n % 2:
            quoted = "\n".join(f"> {line}" for line in before.split("\n"))
            yield f"On {date}, U <u@example.org> wrote:\n{quoted}\n"
        yield f"-- \nU {who}\n\n"
        before = said


def mail_tiny(draw: random.Random) -> Iterator[str]:
    """Write mails of a line, with little before it."""
    for n, who, said in turns(draw):
        yield f"From u{who} Thu Jun 20 19:01:00 2024\nFrom: u{who}@example.org\n"
        yield f"Date: {formatdate(START + 600 * n)}\nMessage-ID: <{n}@x>\n"
        yield f"In-Reply-To: <{n - 1}@x>\n\n{said}\n\n" if n % 2 else f"Subject: us\n\n{said}\n\n"


def whatsapp(draw: random.Random) -> Iterator[str]:
    """Write lines of a group."""
    for n, who, said in turns(draw):
        day, minute = divmod(n, 1440)
        date = f"{1 + day % 28:02}/{1 + day // 28 % 12:02}/{2010 + day // 336}"
        yield f"{date}, {minute // 60:02}:{minute % 60:02} - u{who}: {said}\n"


_CHAT = '{"name": "us", "id": 7, "messages": ['
_CHANNEL = '{"guild": {"id": "0"}, "channel": {"id": "5"}, "messages": ['
FORMATS: dict[str, tuple[str, Callable[[random.Random], Iterator[str]], str]] = {
    "jsonl": ("", jsonl, ""),
    "openai": ("", openai, ""),
    "instructions": ("", instructions, ""),
    "telegram": (_CHAT, telegram, "]}"),
    "telegram-full": (_CHAT, telegram_full, "]}"),
    "discord": (_CHANNEL, discord, "]}"),
    "discord-full": (_CHANNEL, discord_full, "]}"),
    "messenger": ('{"participants": [], "messages": [', messenger, "]}"),
    "slack": ("[", slack, "]"),
    "claude": ("[", claude, "]"),
    "lamp": ("[", lamp, "]"),
    "signal": ("", signal, ""),
    "whatsapp": ("", whatsapp, ""),
    "mail": ("", mail, ""),
    "mail-tiny": ("", mail_tiny, ""),
}
