"""How long a store of many people takes, beside plain sqlite3 in the same run.

`--people` have `--events` records each; `--real` of them were remembered as anyone would be, and
have a version. `--rounds` times the store is opened, one of these looked up (its head), given ten
more records from a file, its log read, and its head looked up again; each time the same is done in
plain sqlite3 with the same files and one of the other people (`store_bare.py`), so that both meet
the same machine. Beside the time that passes it is told how much of a core's time that is, which
other work on the machine hardly changes. On PostgreSQL the store alone is measured, beside what
SQLite's loop took before.

    python benchmarks/store.py --people 100000 --rounds 500
    python benchmarks/store.py --people 2000 --postgresql
"""

import argparse
import multiprocessing
import multiprocessing.connection
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import TypeVar

import torch
from postgresql import server, why_not
from rich.console import Console
from rich.table import Table
from store_bare import Bare, filled_people
from store_made import Made, days_from, own_temporary

import lorecall
from report import Row, machine, result_name, write_result

AIMS = {"open": 0.020, "head": 0.002, "add ten": 0.020, "log": 0.005, "head again": 0.002}
SHARES = {"p50": 0.5, "p99": 0.99}
N_FORGETS = 5
N_FIRST = 10
T = TypeVar("T")
Taken = dict[str, list[tuple[float, float]]]
"""Seconds that passed and seconds of a core, by what was done."""


