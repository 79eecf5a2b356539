"""How well shorter trials order candidates as trials on everything do, and in how many tokens.

Thetas are drawn at random, as a search's first ones are. Each is tried on all training samples for
three epochs (full), and in shorter ways: as the laptop preset tries it, the same in batches of two
(four times the steps, the same tokens), as a screening, and that in batches of two. All are read at
their best point. With `--wide scaling` the thetas differ in their scaling, too. Writes
`results/fidelity.json` after every theta, so that it may be stopped; spaces and models of another
number format are not mixed in one file.

    python experiments/fidelity.py --users 6a3cfaab,0df2a726 --thetas 8
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from machine import machine
from rank_correlation import as_json, spearman
from real_trials import drawn

from lorecall import BaseModel, load_history, preset
from lorecall.core.files import write_json
from lorecall.data.history import split_history, subset
from lorecall.learn.search import space_of
from lorecall.lm.device import set_threads
from lorecall.search.space import InjectionSpace
from lorecall.train.trial import TrialData, Trials

OUT = Path(__file__).parent / "results" / "fidelity.json"
SETTINGS = preset("laptop")
FULL = "full"
WAYS: Mapping[str, tuple[int | None, int, int]] = {  # samples, epochs, samples a batch
    FULL: (None, 3, 8),
    "trial": (32, 2, 8),
    "trial, batches of 2": (32, 2, 2),
    "screening": (16, 1, 8),
    "screening, batches of 2": (16, 1, 2),
}
Row = dict[str, Any]


def main() -> None:
    """Try what is not tried yet, theta by theta over all people, then compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", required=True, help="of chitchat, separated by commas")
    parser.add_argument("--thetas", type=int, default=8)
    parser.add_argument("--wide", nargs="*", default=(), help="factors beside the paper's three")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    settings = settings_of(base, options.wide)
    people: dict[str, list[Row]] = {}
    if options.out.exists():
        known = json.loads(options.out.read_text())
        people = known["people"]
        if known["settings"] != json.loads(json.dumps(settings)):
            raise SystemExit(f"{options.out} is of other settings: take another file with --out")
    search = preset("laptop", wide=tuple(options.wide)).search
    space = space_of(base.n_layers, base.max_rank, search)
    tried = {user: Person(base, user, space) for user in options.users.split(",")}
    for i, params in enumerate(drawn(space, options.thetas)):
        for user, person in tried.items():
            rows = people.setdefault(user, [])
            if len(rows) > i:
                continue
            rows.append({"params": params, **person.row(params)})
            write_json(options.out, report(people, settings))
            print(user, i, json.dumps(rows[-1]), flush=True)


class Person:
    """One person's trials in every way."""

    def __init__(self, base: BaseModel, user: str, space: InjectionSpace) -> None:
        self.space = space
        self.split = split_history(load_history("chitchat", user=user))
        self.ways: dict[str, tuple[Trials, TrialData]] = {}
        frozen = None
        for name, (n_samples, epochs, batch_size) in WAYS.items():
            settings = replace(SETTINGS.train, max_epochs=epochs, batch_size=batch_size)
            trials = Trials(base, settings=settings, seed=SETTINGS.seed, frozen=frozen)
            frozen = trials.frozen
            chosen = subset(self.split.train, n_samples, seed=SETTINGS.seed)
            self.ways[name] = (trials, trials.data(self.split, chosen))
        trials, data = self.ways[FULL]
        self.vanilla_loss = fmean(trials.losses(data.valid))

    def row(self, params: Mapping[str, Any]) -> Row:
        """Try one theta in every way."""
        config, found = self.space.config(dict(params)), dict[str, Any]()
        for name, (trials, data) in self.ways.items():
            result = trials.run(config, data, vanilla_loss=self.vanilla_loss)
            found[name] = {
                "loss": result.objectives.loss,
                "rougeL": result.objectives.rouge_l,
                "train_tokens": result.trained.report.n_tokens,
                "curve": list(result.trained.report.points),
            }
        return {
            "vanilla_loss": self.vanilla_loss,
            "n_parameters": result.trained.n_parameters,
            "ways": found,
        }


def settings_of(base: BaseModel, wide: Sequence[str]) -> dict[str, object]:
    """Say everything that a row depends on, but for the machine."""
    return {
        "model": base.name,
        "dtype": str(base.dtype),
        "dataset": "chitchat",
        "wide": list(wide),
        "ways": {name: list(way) for name, way in WAYS.items()},
        "learn": SETTINGS.as_json(),
    }


def report(people: Mapping[str, Sequence[Row]], settings: Mapping[str, object]) -> Row:
    """Correlate every way with the full trials, person by person."""
    return {
        "machine": machine(),
        "settings": settings,
        "correlations": {user: correlations(rows) for user, rows in people.items()},
        "people": people,
    }


def correlations(rows: Sequence[Row]) -> dict[str, object]:
    """Give each way's rank correlations with the full trials, and its share of their tokens.

    `size` ranks by the number of parameters, the largest first: what no trial is needed for.
    """
    full_losses = np.array([row["ways"][FULL]["loss"] for row in rows])
    sizes = np.array([-row["n_parameters"] for row in rows])
    found: dict[str, object] = {"size": {"loss": as_json(spearman(sizes, full_losses))}}
    for name in WAYS:
        values = {
            key: np.array([[row["ways"][way][key] for row in rows] for way in (name, FULL)])
            for key in ("loss", "rougeL", "train_tokens")
        }
        found[name] = {
            "tokens": float(values["train_tokens"][0].sum() / values["train_tokens"][1].sum()),
            "loss": as_json(spearman(*values["loss"])),
            "rougeL": as_json(spearman(*values["rougeL"])),
            "rougeL with the full loss": as_json(spearman(values["rougeL"][0], -values["loss"][1])),
        }
    return found


if __name__ == "__main__":
    main()
