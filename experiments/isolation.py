"""A secret planted in each of many people's histories, and everyone's system asked for all of them.

Every system of `lorecall bench` is made for every person from a short history (the newest
samples), trained as a bench trains it; the memory after a search of two trials. What is looked for
is told in `lorecall.systems.isolation`.

The people are gone through in parts. In a part all systems are made before the first is asked, as
a server would hold them; everyone's canary is asked for. What a part told is kept in
`results/isolation.jsonl`, so that a run that was stopped goes on there, and several, started with
different `--first-part`, share the work. Where all parts of a system are there, what was found goes
to `results/isolation.json`. Each row tells the machine it was made on.

    python experiments/isolation.py --people 20 --parts 5
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from machine import machine

from lorecall import DataError, History, LanguageModel, load_history, preset
from lorecall.bench import choose_users, newest
from lorecall.core import append_records, whole_records, write_json
from lorecall.lm import set_threads
from lorecall.systems import (
    N_REFERENCES,
    Budget,
    Told,
    ask_everyone,
    isolation_from,
    make_system,
    system_names,
)

OUT = Path(__file__).parent / "results" / "isolation.json"
ROWS = OUT.with_suffix(".jsonl")
DATASET = "chitchat"
N_SAMPLES = 24
SETTINGS = preset("laptop", trials=2, initial=2, samples=16, reply_length="free")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """What the systems of one part of the people told."""

    system: str
    users: tuple[str, ...]
    told: tuple[Told, ...]
    machine: dict[str, object]
    dtype: str
    seconds: float


def main() -> None:
    """Check every system that is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20, help="drawn, seed 0")
    parser.add_argument("--systems", default="all", help="as for lorecall bench")
    parser.add_argument("--parts", type=int, default=1, help="that the people are gone through in")
    parser.add_argument("--first-part", type=int, default=0, help="begin the work with this one")
    options = parser.parse_args()
    set_threads()
    base = LanguageModel.load()
    users = choose_users(DATASET, (), str(options.people), seed=0)
    histories = [newest(load_history(DATASET, user=user), N_SAMPLES) for user in users]
    parts = [histories[i :: options.parts] for i in range(options.parts)]
    parts = parts[options.first_part :] + parts[: options.first_part]
    with TemporaryDirectory() as folder:  # a memory with retrieval is the memory made before
        for name in system_names(options.systems.split(",")):
            if name in finished():
                continue
            for part in parts:
                told = told_in(rows_of(name, histories))
                if left := [history for history in part if history.user not in told]:
                    row = row_of(name, left, histories, base, Path(folder))
                    append_records(ROWS, [row])
                    print(name, row.users, f"{row.seconds:.0f} s", flush=True)
            found = finished() | {name: found_of(name, rows_of(name, histories), histories)}
            write_json(OUT, report(found, histories, base))
            print(name, json.dumps(found[name]), flush=True)


def finished() -> dict[str, Any]:
    """Return the systems that all people were asked for."""
    return json.loads(OUT.read_text())["systems"] if OUT.exists() else {}


def rows_of(name: str, histories: Sequence[History]) -> list[PartRow]:
    """Return what the systems of one name told so far, of the canaries of just these people."""
    users = {history.user for history in histories}
    rows = whole_records(ROWS, PartRow, error=DataError, next_step="Remove the line.")
    return [row for row in rows if row.system == name and {*row.told[0].gaps} == users]


def told_in(rows: Sequence[PartRow]) -> dict[str, Told]:
    """Return what each person's system told, once where two processes met in a part."""
    return {told.teller: told for row in rows for told in row.told}


def row_of(
    name: str,
    part: Sequence[History],
    histories: Sequence[History],
    base: LanguageModel,
    folder: Path,
) -> PartRow:
    """Make a system for everyone of the part, and ask them for everyone's secret."""
    started = perf_counter()
    users = tuple(history.user for history in part)
    system = make_system(name, SETTINGS, folder=folder)
    budget = Budget(train=SETTINGS.train, seed=SETTINGS.seed)
    told = ask_everyone(histories, system, base, budget, tellers=users)
    return PartRow(
        system=name,
        users=users,
        told=tuple(told),
        machine=machine(),
        dtype=str(base.dtype),
        seconds=perf_counter() - started,
    )


def found_of(name: str, rows: Sequence[PartRow], histories: Sequence[History]) -> dict[str, object]:
    """Put together what a system's parts told."""
    users, told = [history.user for history in histories], told_in(rows)
    found = isolation_from(name, [told[user] for user in users], users=users)
    return asdict(found) | {
        "machine": rows[0].machine,
        "dtype": rows[0].dtype,
        "n_parts": len(rows),
        "n_leaks": len(found.leaks),
        "n_references": N_REFERENCES,
        "seconds": sum(row.seconds for row in rows),
    }


def report(
    systems: Mapping[str, object], histories: list[History], base: LanguageModel
) -> dict[str, object]:
    """Put what was found beside what it depends on."""
    return {
        "settings": {
            "model": base.name,
            "dataset": DATASET,
            "n_samples": N_SAMPLES,
            "users": [history.user for history in histories],
            "learn": SETTINGS.as_json(),
        },
        "systems": systems,
    }


if __name__ == "__main__":
    main()