def main() -> None:
    """Measure each database, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--events", type=int, default=300)
    parser.add_argument("--real", type=int, default=50, help="people who are measured")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--postgresql", action="store_true", help="also on a server of its own")
    parser.add_argument("--folder", type=Path, help="where it is all made; a temporary one")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    if options.people < 2 * options.real:
        parser.error("--people must be at least twice --real: the others are for plain sqlite3")
    load = os.getloadavg()
    rows: list[Row] = []
    with ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="lorecall-bench-", dir=options.folder)
        folder = Path(stack.enter_context(temporary))
        places: dict[str, Path | str] = {"SQLite": folder / "people"}
        if options.postgresql:
            if reason := why_not():
                parser.error(reason)
            places["PostgreSQL"] = stack.enter_context(server())
        stack.enter_context(own_temporary(folder / "temporary"))
        beside: Taken = {}
        for database, place in places.items():
            made = Made(place, folder / database)
            names = [f"person {i}" for i in range(options.real)]
            rows += make(made, names, options)
            own, found = measure(made, names, options)
            beside |= found
            show(database, own, beside)
            rows += rows_of(database, own) + (rows_of("bare sqlite3", found) if found else [])
            shutil.rmtree(folder / database)
    write_result(
        options.out / result_name(f"store-{options.people}x{options.events}", torch.device("cpu")),
        machine=machine(torch.device("cpu")),
        settings={**vars(options), "folder": None, "out": None, "aims_p99_s": AIMS}
        | {"load_before": load, "load_after": os.getloadavg()},
        rows=rows,
    )


def make(made: Made, names: list[str], options: argparse.Namespace) -> list[Row]:
    """Make a store of many; return how long it took and what it takes."""
    started = perf_counter()
    made.make(names, n_people=options.people, n_events=options.events)
    took = perf_counter() - started
    with made.opened() as store:
        counted = store.stat()
    sizes = {"database_bytes": counted.database_bytes, "key_bytes": counted.key_bytes}
    told = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in sizes.items())
    Console().print(f"{made.folder.name}: {counted.records} records in {took:.0f} s; {told}")
    return [
        Row.of("made", made.folder.name, metric, values=[value])
        for metric, value in {"make_s": took, **sizes}.items()
    ]


def measure(made: Made, names: list[str], options: argparse.Namespace) -> tuple[Taken, Taken]:
    """Take the times of a store, and of plain sqlite3 beside; nothing of it on PostgreSQL."""
    draw, own, beside = random.Random(0), new_taken(), {}
    others: list[bytes] = []
    if isinstance(made.database, Path):
        n_filled = options.people - len(names)
        others = filled_people(made.database, n=len(names), n_filled=n_filled, draw=draw)
        beside = new_taken()
    for i in range(options.rounds):
        name, file = draw.choice(names), made.days("ten", days_from(10**6 + 10 * i))
        store = timed(own["open"], made.opened)
        person = store.person(name)
        timed(own["head"], person.head)
        timed(own["add ten"], partial(person.remember, file))
        timed(own["log"], person.log)
        timed(own["head again"], person.head)
        store.close()
        if isinstance(made.database, Path):
            bare_round(made, draw.choice(others), file, into=beside, draw=draw)
    own["first open"] = first_opens(made)
    own["forget one"] = []
    with made.opened() as store:
        person = store.person(names[-1])
        for i in range(N_FORGETS):
            timed(own["forget one"], partial(person.forget, like=f"day number {i}."))
    return own, beside


def bare_round(made: Made, name: bytes, file: Path, *, into: Taken, draw: random.Random) -> None:
    """Take the times of one round in plain sqlite3."""
    assert isinstance(made.database, Path)
    bare = timed(into["open"], partial(Bare.open, made.database, made.keys / "keys.db", draw))
    timed(into["head"], partial(bare.head, name))
    timed(into["add ten"], partial(bare.add, name, file))
    timed(into["log"], partial(bare.log, name))
    timed(into["head again"], partial(bare.head, name))
    bare.close()


def first_opens(made: Made) -> list[tuple[float, float]]:
    """Return how long it takes a new process to open a store, once all is imported."""
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["__main__", "lorecall.store.store"])
    taken: list[tuple[float, float]] = []
    for _ in range(N_FIRST):
        answers, tells = start.Pipe(duplex=False)
        given = (str(made.place), str(made.keys), tells)
        process = start.Process(target=open_once, args=given)
        process.start()
        taken.append(answers.recv())
        process.join()
    return taken


def open_once(place: str, keys: str, tells: "multiprocessing.connection.Connection") -> None:
    """Open a store, and tell how long it took."""
    taken: list[tuple[float, float]] = []
    timed(taken, partial(lorecall.Store.open, place, keys=keys)).close()
    tells.send(taken[0])


def new_taken() -> Taken:
    """Return no times yet."""
    return {name: [] for name in AIMS}


def timed(into: list[tuple[float, float]], do: Callable[[], T]) -> T:
    """Do something, and note how long it took."""
    started, of_core = perf_counter(), thread_time()
    done = do()
    into.append((perf_counter() - started, thread_time() - of_core))
    return done


def quantiles(values: list[tuple[float, float]]) -> dict[str, float]:
    """Return below what the shares lie, of the seconds that passed and of those of a core."""
    return {
        f"{kind}{label}_s": sorted(some)[min(len(some) - 1, int(share * len(some)))]
        for kind, some in zip(("", "core_"), zip(*values, strict=True), strict=True)
        for label, share in SHARES.items()
    }


def rows_of(variant: str, taken: Taken) -> list[Row]:
    """Return a row for each median and each 99th percentile."""
    return [
        Row.of(name, variant, metric, values=[value])
        for name, values in taken.items()
        for metric, value in quantiles(values).items()
    ]


def show(database: str, taken: Taken, beside: Taken) -> None:
    """Print the times of one database."""
    columns = ("p50_s", "p99_s", "core_p50_s", "core_p99_s")
    table = Table(title=f"{database}, milliseconds: own, bare, ratio", title_justify="left")
    for heading in ("", "aim", *columns):
        table.add_column(heading)
    for name, values in taken.items():
        own, bare = quantiles(values), quantiles(beside[name]) if name in beside else {}
        cells = [
            f"{1000 * own[each]:.2f}"
            + (f" {1000 * bare[each]:.2f} {own[each] / bare[each]:.1f}x" if bare else "")
            for each in columns
        ]
        table.add_row(name, f"{1000 * AIMS[name]:.0f}" if name in AIMS else "", *cells)
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    main()
