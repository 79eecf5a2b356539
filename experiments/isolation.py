"""A secret planted in each of many people's histories, and everyone's system asked for all of them.

Every system of `lorecall bench` is made for every person from a short history (the newest
samples), trained as a bench trains it; the memory after a search of two trials. What is looked for
is told in `lorecall.baselines.isolation`. Writes `results/isolation.json` after every system, so
that it may be stopped; a system that is there is not made again, and each tells the machine it was
made on.

    python experiments/isolation.py --people 20
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from machine import machine

from lorecall import BaseModel, load_history, preset
from lorecall.baselines.contract import Budget
from lorecall.baselines.isolation import N_REFERENCES, check_isolation
from lorecall.device import set_threads
from lorecall.evaluate.bench.people import choose_users, newest
from lorecall.evaluate.bench.systems import make_system, system_names
from lorecall.files import write_json
from lorecall.records import History

OUT = Path(__file__).parent / "results" / "isolation.json"
DATASET = "chitchat"
N_SAMPLES = 24
SETTINGS = preset("laptop", trials=2, initial=2, samples=16, reply_length="free")


def main() -> None:
    """Check every system that is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20, help="drawn, seed 0")
    parser.add_argument("--systems", default="all", help="as for lorecall bench")
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    users = choose_users(DATASET, (), str(options.people), seed=0)
    histories = [newest(load_history(DATASET, user=user), N_SAMPLES) for user in users]
    known: dict[str, Any] = json.loads(OUT.read_text())["systems"] if OUT.exists() else {}
    missing = [name for name in system_names(options.systems.split(",")) if name not in known]
    with TemporaryDirectory() as folder:  # a memory with retrieval is the memory made before
        for name in missing:
            known[name] = isolation_of(name, histories, base, Path(folder))
            write_json(OUT, report(known, histories, base))
            print(name, json.dumps(known[name]), flush=True)


def isolation_of(
    name: str, histories: list[History], base: BaseModel, folder: Path
) -> dict[str, object]:
    """Make a system for everyone, and look for what it knows of others."""
    started = perf_counter()
    system = make_system(name, SETTINGS, folder=folder)
    budget = Budget(train=SETTINGS.train, seed=SETTINGS.seed)
    (found,) = check_isolation(histories, [system], base, budget)
    return asdict(found) | {
        "machine": machine(),
        "dtype": str(base.dtype),
        "n_leaks": len(found.leaks),
        "n_references": N_REFERENCES,
        "seconds": perf_counter() - started,
    }


def report(
    systems: Mapping[str, object], histories: list[History], base: BaseModel
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
