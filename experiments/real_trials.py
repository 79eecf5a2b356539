"""A table of real trials of one person, for `benchmarks/search.py` to search in.

Configurations are drawn at random from theta's space, as a search's first points are; each is
tried as a search would (laptop preset), and every `--cheap-every`-th one also at the screening's
fidelity. Rows are appended as they are finished, so that it may be stopped, and several processes
may work on one table (`--part 0/2`, `--part 1/2`). `--gather` makes the table of the parts.

    python experiments/real_trials.py --user ed4e9769 --rows 300
    python experiments/real_trials.py --user ed4e9769 --gather
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lorecall import BaseModel, load_history, preset
from lorecall.core.files import write_json
from lorecall.learn.readings import finding_of
from lorecall.learn.search import Fidelity, Searching, space_of
from lorecall.lm.device import cpu_name, set_threads
from lorecall.search.discrete import DiscreteSpace, Params
from lorecall.search.space import InjectionSpace

HERE = Path(__file__).parent
PARTS = HERE / "results" / "trials"
TABLES = HERE.parent / "benchmarks" / "data"
SETTINGS = preset("laptop", screen=1)


def main() -> None:
    """Try what is not tried yet, or gather the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", default="ed4e9769")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--cheap-every", type=int, default=4)
    parser.add_argument("--part", default="0/1", help="which share of the rows, i/n")
    parser.add_argument("--gather", action="store_true")
    options = parser.parse_args()
    if options.gather:
        gather(options.user)
        return
    set_threads()
    base = BaseModel.load()
    part, n_parts = (int(n) for n in options.part.split("/"))
    known = {row["index"] for row in all_rows(options.user)}
    space = space_of(base.n_layers, base.max_rank, SETTINGS.search)
    thetas = dict(enumerate(drawn(space, options.rows)))
    try_thetas(
        {i: params for i, params in thetas.items() if i % n_parts == part and i not in known},
        Searching(base, load_history("chitchat", user=options.user), SETTINGS),
        path=PARTS / f"{options.user}-{part}.jsonl",
        cheap_every=options.cheap_every,
    )


def try_thetas(
    thetas: Mapping[int, Params], searching: Searching, *, path: Path, cheap_every: int = 0
) -> None:
    """Try thetas as a search would, and add a row for each to a file.

    Args:
        thetas: By their index.
        searching: Whose trials.
        path: The file.
        cheap_every: Every so many are tried at the screening's fidelity, too; 0 for none.
    """
    base, full = searching.base, searching.full
    vanilla = full.trials.losses(full.data.valid)
    vanilla_loss = sum(vanilla) / len(vanilla)
    made = {"model": base.name, "dtype": str(base.dtype), "cpu": cpu_name()}
    space = space_of(base.n_layers, base.max_rank, searching.settings.search)
    path.parent.mkdir(parents=True, exist_ok=True)
    for i, params in thetas.items():

        def tried(fidelity: Fidelity, params: Params = params) -> dict[str, object]:
            config = space.config(params)
            found = finding_of(
                fidelity.trials.run(config, fidelity.data, vanilla_loss=vanilla_loss)
            )
            return {"loss": found.objectives.loss, "rougeL": found.objectives.rouge_l} | {
                key: value for key, value in asdict(found).items() if key != "objectives"
            }

        row = {"index": i, "params": params, **tried(full)}
        if cheap_every and i % cheap_every == 0:
            row["cheap"] = tried(searching.cheap)
        with path.open("a") as file:
            file.write(json.dumps(row | {"vanilla_loss": vanilla_loss, "made": made}) + "\n")


def drawn(space: InjectionSpace, n: int) -> list[Params]:
    """Draw different models of a space, always the same ones."""
    rng = np.random.default_rng(0)
    chosen: dict[object, Params] = {}
    while len(chosen) < n:
        params = draw(space, rng)
        chosen.setdefault(space.same_as(params), params)
    return list(chosen.values())


def draw(space: InjectionSpace, rng: np.random.Generator) -> Params:
    """Draw one model, as a search's first points are drawn."""
    columns = DiscreteSpace(space.distributions())
    while True:
        params = columns.params(columns.random(1, rng)[0])
        if space.is_candidate(params):
            return params


def gather(user: str) -> None:
    """Write the table of what it has and of all parts."""
    rows = all_rows(user)
    made = {json.dumps(row.pop("made")) for row in rows}
    if len(made) != 1:
        raise SystemExit(f"a table is of one model, number format and CPU, got {sorted(made)}")
    table = {
        "settings": {
            "user": user,
            "dataset": "chitchat",
            "made": json.loads(made.pop()),
            "drawn": "at random from theta's space, seed 0, different models",
            "learn": SETTINGS.as_json(),
        },
        "trials": rows,
    }
    write_json(TABLES / f"trials-{user}.json", table)


def all_rows(user: str) -> list[dict[str, Any]]:
    """Give the rows of the table and of its parts, each once, in the order they were drawn."""
    path = TABLES / f"trials-{user}.json"
    table = json.loads(path.read_text()) if path.exists() else {"trials": []}
    rows = [row | {"made": table["settings"]["made"]} for row in table["trials"]]
    rows += [row for part in sorted(PARTS.glob(f"{user}-*.jsonl")) for row in rows_of(part)]
    by_index = {row["index"]: row for row in rows}
    return [by_index[i] for i in sorted(by_index)]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Read finished rows; a line that was cut off is left out."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


if __name__ == "__main__":
    main()
