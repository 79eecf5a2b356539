"""kill -9 at every step of what a store does: nothing lost, nothing half there.

For each verb a store is prepared, copied, and the verb is run on the copy in a process that kills
itself at one of its steps: where a transaction begins, before it changes a table or is committed,
before and after each file is written to the disk, renamed or removed. Then the store is opened
again, looked through, and the same command given again; what is there then must be what is there
where nobody was killed. Versions are built in no time, so that hundreds of faults take minutes.

The verbs are in `store_verbs.py`.

    python benchmarks/store_faults.py --faults 300
    python benchmarks/store_faults.py --faults 30 --verbs remember forget
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

import torch
from rich.console import Console
from sqlalchemy import Engine, event
from store_made import own_temporary
from store_verbs import AS_FIRST, MIGRATE, VERBS, Case, begun, opened

import lorecall
from lorecall.core import write_json
from lorecall.errors import LorecallError
from report import machine

N_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One killing.

    Args:
        verb: Of what.
        step: At which of its steps, from 1.
        violations: What was not as it must be.
    """

    verb: str
    step: int
    violations: tuple[str, ...]


def main() -> None:
    """Kill, look, print what came of it, and end with 1 where anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--verbs", nargs="+", choices=[*VERBS], default=[*VERBS])
    parser.add_argument("--seed", type=int, default=0, help="of the draw, beyond one of each step")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/store-faults.json"))
    options = parser.parse_args()
    started = perf_counter()
    with tempfile.TemporaryDirectory(prefix="lorecall-faults-") as folder:
        place = Path(folder)
        write_days(place / "days.jsonl", N_DAYS)
        write_days(place / "more.jsonl", N_DAYS + 10)
        with own_temporary(place / "temporary"):
            faults = list(all_faults(place, options.verbs, n=options.faults, seed=options.seed))
    violations = [asdict(fault) for fault in faults if fault.violations]
    counts = {verb: sum(fault.verb == verb for fault in faults) for verb in options.verbs}
    write_json(
        options.out,
        {
            "command": f"python benchmarks/store_faults.py --faults {options.faults}",
            "machine": machine(torch.device("cpu")),
            "faults": len(faults),
            "by_verb": counts,
            "violations": violations,
            "at_most_95": 3 / len(faults) if faults and not violations else None,
            "seconds": round(perf_counter() - started, 1),
        },
    )
    Console().print(f"{len(faults)} faults {counts}: {len(violations)} violations")
    for each in violations:
        Console().print(json.dumps(each))
    sys.exit(bool(violations))


def all_faults(place: Path, verbs: list[str], *, n: int, seed: int) -> Iterator[Fault]:
    """Kill each verb at each of its steps, then at drawn ones, until there are n faults.

    Args:
        place: A folder with the files that are remembered.
        verbs: Which.
        n: How many; fewer than there are steps are spread over all.
        seed: Seed of the draw.
    """
    steps: list[tuple[str, int]] = []
    for verb in verbs:
        prepared(place, verb)
        n_steps = counted(place, verb)
        Console(stderr=True).print(f"{verb}: {n_steps} steps", highlight=False)
        steps += [(verb, step) for step in range(1, n_steps + 1)]
    draw = random.Random(seed)
    chosen = draw.sample(steps, n) if n < len(steps) else [*steps, *draw.choices(steps, k=n)][:n]
    for verb, step in chosen:
        yield one_fault(place, verb, step)


def one_fault(place: Path, verb: str, step: int) -> Fault:
    """Kill a verb at a step, look, give the command again, and look again."""
    case, twin = VERBS[verb], place / f"{verb}-done"
    copied(place / verb, place / "now")
    violations: list[str] = []
    if run_killed(place, verb, at=step) != -signal.SIGKILL:
        violations.append("it was not killed")
    try:
        with begun(place / "now", verb) as store:
            violations += looked_at(store, case, done=False)
        with opened(place / "now") as store:
            case.run(store, place)
            violations += looked_at(store, case, done=True)
            violations += beside(store, twin, place)
    except LorecallError as error:
        violations.append(str(error))
    return Fault(verb=verb, step=step, violations=tuple(violations))


def looked_at(store: lorecall.Store, case: Case, *, done: bool) -> Iterator[str]:
    """Yield what is not as it must be: old or new, and nothing in between."""
    store.check_log()
    ada = store.person("ada")
    if "ada" not in store.people():
        if done or case.records[0]:
            yield "the person is not there"
        return
    log = ada.log()
    records = case.records[1:] if done else case.records
    if log.n_records not in records:
        yield f"{log.n_records} records, and not {records}"
    heads = case.heads[1:] if done else (*case.heads, None)  # forgetting withdraws it first
    if log.head not in heads:
        yield f"the head is {log.head}, and not {heads}"
    for each in log.versions:
        if each.is_there:
            ada.check(each.n)
    if done and len({each.n for each in log.versions}) != len(log.versions):
        yield "a number was used twice"


def beside(store: lorecall.Store, twin: Path, place: Path) -> Iterator[str]:
    """Yield what differs from a store where nobody was killed: exports, files, other people."""
    with opened(twin) as other:
        for name in store.people():
            for each, path in ((store, "one.zip"), (other, "two.zip")):
                each.person(name).export(place / path)
            if (place / "one.zip").read_bytes() != (place / "two.zip").read_bytes():
                yield f"{name}'s export is another"
        if store.people() != other.people():
            yield f"{store.people()} are there, and not {other.people()}"
    # what a killed process left is swept when something is published next
    store.person("ada").remember(place / "days.jsonl")
    if store.person("ada").log().head is not None:
        store.person("ada").rollback(store.person("ada").log().head or 0)
    there = sum(v.is_there for name in store.people() for v in store.person(name).log().versions)
    files = [path for path in (place / "now" / "blobs").rglob("*") if path.is_file()]
    if len(files) != there:
        yield f"{len(files)} files of versions, and {there} versions"
    if [*place.glob("now-keys/*.new")]:
        yield "a key that is nobody's"


def prepared(place: Path, verb: str) -> None:
    """Make the store that a verb is run on, and one where it has come to its end."""
    with opened(place / verb) as store:
        VERBS[verb].prepare(store, place)
    if verb == MIGRATE:
        for name, more in AS_FIRST.items():
            folder = place / (verb if name == "store.db" else f"{verb}-keys")
            database = sqlite3.connect(folder / name)
            database.executescript(f"DROP TABLE erasure; DROP TABLE alembic_version; {more}")
            database.close()
    copied(place / verb, place / f"{verb}-done")
    with begun(place / f"{verb}-done", verb) as store:
        VERBS[verb].run(store, place)


def counted(place: Path, verb: str) -> int:
    """Return how many steps a verb has."""
    copied(place / verb, place / "now")
    found, tells = os.pipe()
    run_killed(place, verb, at=0, tells=tells)
    os.close(tells)
    with os.fdopen(found) as answer:
        return int(answer.read())


def run_killed(place: Path, verb: str, *, at: int, tells: int | None = None) -> int:
    """Run a verb in a process that kills itself at a step; return how it ended.

    Args:
        place: The folder with the store and the files.
        verb: Which.
        at: The step; none at 0.
        tells: A pipe that the number of steps is written to.
    """
    child = os.fork()
    if not child:
        code = 1
        try:
            steps = kill_at(at) if verb == MIGRATE else None
            with begun(place / "now", verb) as store:
                steps = steps or kill_at(at)
                VERBS[verb].run(store, place)
                n_steps = steps()
            if tells is not None:
                os.write(tells, str(n_steps).encode())
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def kill_at(at: int) -> Callable[[], int]:
    """Kill this process at a step from now on; return what says how many there were."""
    n = 0

    def step(*_: object) -> None:
        nonlocal n
        n += 1
        if n == at:
            os.kill(os.getpid(), signal.SIGKILL)

    def changes(_: object, __: object, statement: str, *___: object) -> None:
        if statement.lstrip().upper().startswith(("CREATE", "ALTER", "DROP", "VACUUM")):
            step()

    for moment in ("begin", "commit"):
        event.listen(Engine, moment, step)
    event.listen(Engine, "before_cursor_execute", changes)
    for owner, names in ((Path, ("replace", "unlink")), (os, ("fsync",))):
        for name in names:
            setattr(owner, name, _stepped(getattr(owner, name), step))
    return lambda: n


def _stepped(old: Callable[..., object], step: Callable[[], None]) -> Callable[..., object]:
    def wrapped(*given: object, **named: object) -> object:
        step()
        done = old(*given, **named)
        step()
        return done

    return wrapped


def copied(source: Path, target: Path) -> None:
    """Copy a store with its keys, to where nothing of an older one is left."""
    for left in target.parent.glob(f"{target.name}-*"):
        shutil.rmtree(left)
    for suffix in ("", "-keys"):
        there = target.with_name(target.name + suffix)
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(source.with_name(source.name + suffix), there)


def write_days(path: Path, n: int) -> None:
    """Write what someone answered on some days, three to a conversation."""
    rows = (
        {
            "user": "ann",
            "query": f"and what was it on day {i}?",
            "response": f"tea and rain on day number {i}",
            "conversation": f"week {i // 3}",
            "time": 1000.0 * i,
        }
        for i in range(n)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
