"""How fast histories are checked, beside a bare loop of `orjson.loads`, and in how much memory.

    jsonl         a pair a line
    openai        a conversation a line
    instructions  a question and its answer a line
    telegram      one JSON file, of each message what is needed; -full: as the application writes it
    discord       the same
    messenger     one JSON file, newest first
    slack         a list, the file of a day
    claude        a list of conversations
    lamp          a list of questions with profiles
    signal        a frame a line
    whatsapp      a message a line
    mail          an mbox: heads of fifteen lines, quotations, signatures; -tiny: without them

    python benchmarks/importers.py --megabytes 16
    python benchmarks/importers.py --formats mail slack --megabytes 1024 --memory

Seconds are those of the processor, megabytes those of 2**20 bytes. The loop reads the lines of a
file of `jsonl` and does nothing with them: the ratio to it is what can be compared between
machines. With `--memory` each file is read in a process of its own, whose peak is told.
"""

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time

import orjson
from importers_rows import FORMATS

from lorecall.data import check

MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each format, print the figures and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--megabytes", type=float, default=16.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--folder", type=Path, help="where the files are written")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measured = memory(options, Path(folder)) if options.memory else speed(options, Path(folder))
    if options.out is not None:
        settings = {"megabytes": options.megabytes, "repeats": options.repeats}
        result = {"cpu": platform.processor(), "settings": settings} | measured
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def speed(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return how fast each format is read, and the loop."""
    lines = written(folder, "jsonl", options.megabytes)
    bare = fastest(lambda: loop(lines), lines, options.repeats)
    print(f"orjson.loads alone: {bare:.0f} MB/s")
    speeds: dict[str, float] = {}
    for name in options.formats:
        path = written(folder, name, options.megabytes)
        speeds[name] = fastest(lambda path=path, name=name: read(name, path), path, options.repeats)
        path.unlink()
        print(f"{name:13} {speeds[name]:6.1f} MB/s, {bare / speeds[name]:5.1f} times the loop")
    return {"bare": bare, "speeds": speeds}


def memory(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Return the most memory that a process has in which a file is read, in megabytes."""
    code = (
        "import sys; from lorecall.data import check\n"
        "assert check(sys.argv[1], path=sys.argv[2]).n_problems == 0\n"
        "print([line.split()[1] for line in open('/proc/self/status') if 'VmHWM' in line][0])"
    )
    peaks: dict[str, float] = {}
    for name in options.formats:
        path = written(folder, name, options.megabytes)
        command = [sys.executable, "-c", code, loader_of(name), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        peaks[name] = int(done.stdout) / 1024
        path.unlink()
        print(f"{name:13} {peaks[name]:6.1f} MB", flush=True)
    return {"peaks": peaks}


def written(folder: Path, name: str, megabytes: float) -> Path:
    """Write a file of a format, as large as wanted."""
    head, rows, tail = FORMATS[name]
    fill(folder / name, head, rows(random.Random(0)), tail, megabytes * MIB)
    return folder / name


def loader_of(name: str) -> str:
    """Return what a format is called."""
    return name.partition("-")[0]


def read(name: str, path: Path) -> None:
    """Read a file, in which nothing is broken."""
    assert check(loader_of(name), path=path).n_problems == 0


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


if __name__ == "__main__":
    main()
