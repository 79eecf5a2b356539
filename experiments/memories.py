"""What experiments over the people of a bench share: whom they read, and where their rows go."""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from machine import machine
from numpy.typing import NDArray

from lorecall import BaseModel, InjectionConfig, Memory
from lorecall.bench.scores import finished_cells
from lorecall.core.files import write_json
from lorecall.core.jsonl import whole_records
from lorecall.errors import DataError
from lorecall.lm.device import set_threads
from lorecall.metrics.paired import Resampled, sign_flip_test
from lorecall.records import Interval
from lorecall.systems.searched import MEMORY

Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What one user's search chose, and the test losses of all systems, the memory among them."""

    dataset: str
    user: str
    theta: InjectionConfig
    losses: Mapping[str, tuple[float, ...]]


def memories_of(folder: Path) -> Iterator[tuple[str, Memory]]:
    """Give every user's memory, of a bench's folder `memories`."""
    for path in sorted(folder.iterdir()):
        memory = Memory.load(path)
        yield memory.manifest.training.user, memory


def thetas_of(folder: Path) -> Iterator[tuple[str, Chosen]]:
    """Give what every user's search chose, of a bench or a table of it; its cells must tell it."""
    cells = finished_cells(folder)
    for scores in cells:
        cell, theta = scores.cell, scores.theta
        if cell.system == MEMORY and theta is not None:
            of_user = [c for c in cells if replace(c.cell, system=MEMORY) == cell]
            losses = {c.cell.system: c.scores.loss for c in of_user}
            yield (
                cell.user,
                Chosen(dataset=cell.dataset, user=cell.user, theta=theta, losses=losses),
            )


def kept_rows(path: Path, kind: type[T], key: Callable[[T], object]) -> list[T]:
    """Give what is there of rows that processes share, the first where two of them met.

    Args:
        path: Lines of `append_records`.
        kind: What a line holds.
        key: What a row is of.

    Raises:
        DataError: A line is no such row.
    """
    found: dict[object, T] = {}
    for row in whole_records(path, kind, error=DataError, next_step="Remove the line."):
        found.setdefault(key(row), row)
    return list(found.values())


def over_people(
    out: Path,
    doc: str | None,
    *,
    among: Callable[[Path], Iterator[tuple[str, T]]],
    of_person: Callable[[BaseModel, T], Row],
    report: Callable[[dict[str, Row], BaseModel], Mapping[str, object]],
) -> None:
    """Read every person that is not in the results yet, and write what is known after each.

    Args:
        out: The results; its `people` are kept.
        doc: What the command line says of itself.
        among: Gives whom there are in the folder that the command line names.
        of_person: Gives a person's row, with its means as `mean`.
        report: Puts all rows together; the machine is added to it.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("folder", type=Path, help="a bench's, or what the text above says of it")
    parser.add_argument("--people", type=int, help="at most so many")
    options = parser.parse_args()
    set_threads()
    base = BaseModel.load()
    known: dict[str, Row] = json.loads(out.read_text())["people"] if out.exists() else {}
    for user, person in islice(among(options.folder), options.people):
        if user not in known:
            known[user] = of_person(base, person)
            write_json(out, {"machine": machine(), **report(known, base)})
            print(user, json.dumps(known[user]["mean"], indent=1), flush=True)


def compared(people: Mapping[str, Row], against: str, base: BaseModel) -> dict[str, object]:
    """Compare the test losses of a person's systems with those of one of them, over people.

    Args:
        people: Rows whose `systems` have the same names, each with its losses as `test`.
        against: The one that the others are compared with.
        base: What they were trained on, by the laptop preset.
    """
    names = list(next(iter(people.values()))["systems"])
    tested = [
        np.array([row["systems"][name]["test"] for name in names]).T for row in people.values()
    ]
    return {
        "settings": {"model": base.name, "dtype": str(base.dtype), "preset": "laptop"},
        "n_people": len(people),
        "n_samples": sum(len(each) for each in tested),
        "test": apart(tested, names, against=against, label=f"less the {against}"),
        "people": dict(people),
    }


def apart(
    tested: Sequence[NDArray[np.float64]], names: Sequence[str], *, against: str, label: str
) -> dict[str, Row]:
    """Give the mean of each name over people, and its difference to one of them.

    Args:
        tested: One a person. *Shape:* (samples, names).
        names: Theirs.
        against: The one that the others are compared with.
        label: What the difference is called.

    Returns:
        name -> means with intervals, p, and for how many people it is the higher one.
    """
    resampled, one = Resampled(tested), names.index(against)
    own = [[float((x[:, i] - x[:, one]).mean()) for x in tested] for i in range(len(names))]
    return {
        name: {
            "mean": as_json(resampled.mean(i)),
            label: as_json(resampled.difference(i, one)),
            "p": sign_flip_test(own[i]),
            "more than": sum(difference > 0 for difference in own[i]),
        }
        for i, name in enumerate(names)
    }


def as_json(interval: Interval) -> list[float]:
    """Give an interval as value, low and high."""
    return [interval.value, interval.low, interval.high]
