"""Does theta matter once it is trained in full? What a search chose against what needs none.

For every person of a table, thetas are trained on the whole training part as a memory is at the
end, and the losses of the validation and the test samples read at the best point:

- chosen: what the person's search chose; the table's memory.
- elsewhere: as many modules of that rank on as many other layers, drawn at random.
- largest: as large a LoRA as there may be, on all layers.
- default x8: the LoRA of rank 8 on all layers, at scaling 8 instead of the paper's 1.

They stand beside the test losses that the table has of its systems, and beside `picked`: of chosen
and largest, whichever has the lower validation loss, as if both were a search's finalists. Writes
`results/full_trainings.json` after every person, so that it may be stopped.

    python experiments/full_trainings.py experiments/tables/chitchat-further
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
from memories import Chosen, Row, compared, over_people, thetas_of
from torch import Tensor

from lorecall import BaseModel, InjectionConfig, load_history, preset
from lorecall.data.history import split_history
from lorecall.lm.attach import Injection
from lorecall.records import default_lora
from lorecall.systems.lora import largest_lora
from lorecall.systems.searched import MEMORY
from lorecall.train.trial import EncodedPart, Trained, Trials

OUT = Path(__file__).parent / "results" / "full_trainings.json"
SETTINGS = preset("laptop")
SCALING = 8.0
FINALISTS = ("chosen", "largest")


def main() -> None:
    """Train and read every person's thetas, then compare."""
    over_people(OUT, __doc__, among=thetas_of, of_person=of_person, report=report)


def of_person(base: BaseModel, chosen: Chosen) -> Row:
    """Train one person's thetas in full."""
    split = split_history(load_history(chosen.dataset, user=chosen.user))
    trials = Trials(base, settings=SETTINGS.train, seed=SETTINGS.seed)
    data = trials.data(split, split.train)
    test = trials.encode(split.test, past=split.train)
    rows: dict[str, Row] = {name: {"test": [*each]} for name, each in chosen.losses.items()}
    for name, theta in thetas(base, chosen.theta).items():
        trained = trials.train(theta, data)
        rows[name] = read_in_full(trials, theta, trained.tensors, test) | facts_of(trained)
    rows["picked"] = min((rows[name] for name in FINALISTS), key=lambda row: row["valid"])
    return {"systems": rows, "mean": {name: fmean(row["test"]) for name, row in rows.items()}}


def read_in_full(
    trials: Trials,
    theta: InjectionConfig,
    tensors: Mapping[str, Tensor],
    test: EncodedPart,
) -> Row:
    """Read the test losses of trained pairs."""
    with Injection(trials.base, theta) as injection:
        injection.load(tensors)
        losses = trials.losses(test, injection=injection)
        return {"test": list(losses), "n_parameters": injection.n_parameters}


def facts_of(trained: Trained) -> Row:
    """Give what a training tells of itself, for a row."""
    report = trained.report
    return {
        "valid": report.best.loss,
        "valid_losses": list(trained.valid_losses),
        "curve": list(report.points),
        "seconds": report.seconds,
    }


def thetas(base: BaseModel, chosen: InjectionConfig) -> dict[str, InjectionConfig]:
    """Give the thetas that are trained for a person, by their names."""
    others = [i for i in range(base.n_layers) if i not in chosen.layers]
    n = len(chosen.layers)
    # where too few are left, some of the chosen ones are drawn again
    pool = others if len(others) >= n else list(range(base.n_layers))
    drawn = np.random.default_rng(SETTINGS.seed).choice(pool, size=n, replace=False)
    return {
        "chosen": chosen,
        "elsewhere": replace(chosen, layers=tuple(sorted(int(i) for i in drawn))),
        "largest": largest_lora(base),
        f"default x{SCALING:g}": replace(default_lora(base.n_layers), scaling=SCALING),
    }


def report(people: Mapping[str, Row], base: BaseModel) -> dict[str, object]:
    """Compare the test losses of each with those of the memory, over people."""
    return compared(people, MEMORY, base)


if __name__ == "__main__":
    main()
