"""How fast histories are checked: megabytes a second, beside a bare loop of `orjson.loads`.

    jsonl      a pair a line
    openai     a conversation a line
    telegram   one JSON file
    discord    one JSON file
    whatsapp   a message a line

    python benchmarks/importers.py --megabytes 16

Seconds are those of the processor. The loop reads the lines of the first file and does nothing
with them: the ratio to it is what can be compared between machines.
"""

import argparse
import json
import platform
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time

import orjson

from lorecall.data import check

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
MIB = 2**20
START = 1_400_000_000
PEOPLE = 50


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each format, print the figures and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=16.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / name for name in FORMATS}
        for name, (head, rows, tail) in FORMATS.items():
            fill(paths[name], head, rows(random.Random(0)), tail, options.megabytes * MIB)
        bare = fastest(lambda: loop(paths["jsonl"]), paths["jsonl"], options.repeats)
        speeds = {
            name: fastest(
                lambda name=name, path=path: check(name, path=path), path, options.repeats
            )
            for name, path in paths.items()
        }
    print(f"orjson.loads alone: {bare:.0f} MB/s")
    for name, speed in speeds.items():
        print(f"{name:10} {speed:6.1f} MB/s, {bare / speed:5.1f} times the loop")
    if options.out is not None:
        settings = {"megabytes": options.megabytes, "repeats": options.repeats}
        result = {"cpu": platform.processor(), "settings": settings, "bare": bare, "speeds": speeds}
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def fastest(read: Callable[[], object], path: Path, repeats: int) -> float:
    """Return the most megabytes a second of some readings."""
    seconds: list[float] = []
    for _ in range(repeats):
        start = process_time()
        read()
        seconds.append(process_time() - start)
    return path.stat().st_size / MIB / min(seconds)


def loop(path: Path) -> None:
    """Read lines of JSON and do nothing with them."""
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)


def fill(path: Path, head: str, rows: Iterator[str], tail: str, size: float) -> None:
    """Write rows until a file is as large as wanted."""
    with path.open("w", encoding="utf-8") as file:
        written = file.write(head)
        while written < size:
            written += file.write(next(rows))
        file.write(tail)


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


def whatsapp(draw: random.Random) -> Iterator[str]:
    """Write lines of a group."""
    for n, who, said in turns(draw):
        day, minute = divmod(n, 1440)
        date = f"{1 + day % 28:02}/{1 + day // 28 % 12:02}/{2010 + day // 336}"
        yield f"{date}, {minute // 60:02}:{minute % 60:02} - u{who}: {said}\n"


FORMATS: dict[str, tuple[str, Callable[[random.Random], Iterator[str]], str]] = {
    "jsonl": ("", jsonl, ""),
    "openai": ("", openai, ""),
    "telegram": ('{"name": "us", "id": 7, "messages": [', telegram, "]}"),
    "discord": ('{"guild": {"id": "0"}, "channel": {"id": "5"}, "messages": [', discord, "]}"),
    "whatsapp": ("", whatsapp, ""),
}


if __name__ == "__main__":
    main()
