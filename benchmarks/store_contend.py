"""Many processes that add to a store at once: is something lost, or there twice?

Each opens the store itself, and adds one file of ten records after the other: all to one person,
or each to one of their own. Afterwards the records are counted, and the audit log is computed
again.

    python benchmarks/store_contend.py --postgresql
    python benchmarks/store_contend.py --one 4 --many 8 --adds 5
"""

import argparse
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter

import torch
from postgresql import server, why_not
from rich.console import Console
from store_made import Made, days_from

import lorecall
from report import Row, machine, result_name, write_result

ONE, EACH = "one person", "one each"


def main() -> None:
    """Add on each database, write what came of it, and end with 1 where it is not all there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, default=16, help="processes that add to one person")
    parser.add_argument("--many", type=int, default=64, help="processes that add to one each")
    parser.add_argument("--adds", type=int, default=20, help="files that each process adds")
    parser.add_argument("--postgresql", action="store_true", help="also on a server of its own")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    load = os.getloadavg()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lorecall-contend-")))
        places: dict[str, Path | str] = {"SQLite": folder / "people"}
        if options.postgresql:
            if reason := why_not():
                parser.error(reason)
            places["PostgreSQL"] = stack.enter_context(server())
        rows: list[Row] = []
        for database, place in places.items():
            made = Made(place, folder / database)
            for kind, n in ((ONE, options.one), (EACH, options.many)):
                rows.append(contend(made, kind, n_processes=n, n_adds=options.adds))
                Console().print(f"{database}: {rows[-1]}", highlight=False)
    write_result(
        options.out / result_name("store-contend", torch.device("cpu")),
        machine=machine(torch.device("cpu")),
        settings={**vars(options), "out": None, "load_before": load},
        rows=rows,
    )
    if not all(is_right(row) for row in rows):
        raise SystemExit(1)


def contend(made: Made, kind: str, *, n_processes: int, n_adds: int) -> Row:
    """Have processes add at once; count what came of it.

    Args:
        made: The store.
        kind: All to one person, or each to one.
        n_processes: How many.
        n_adds: How many files each adds.
    """
    names = [f"{kind} {0 if kind == ONE else i}" for i in range(n_processes)]
    files = [[*_files(made, f"{kind} {i}", i, n_adds)] for i in range(n_processes)]
    made.opened().close()  # it is there before they are
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["__main__", "lorecall.store.store"])
    given = (str(made.place), str(made.keys), str(made.blobs))
    running = [
        start.Process(target=add, args=(*given, name, paths))
        for name, paths in zip(names, files, strict=True)
    ]
    started = perf_counter()
    for process in running:
        process.start()
    for process in running:
        process.join()
    took = perf_counter() - started
    failed = sum(process.exitcode != 0 for process in running)
    with made.opened() as store:
        n = sum(store.person(name).log().n_records for name in set(names))
        store.check_log()
    wanted = 10 * n_adds * n_processes
    return Row.of(
        f"{n_processes} processes to {kind}",
        made.folder.name,
        "add_all_s",
        values=[took],
        equivalence={"records": n, "wanted": wanted, "failed": failed},
    )


def is_right(row: Row) -> bool:
    """Whether all records are there once, and nobody failed."""
    found = row.equivalence or {}
    return found["records"] == found["wanted"] and not found["failed"]


def add(place: str, keys: str, blobs: str, name: str, paths: list[str]) -> None:
    """Add files to a person, in a process of its own."""
    with lorecall.Store.open(place, keys=keys, blobs=blobs) as store:
        for path in paths:
            store.person(name).remember(path)


def _files(made: Made, name: str, i: int, n_adds: int) -> Iterator[str]:
    for k in range(n_adds):
        yield str(made.days(f"{name} {k}", days_from(10 * (n_adds * i + k))))


if __name__ == "__main__":
    main()
