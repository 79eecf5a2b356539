"""One recipe, built again and again: are the bytes the same?

Someone made up is remembered in a store and learnt on a tiny base; then the version is built again,
each time in a process of its own (`forked.py`; started anew with `--own`): alone (`fresh`), while
other processes use every core (`loaded`), and after this process has searched on the same base and
data (`searched`).
`resumed` is the version that a forgetting makes which was stopped and is finished later, each time
in a copy of the store; it is compared with that of a store that never had the record. `in one
process` is no build of a store's: the same training in this process, after the search. Each with
1 and 2 threads, in fp32 and in bf16.

    python experiments/same_bytes.py --builds 20
    python experiments/same_bytes.py --builds 20 --others 5
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
from forked import forked_builds
from machine import machine
from rich.console import Console

import lorecall
from lorecall.core import write_json
from lorecall.data import split_history
from lorecall.lm import tiny_base
from lorecall.store import BasePlace, Built
from lorecall.train import fit_memory

THREADS = (1, 2)
DTYPES = ("float32", "bfloat16")
FRESH = "fresh"
SAME_RECIPE = (FRESH, "loaded", "searched", "resumed")
CASES = (*SAME_RECIPE, "in one process")
SETTINGS = lorecall.preset("smoke")
GONE = "on day 7 it was"
WORDS = ("tea", "rain", "a walk", "the sea", "bread", "snow", "jazz", "a book", "the hill")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of the table.

    Args:
        case: How it was built.
        threads: On how many threads.
        dtype: In which number format.
        builds: How many builds.
        different: How many different results there were; 1 where all are the same bytes.
        as_fresh: Whether they are those of `fresh`; None for what is built in another way.
    """

    case: str
    threads: int
    dtype: str
    builds: int
    different: int
    as_fresh: bool | None


class Cases:
    """The ways to build, on one number of threads and in one format.

    Args:
        folder: Where the stores are made; it has the base and the histories.
        threads: The threads.
        dtype: The format.
    """

    def __init__(self, folder: Path, *, threads: int, dtype: str) -> None:
        self.folder, self.threads = folder, threads
        self.own = folder / f"{threads} {dtype}"
        self.base = BasePlace(name=str(folder / "base"), shared="none", dtype=dtype)
        torch.set_num_threads(threads)
        with lorecall.Store.open(self.own / "left") as store:
            self.learnt(store, "left.jsonl")

    def learnt(self, store: lorecall.Store, history: str) -> None:
        """Remember someone, and learn them."""
        ada = store.person("ada")
        ada.remember(self.folder / history)
        done = ada.update(self.base, settings=SETTINGS, n_threads=self.threads)
        if done.held_back:  # whether it harms is not asked here
            ada.rollback(done.n)

    def digests(self, case: str, n: int) -> Iterator[str]:
        """Yield what builds of a case come to."""
        match case:
            case "loaded":
                with busy():
                    yield from self.again(n)
            case "searched":
                self.search()
                yield from self.again(n)
            case "resumed":
                yield from self.resumed(n)
            case "in one process":
                yield from self.in_one_process(n)
            case _:
                yield from self.again(n)

    def again(self, n: int) -> Iterator[str]:
        """Build the version again, each time in a new process."""
        with lorecall.Store.open(self.own / "left", create=False) as store:
            for _ in range(n):
                yield store.person("ada").rebuild().found

    def resumed(self, n: int) -> Iterator[str]:
        """Stop a forgetting before it builds, and finish it."""
        with lorecall.Store.open(self.own / "all") as store:
            self.learnt(store, "all.jsonl")
        for _ in range(n):
            for name in ("", "-keys"):
                target = self.own / f"now{name}"
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(self.own / f"all{name}", target)
            with (
                lorecall.Store.open(self.own / "now", builder=stopped) as store,
                suppress(lorecall.PendingError),
            ):
                store.person("ada").forget(like=GONE)
            with lorecall.Store.open(self.own / "now") as store:
                store.person("ada").resume()
                yield store.person("ada").log().versions[-1].digest

    def search(self) -> None:
        """Search for the same person on the same base, in this process."""
        history = lorecall.load_history(self.folder / "left.jsonl")
        settings = lorecall.preset("smoke", {"search.searched": "paper"})
        out = self.own / "search"
        shutil.rmtree(out, ignore_errors=True)
        lorecall.learn(history, out=out, base=self.loaded, settings=settings)

    def in_one_process(self, n: int) -> Iterator[str]:
        """Train in this process, on one base, again and again."""
        split = split_history(lorecall.load_history(self.folder / "left.jsonl"))
        base = self.loaded()
        theta = SETTINGS.design.config(base.n_layers)
        for _ in range(n):
            memory = fit_memory(theta, split, base, settings=SETTINGS.train).memory
            digest = hashlib.sha256()
            for name, tensor in sorted(memory.tensors.items()):
                digest.update(name.encode() + tensor.view(torch.uint8).numpy().tobytes())
            yield digest.hexdigest()

    def loaded(self) -> lorecall.LanguageModel:
        """Load the base in this process."""
        dtype = "float32" if self.base.dtype == "float32" else "bfloat16"
        return lorecall.LanguageModel.load(self.base.name, device="cpu", dtype=dtype)


