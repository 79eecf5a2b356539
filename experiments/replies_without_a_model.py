"""What ROUGE-L says of replies that no model made: how far the metric tells systems apart here.

For every person of some tables, the test queries are answered without reading them:

- random: a reply of the person's training part, drawn anew for each (the mean of 20 draws).
- another's: the same, of the next person in the table.
- constant: one and the same to all, the training reply that agrees best with the others by ROUGE-L.
- oracle: the training reply nearest to the true response, which no system knows.

They stand beside the table's systems. Writes `results/replies_without_a_model.json`.

    python experiments/replies_without_a_model.py experiments/tables/chitchat
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from decoding import most_agreed
from memories import apart
from numpy.typing import NDArray

from lorecall import load_history
from lorecall.bench.render import read_plan
from lorecall.bench.scores import finished_cells
from lorecall.core.files import write_json
from lorecall.data.history import split_history
from lorecall.metrics.overlap import persona_f1, persona_tokens, rouge
from lorecall.records import Split
from lorecall.systems.searched import MEMORY

OUT = Path(__file__).parent / "results" / "replies_without_a_model.json"
N_DRAWS = 20
WAYS = ("random", "another's", "constant", "oracle")
METRICS = ("rougeL", "persona_f1")
Values = dict[str, list[float]]
Scores = dict[str, Values]


def main() -> None:
    """Score everyone's and compare with what the tables have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", type=Path, nargs="+")
    options = parser.parse_args()
    people: list[Scores] = []
    systems: set[str] | None = None
    for table in options.tables:
        found = of_table(table)
        people += found
        names = set.intersection(*(set(person) for person in found))
        systems = names if systems is None else systems & names
    result = compared(people, sorted(systems or ()))
    write_json(OUT, {"tables": [table.name for table in options.tables]} | result)
    print(json.dumps(result, indent=1))


def of_table(table: Path) -> list[Scores]:
    """Give each person's scores: of the table's systems, and of the replies without a model."""
    source, cells = read_plan(table)[1].sources[0], finished_cells(table)
    splits = {user: split_history(load_history(source.name, user=user)) for user in source.users}
    people: list[Scores] = []
    for at, user in enumerate(source.users):
        other = splits[source.users[(at + 1) % len(source.users)]]
        own = {
            cell.cell.system: {metric: [*getattr(cell.scores, metric)] for metric in METRICS}
            for cell in cells
            if cell.cell.user == user
        }
        people.append(own | without_a_model(splits[user], other))
    return people


def without_a_model(split: Split, other: Split) -> Scores:
    """Score the test of one person, answered without reading the queries."""
    own, others = ([s.response for s in part.train] for part in (split, other))
    persona = persona_tokens(split.own_content)
    true = [sample.response for sample in split.test]
    # rows: replies of the training part; columns: what they are held against
    to_test = np.array([rouge([reply] * len(true), true).rouge_l for reply in own])
    constant = own.index(most_agreed(own))
    f1 = np.array([persona_f1(reply, persona) for reply in own])
    words = np.array([float(len(reply.split())) for reply in own])
    nearest, alike = to_test.argmax(axis=0), np.full(len(true), constant)
    return {
        "random": _drawn(own, true, persona),
        "another's": _drawn(others, true, persona),
        "constant": _values(to_test[constant], f1[alike], words[alike]),
        "oracle": _values(to_test[nearest, np.arange(len(true))], f1[nearest], words[nearest]),
    }


def _drawn(replies: Sequence[str], true: Sequence[str], persona: frozenset[str]) -> Values:
    rng = random.Random(0)
    draws = [rng.choices(replies, k=len(true)) for _ in range(N_DRAWS)]
    overlap = np.array([rouge(drawn, true).rouge_l for drawn in draws])
    f1 = np.array([[persona_f1(reply, persona) for reply in drawn] for drawn in draws])
    words = np.array([[len(reply.split()) for reply in drawn] for drawn in draws])
    return _values(overlap.mean(axis=0), f1.mean(axis=0), words.mean(axis=0))


def _values(
    rouge_l: NDArray[np.float64], f1: NDArray[np.float64], words: NDArray[np.float64]
) -> Values:
    return {"rougeL": rouge_l.tolist(), "persona_f1": f1.tolist(), "words": words.tolist()}


def compared(people: Sequence[Scores], names: Sequence[str]) -> dict[str, object]:
    """Compare everything with the memory, over people."""
    return {
        "n_people": len(people),
        "n_test": sum(len(person[WAYS[0]]["rougeL"]) for person in people),
        "words": {way: fmean(fmean(person[way]["words"]) for person in people) for way in WAYS},
        "test": {
            metric: apart(
                [np.array([person[name][metric] for name in names]).T for person in people],
                names,
                against=MEMORY,
                label=f"less the {MEMORY}",
            )
            for metric in METRICS
        },
    }


if __name__ == "__main__":
    main()
