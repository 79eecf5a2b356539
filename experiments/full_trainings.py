"""Does theta matter once it is trained in full? Chosen by a search against not, and scalings.

For every person of a table, thetas are trained on the whole training part as a memory is at the
end, and the losses of the validation and the test samples read at the best point:

- chosen: what the person's search chose.
- elsewhere: as many modules of that rank on as many other layers, drawn at random.
- largest, default: the LoRAs on all layers that need no search.

each at the paper's scaling (1) and, but for `elsewhere`, at larger ones. Writes
`results/full_trainings.json` after every person, so that it may be stopped.

    python experiments/full_trainings.py experiments/tables/chitchat-further
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
from memories import Chosen, Row, over_people, thetas_of

from lorecall import BaseModel, InjectionConfig, load_history, preset
from lorecall.baselines.lora import largest_lora
from lorecall.data.history import split_history
from lorecall.lm.inject import Injection
from lorecall.metrics.paired import Resampled, sign_flip_test
from lorecall.records import Interval, default_lora
from lorecall.trial.run import Trials

OUT = Path(__file__).parent / "results" / "full_trainings.json"
SETTINGS = preset("laptop")
SCALINGS = {"chosen": (1.0, 4.0), "elsewhere": (1.0,), "largest": (1.0, 4.0), "default": (1.0, 8.0)}
FIRST = "chosen x1"


def main() -> None:
    """Train and read every person's thetas, then compare."""
    over_people(OUT, __doc__, among=thetas_of, of_person=of_person, report=report)


def of_person(base: BaseModel, chosen: Chosen) -> Row:
    """Train one person's thetas in full."""
    split = split_history(load_history(chosen.dataset, user=chosen.user))
    trials = Trials(base, settings=SETTINGS.train, seed=SETTINGS.seed)
    data = trials.data(split, split.train)
    test = trials.encode(split.test, past=split.train)
    rows: dict[str, Row] = {}
    for name, theta in thetas(base, chosen.theta).items():
        trained = trials.train(theta, data)
        with Injection(base, theta) as injection:
            injection.load(trained.tensors)
            losses = trials.losses(test, injection=injection)
        rows[name] = {
            "valid": trained.report.best.loss,
            "test": list(losses),
            "curve": list(trained.report.points),
            "n_parameters": trained.n_parameters,
            "seconds": trained.report.seconds,
        }
    mean = {name: {"valid": row["valid"], "test": fmean(row["test"])} for name, row in rows.items()}
    return {"thetas": rows, "mean": mean}


def thetas(base: BaseModel, chosen: InjectionConfig) -> dict[str, InjectionConfig]:
    """Give all thetas of a person by their names."""
    others = [i for i in range(base.n_layers) if i not in chosen.layers]
    n = len(chosen.layers)
    # where too few are left, some of the chosen ones are drawn again
    pool = others if len(others) >= n else list(range(base.n_layers))
    drawn = np.random.default_rng(SETTINGS.seed).choice(pool, size=n, replace=False)
    known = {
        "chosen": chosen,
        "elsewhere": replace(chosen, layers=tuple(sorted(int(i) for i in drawn))),
        "largest": largest_lora(base),
        "default": default_lora(base.n_layers),
    }
    return {
        f"{name} x{scaling:g}": replace(theta, scaling=scaling)
        for name, theta in known.items()
        for scaling in SCALINGS[name]
    }


def report(people: Mapping[str, Row], base: BaseModel) -> dict[str, object]:
    """Compare the test losses of each theta with those of the chosen one, over people."""
    names = list(next(iter(people.values()))["thetas"])
    tested = [
        np.array([row["thetas"][name]["test"] for name in names]).T for row in people.values()
    ]
    resampled = Resampled(tested)
    first = names.index(FIRST)
    valid = [[row["mean"][name]["valid"] for name in names] for row in people.values()]
    return {
        "settings": {"model": base.name, "dtype": str(base.dtype), "preset": "laptop"},
        "n_people": len(people),
        "n_samples": sum(len(each) for each in tested),
        "valid": dict(zip(names, np.mean(valid, axis=0).tolist(), strict=True)),
        "test": {
            name: {
                "mean": as_json(resampled.mean(i)),
                f"less {FIRST}": as_json(resampled.difference(i, first)),
                "p": sign_flip_test([float((x[:, i] - x[:, first]).mean()) for x in tested]),
            }
            for i, name in enumerate(names)
        },
        "people": dict(people),
    }


def as_json(interval: Interval) -> list[float]:
    """Give an interval as value, low and high."""
    return [interval.value, interval.low, interval.high]


if __name__ == "__main__":
    main()
