"""How long a store of many people takes, beside a bare SQLite loop in the same run.

`--people` have `--events` records each; `--real` of them were remembered as anyone would be, and
one of these at random is opened, looked up (its head), given ten more records, and its log read,
`--rounds` times. The bare loop does the same to a SQLite file with as many rows: no encryption, no
audit log, one database. Then many processes add to one person at once, and to one each; afterwards
it is counted whether something was lost or is there twice.

    python benchmarks/store.py --people 2000 --postgresql
"""

import argparse
import json
import multiprocessing
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import torch
from postgresql import server, why_not
from rich.console import Console
from rich.table import Table
from store_fill import bare, bare_connection, fill

import lorecall
from lorecall.lm import tiny_base
from lorecall.store import BasePlace
from report import Row, machine, result_name, write_result

AIMS = {"open": 0.020, "head": 0.002, "add ten": 0.020, "log": 0.005}
N_FORGETS = 5
HEAD = "SELECT uid, head FROM person WHERE name = ?"
LOG = "SELECT * FROM version WHERE person = ? ORDER BY n"
T = TypeVar("T")
Taken = dict[str, list[float]]


def main() -> None:
    """Measure each database, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--real", type=int, default=50, help="people who are measured")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--one", type=int, default=16, help="processes that add to one person")
    parser.add_argument("--many", type=int, default=64, help="processes that add to one each")
    parser.add_argument("--adds", type=int, default=20, help="files that each process adds")
    parser.add_argument("--postgresql", action="store_true", help="also on a server of its own")
    parser.add_argument("--folder", type=Path, help="where it is all made; a temporary one")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    rows: list[Row] = []
    with ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        places: dict[str, Path | str] = {"SQLite": folder / "people"}
        if options.postgresql:
            if reason := why_not():
                parser.error(reason)
            places["PostgreSQL"] = stack.enter_context(server())
        names = [f"person {i}" for i in range(options.real)]
        bare(folder / "bare.db", names=names, n_people=options.people, n_events=options.events)
        beside = measure_bare(folder / "bare.db", names, options.rounds)
        for database, place in places.items():
            store = Made(place, folder / database)
            store.make(names, n_people=options.people, n_events=options.events)
            taken = store.measure(names, options.rounds)
            show(database, taken, beside)
            rows += rows_of(database, taken) + store.contend(options)
            shutil.rmtree(folder / database, ignore_errors=True)
    rows += rows_of("bare sqlite3", beside)
    write_result(
        options.out / result_name("store", torch.device("cpu")),
        machine=machine(torch.device("cpu")),
        settings={**vars(options), "folder": None, "out": None, "aims_p99_s": AIMS},
        rows=rows,
    )


class Made:
    """A store that is measured.

    Args:
        place: Its folder, or its database's URL.
        folder: Where files are made.
    """

    def __init__(self, place: Path | str, folder: Path) -> None:
        self.place, self.folder = place, folder
        self.keys, self.blobs = folder / "keys", folder / "blobs"
        folder.mkdir(parents=True, exist_ok=True)

    def opened(self) -> lorecall.Store:
        """Open it."""
        return lorecall.Store.open(self.place, keys=self.keys, blobs=self.blobs)

    def make(self, names: list[str], *, n_people: int, n_events: int) -> None:
        """Remember some people, build a version of each, and fill it up with the others."""
        started = perf_counter()
        base = self.folder / "base"
        tiny = tiny_base()
        tiny.model.save_pretrained(base)
        tiny.tokenizer.save_pretrained(base)
        settings = lorecall.preset("smoke")
        with self.opened() as store:
            days = self.days("all", range(n_events))
            for name in names:
                store.person(name).remember(days)
            first = store.person(names[0])
            first.update(BasePlace(name=str(base), shared="none"), settings=settings, n_threads=1)
        database = self.place / "store.db" if isinstance(self.place, Path) else self.place
        n_rows = max(0, n_people - len(names))
        fill(database, self.keys / "keys.db", n_people=n_rows, n_events=n_events)
        Console().print(f"made {n_people} people in {perf_counter() - started:.0f} s")

    def measure(self, names: list[str], rounds: int) -> Taken:
        """Take the times."""
        draw, taken = random.Random(0), new_taken()
        files = [self.days(f"ten {i}", days_from(10**6 + 10 * i)) for i in range(rounds)]
        for i in range(rounds):
            name = draw.choice(names)
            store = timed(taken["open"], self.opened)
            person = store.person(name)
            timed(taken["head"], person.head)
            timed(taken["add ten"], lambda p=person, f=files[i]: p.remember(f))
            timed(taken["log"], person.log)
            store.close()
        taken["forget one"] = []
        with self.opened() as store:
            for i in range(min(N_FORGETS, rounds)):
                person = store.person(names[-1])
                timed(taken["forget one"], lambda p=person, n=i: p.forget(like=f"day number {n}."))
        return taken

    def contend(self, options: argparse.Namespace) -> list[Row]:
        """Have many processes add at once; count what came of it."""
        rows: list[Row] = []
        start = multiprocessing.get_context("forkserver")
        start.set_forkserver_preload(["__main__", "lorecall.store.store"])
        for n_processes, kind in ((options.one, "one person"), (options.many, "one each")):
            each = 10 * options.adds
            whom = [f"{kind} {0 if kind == 'one person' else i}" for i in range(n_processes)]
            files = [
                [
                    str(self.days(f"{kind} {i} {k}", days_from(each * i + 10 * k)))
                    for k in range(options.adds)
                ]
                for i in range(n_processes)
            ]
            running = [
                start.Process(target=add, args=(str(self.place), str(self.keys), name, paths))
                for name, paths in zip(whom, files, strict=True)
            ]
            started = perf_counter()
            for process in running:
                process.start()
            for process in running:
                process.join()
            took = perf_counter() - started
            failed = sum(process.exitcode != 0 for process in running)
            with self.opened() as store:
                n = sum(store.person(name).log().n_records for name in set(whom))
            wanted = each * n_processes
            told = f"{n_processes} processes to {kind}: {n} of {wanted} records, {failed} failed"
            Console().print(f"{told}, {took:.1f} s, {n / took:.0f} records/s")
            case = f"{n_processes} processes to {kind}"
            counted = {"records": n, "wanted": wanted, "failed": failed}
            rows.append(
                Row.of(case, self.folder.name, "add_all_s", values=[took], equivalence=counted)
            )
        return rows

    def days(self, name: str, days: range) -> Path:
        """Write a file of what someone said on some days."""
        path = self.folder / f"{name}.jsonl"
        lines = (
            json.dumps(
                {
                    "user": "someone",
                    "query": f"and what was it like on day {i}, in the end?",
                    "response": f"tea, rain and a long walk on day number {i}. nothing else",
                    "conversation": f"week {i // 7}",
                    "time": 1000.0 * i,
                }
            )
            for i in days
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def days_from(first: int) -> range:
    """Return ten days."""
    return range(first, first + 10)


def add(place: str, keys: str, name: str, paths: list[str]) -> None:
    """Add files to a person, in a process of its own."""
    with lorecall.Store.open(place, keys=keys) as store:
        for path in paths:
            store.person(name).remember(path)


def measure_bare(path: Path, names: list[str], rounds: int) -> Taken:
    """Take the times of the same without a store."""
    draw, taken = random.Random(0), new_taken()
    for i in range(rounds):
        name = draw.choice(names).encode()
        connection = timed(taken["open"], lambda: bare_connection(path))
        uid, _ = timed(taken["head"], lambda c=connection, n=name: c.execute(HEAD, (n,)).fetchone())
        rows = [
            (f"{i:016}{k:016}", uid, i, k, draw.randbytes(32), draw.randbytes(220))
            for k in range(10)
        ]
        timed(taken["add ten"], lambda c=connection, r=rows: add_bare(c, r))
        timed(taken["log"], lambda c=connection, u=uid: c.execute(LOG, (u,)).fetchall())
        connection.close()
    return taken


def add_bare(connection: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    """Add rows, in a transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def new_taken() -> Taken:
    """Return no times yet."""
    return {name: [] for name in AIMS}


def timed(into: list[float], do: Callable[[], T]) -> T:
    """Do something, and note how long it took."""
    started = perf_counter()
    done = do()
    into.append(perf_counter() - started)
    return done


def quantile(values: list[float], share: float) -> float:
    """Return the value below which a share lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def rows_of(variant: str, taken: Taken) -> list[Row]:
    """Return a row for the median and one for the 99th percentile of each."""
    return [
        Row.of(name, variant, f"{label}_s", values=[quantile(values, share)])
        for name, values in taken.items()
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]


def show(database: str, taken: Taken, beside: Taken) -> None:
    """Print the times of one database."""
    table = Table(title=f"{database}, milliseconds", title_justify="left")
    for heading in ("", "p50", "p99", "aim", "bare p99", "times the bare p99"):
        table.add_column(heading)
    for name, values in taken.items():
        p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
        other = quantile(beside[name], 0.99) if name in beside else None
        table.add_row(
            name,
            f"{1000 * p50:.1f}",
            f"{1000 * p99:.1f}",
            f"{1000 * AIMS[name]:.0f}" if name in AIMS else "",
            "" if other is None else f"{1000 * other:.2f}",
            "" if other is None else f"{p99 / other:.1f}",
        )
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    main()