def main() -> None:
    """Build, print the table, write the JSON; end with 1 where bytes differ that must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--builds", type=int, default=20, help="of `fresh`")
    parser.add_argument("--others", type=int, help="of each other case; as many when not given")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS)
    parser.add_argument("--own", action="store_true", help="start each build anew")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--out", type=Path, default=Path("experiments/results/same_bytes.json"))
    options = parser.parse_args()
    others = options.builds if options.others is None else options.others
    cells: list[Cell] = []
    with ExitStack() as stack:
        if not options.own:
            stack.enter_context(forked_builds(options.threads))
        temporary = tempfile.TemporaryDirectory(prefix="lorecall-same-")
        place = begun(Path(stack.enter_context(temporary)))
        for threads, dtype in product(options.threads, DTYPES):
            cases, fresh = Cases(place, threads=threads, dtype=dtype), set[str]()
            for case in options.cases:
                n = options.builds if case == FRESH else others
                found = [*cases.digests(case, n)]
                fresh = {*found} if case == FRESH else fresh
                cells.append(
                    Cell(
                        case=case,
                        threads=threads,
                        dtype=dtype,
                        builds=n,
                        different=len({*found}),
                        as_fresh={*found} == fresh if case in SAME_RECIPE else None,
                    )
                )
                Console().print(cells[-1], highlight=False)
                write_json(
                    options.out,
                    {"machine": machine(), "cells": [asdict(cell) for cell in cells]},
                )
    if any(cell.different > 1 or cell.as_fresh is False for cell in cells):
        raise SystemExit(1)


def begun(folder: Path) -> Path:
    """Make the base and the histories, and a temporary folder and a cache; return where."""
    for name in ("temporary", "cache"):
        (folder / name).mkdir()
    os.environ["LORECALL_CACHE"] = str(folder / "cache")
    tempfile.tempdir = str(folder / "temporary")
    tiny = tiny_base()
    tiny.model.save_pretrained(folder / "base")
    tiny.tokenizer.save_pretrained(folder / "base")
    draw = random.Random(0)
    rows = [
        {
            "user": "ada",
            "query": f"what was it on day {i}?",
            "response": f"on day {i} it was {draw.choice(WORDS)} and {draw.choice(WORDS)}",
            "conversation": f"week {i // 5}",
            "time": 1000.0 * i,
        }
        for i in range(60)
    ]
    left = [row for row in rows if GONE not in str(row["response"])]
    for name, some in (("all", rows), ("left", left)):
        lines = "".join(f"{json.dumps(row)}\n" for row in some)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def stopped(_: object, **__: object) -> Built:
    """Build nothing: what a builder does whose base is not there."""
    raise lorecall.ModelError("a base must be there", expected="it", got="none", next_step="Wait.")


@contextmanager
def busy() -> Iterator[None]:
    """Keep every core busy."""
    command = [sys.orig_argv[0], "-c", "while True: pass"]
    running = [
        subprocess.Popen(command)  # noqa: S603 - Python itself
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
