"""How long a store of many people takes, beside plain sqlite3 in the same run.

`--people` have `--events` records each; `--real` of them were remembered as anyone would be, and
have a version. `--rounds` times one of these at random is opened, looked up (its head), given ten
more records from a file, and its log read; each time the same is done in plain sqlite3 with the
same files and one of the other people (`store_bare.py`), so that both meet the same machine. On
PostgreSQL the store alone is measured, beside what SQLite's loop took before.

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
from time import perf_counter
from typing import TypeVar

import torch
from postgresql import server, why_not
from rich.console import Console
from rich.table import Table
from store_bare import Bare, filled_people
from store_made import Made, days_from, own_temporary

import lorecall
from report import Row, machine, result_name, write_result

AIMS = {"open": 0.020, "head": 0.002, "add ten": 0.020, "log": 0.005, "forget one": 1.0}
MEASURED = ("open", "head", "add ten", "log")
N_FORGETS = 5
N_FIRST = 10
T = TypeVar("T")
Taken = dict[str, list[float]]


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
        stack.enter_context(own_temporary(folder / "temporary"))
        places: dict[str, Path | str] = {"SQLite": folder / "people"}
        if options.postgresql:
            if reason := why_not():
                parser.error(reason)
            places["PostgreSQL"] = stack.enter_context(server())
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
    bare.close()


def first_opens(made: Made) -> list[float]:
    """Return how long it takes a new process to open a store, once all is imported."""
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["__main__", "lorecall.store.store"])
    taken: list[float] = []
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
    taken: list[float] = []
    timed(taken, partial(lorecall.Store.open, place, keys=keys)).close()
    tells.send(taken[0])


def new_taken() -> Taken:
    """Return no times yet."""
    return {name: [] for name in MEASURED}


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
    for heading in ("", "p50", "p99", "aim", "bare p50", "bare p99", "times p50", "times p99"):
        table.add_column(heading)
    for name, values in taken.items():
        own = [quantile(values, share) for share in (0.5, 0.99)]
        other = [quantile(beside[name], share) for share in (0.5, 0.99)] if name in beside else []
        table.add_row(
            name,
            *(f"{1000 * each:.2f}" for each in own),
            f"{1000 * AIMS[name]:.0f}" if name in AIMS else "",
            *([f"{1000 * each:.2f}" for each in other] or ("", "")),
            *(f"{each / bare:.1f}" for each, bare in zip(own, other, strict=False)),
        )
    Console(width=None if Console().is_terminal else 120).print(table)


if __name__ == "__main__":
    main()
