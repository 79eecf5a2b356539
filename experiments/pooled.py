"""Several tables of one dataset as one: the systems that all of them have, over everyone's people.

Reads the `run.json`, `scores.jsonl` and, where memories were swapped, `swaps.jsonl` of folders in
`tables/` and prints the numbers as a bench would, as Markdown. No person may be in two of them.

    python experiments/pooled.py experiments/tables/chitchat experiments/tables/chitchat-further
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lorecall.bench import (
    BenchPlan,
    View,
    dataset_view,
    finished_cells,
    finished_swaps,
    personal_rows,
    read_plan,
    tabulate,
    to_markdown,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the pooled tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+", help="folders of one dataset")
    folders = parser.parse_args(arguments).tables
    plan = pooled([read_plan(folder)[1] for folder in folders])
    wanted = set(plan.cells())
    cells = [scores for folder in folders for scores in finished_cells(folder)]
    (numbers,) = tabulate(plan, [scores for scores in cells if scores.cell in wanted])
    swapped = [reading for folder in folders for reading in finished_swaps(folder)]
    personal = personal_rows(plan, numbers.dataset, swapped)
    view = View(
        facts={"Tables": ", ".join(folder.name for folder in folders)},
        warnings=(),
        datasets=(dataset_view(numbers, (), (), personal=personal),),
        systems={},
        settings={},
        versions={},
    )
    print(to_markdown(view))


def pooled(plans: Sequence[BenchPlan]) -> BenchPlan:
    """Return one plan of all people and the systems that all have.

    Raises:
        SystemExit: They are not of one dataset, one preset and the same seeds, or share a person.
    """
    first = plans[0]
    alike = {(p.seeds, p.settings.preset, *(s.name for s in p.sources)) for p in plans}
    if len(alike) > 1 or len(first.sources) != 1:
        raise SystemExit("tables must be of one dataset, one preset and the same seeds")
    users = [user for plan in plans for user in plan.sources[0].users]
    if len({*users}) < len(users):
        raise SystemExit("a person must be in one of the tables alone")
    common = set(first.systems).intersection(*(plan.systems for plan in plans))
    return replace(
        first,
        sources=(replace(first.sources[0], users=tuple(users)),),
        systems=tuple(system for system in first.systems if system in common),
    )


if __name__ == "__main__":
    main()
