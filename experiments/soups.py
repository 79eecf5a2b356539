"""Is the mean of memories that were trained in full better than the best of them?

A search's finalists are trained in full, and all but one are thrown away. Their updates could be
averaged instead: the mean of several s B A of eq. (1) on a linear is one pair of the stacked A and
B, with no more tokens in a prompt. For every person of a table are trained:

- largest: as large a LoRA as there may be, on all layers.
- default x8: the LoRA of rank 8 on all layers, at scaling 8 instead of the paper's 1.
- again: the same with another seed, for what two trainings of one theta come to.

Beside them stand the soups: the two thetas in equal parts, the two seeds in equal parts, and all
three. Writes `results/soups.json` after every person, so that it may be stopped.

Source: Wortsman et al. (2022), "Model soups: averaging weights of multiple fine-tuned models
improves accuracy without increasing inference time", who average whole weights.

    python experiments/soups.py experiments/tables/chitchat-further
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from statistics import fmean

import torch
from full_trainings import SCALING, SETTINGS, facts_of, read_in_full
from memories import Chosen, Row, compared, over_people, thetas_of
from torch import Tensor

from lorecall import BaseModel, InjectionConfig, load_history
from lorecall.data.history import split_history
from lorecall.records import default_lora
from lorecall.systems.lora import largest_lora
from lorecall.train.trial import Trials

OUT = Path(__file__).parent / "results" / "soups.json"
LARGEST, SMALL, AGAIN = "largest", f"default x{SCALING:g}", "again"
SOUPS = {
    "two thetas": (LARGEST, SMALL),
    "two seeds": (SMALL, AGAIN),
    "all": (LARGEST, SMALL, AGAIN),
}

Pairs = Mapping[str, Tensor]


def main() -> None:
    """Train every person's memories and read them and their soups, then compare."""
    over_people(OUT, __doc__, among=thetas_of, of_person=of_person, report=report)


def of_person(base: BaseModel, chosen: Chosen) -> Row:
    """Train one person's memories in full, and read each and every soup."""
    split = split_history(load_history(chosen.dataset, user=chosen.user))
    first, second = (
        Trials(base, settings=SETTINGS.train, seed=SETTINGS.seed + i) for i in range(2)
    )
    data = first.data(split, split.train)
    test = first.encode(split.test, past=split.train)
    small = replace(default_lora(base.n_layers), scaling=SCALING)
    made: dict[str, tuple[InjectionConfig, Pairs]] = {}
    rows: dict[str, Row] = {}
    for name, theta, trials in (
        (LARGEST, largest_lora(base), first),
        (SMALL, small, first),
        (AGAIN, small, second),
    ):
        trained = trials.train(theta, data)
        made[name] = (theta, trained.tensors)
        rows[name] = read_in_full(first, *made[name], test) | facts_of(trained)
    for name, parts in SOUPS.items():
        soup = soup_of([made[part] for part in parts])
        rows[name] = read_in_full(first, *soup, test)
    return {"systems": rows, "mean": {name: fmean(row["test"]) for name, row in rows.items()}}


def soup_of(
    memories: Sequence[tuple[InjectionConfig, Pairs]],
) -> tuple[InjectionConfig, dict[str, Tensor]]:
    """Average memories: on every linear one pair whose update is the mean of theirs.

    Args:
        memories: Theta and pairs of each, all on the same linears and tokens.

    Returns:
        As many modules of the lowest rank among them on every layer as hold all of them (where a
        layer has less, the rest is zero) at a scaling of 1, and its pairs.
    """
    configs = [config for config, _ in memories]
    ranks = [config.ranks() for config in configs]
    layers = tuple(sorted({layer for each in ranks for layer in each}))
    unit = min(config.rank for config in configs)
    n = ceil(max(sum(each.get(layer, 0) for each in ranks) for layer in layers) / unit)
    soup = InjectionConfig(
        layers=layers, n_loras=n, rank=unit, placement="every", inject=configs[0].inject
    )
    stacked: dict[str, Tensor] = {}
    for key in sorted({name for _, pairs in memories for name in pairs}):
        halves = [
            # the mean of s B A: the weights are put into B, whose columns stack; A's rows do
            pairs[key].T * config.scaling / len(memories) if key.endswith(".up") else pairs[key]
            for config, pairs in memories
            if key in pairs
        ]
        whole = torch.cat(halves)
        whole = torch.cat([whole, whole.new_zeros(n * unit - len(whole), whole.shape[1])])
        stacked[key] = whole.T.contiguous() if key.endswith(".up") else whole
    return soup, stacked


def report(people: Mapping[str, Row], base: BaseModel) -> dict[str, object]:
    """Compare the test losses of each with those of the largest LoRA, over people."""
    return compared(people, LARGEST, base)


if __name__ == "__main__":
    main()
