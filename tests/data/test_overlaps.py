"""Exports of one chat that overlap, cut in the middle of what somebody says."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lorecall.data.catalog import load_history

START = 1_718_910_000
Said = tuple[int, str, str]
"""The second, the sender and the text of a message."""
TALK: tuple[Said, ...] = (
    *((0, "Ann", "shall we go out"), (60, "Ann", "tonight or tomorrow")),
    *((120, "Bob", "yes but only"), (180, "Bob", "after eight"), (240, "Ann", "the usual place")),
    *((300, "Ann", "as ever"), (360, "Bob", "see you there"), (420, "Bob", "my friend")),
    *(
        (30_000, "Ann", "where were you"),
        (30_060, "Bob", "I fell asleep"),
        (30_120, "Bob", "sorry"),
    ),
)
CUTS = (1, 3, 7, 10)  # each within a turn


def telegram(said: Sequence[Said]) -> str:
    """Write an export of Telegram."""
    messages = [
        {"id": second, "type": "message", "date_unixtime": str(START + second), "text": text}
        | {"from": sender, "from_id": sender}
        for second, sender, text in said
    ]
    return json.dumps({"name": "us", "id": 7, "messages": messages})


def messenger(said: Sequence[Said]) -> str:
    """Write an export of Messenger, newest first."""
    messages = [
        {"sender_name": sender, "timestamp_ms": 1000 * (START + second), "content": text}
        for second, sender, text in reversed(said)
    ]
    return json.dumps({"participants": [], "messages": messages})


def slack(said: Sequence[Said]) -> str:
    """Write a day of Slack."""
    messages = [
        {"type": "message", "user": sender, "ts": f"{START + second}.0", "text": text}
        for second, sender, text in said
    ]
    return json.dumps(messages)


def whatsapp(said: Sequence[Said]) -> str:
    """Write an export of WhatsApp."""
    times = [datetime.fromtimestamp(START + second, UTC) for second, *_ in said]
    rows = zip(times, said, strict=True)
    return "".join(f"{t:%d/%m/%Y, %H:%M} - {sender}: {text}\n" for t, (_, sender, text) in rows)


@pytest.mark.parametrize("write", [telegram, messenger, slack, whatsapp])
@pytest.mark.parametrize("cut", CUTS)
def test_the_whole_turn_is_taken(
    tmp_path: Path, write: Callable[[Sequence[Said]], str], cut: int
) -> None:
    """Whichever export comes first; a part of a reply, or of what it answers, is not one."""
    paths = {name: tmp_path / name / "us" / "chat.json" for name in ("whole", "start", "end")}
    for path, part in zip(paths.values(), (TALK, TALK[:cut], TALK[cut:]), strict=True):
        path.parent.mkdir(parents=True)
        path.write_text(write(part), encoding="utf-8")

    def pairs(*names: str) -> list[tuple[str, str]]:
        found = load_history(write.__name__, path=[paths[name] for name in names], user="Bob")
        return [(sample.query, sample.response) for sample in found.samples]

    whole = pairs("whole")
    assert len(whole) == 3
    for names in (("start", "whole"), ("whole", "start"), ("end", "whole"), ("whole", "end")):
        assert pairs(*names) == whole
