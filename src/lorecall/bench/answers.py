"""What the systems answered: pairs for a judge, and a few cases to read.

```
DIR/pairs/DATASET--A--B.jsonl     A is our memory and B another system, or A another and B vanilla
```
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lorecall.bench.cells import Cell, CellScores, responses_of
from lorecall.bench.people import PersonSnapshot, read_snapshot
from lorecall.bench.plan import BenchPlan
from lorecall.core.jsonl import write_records
from lorecall.judge.pairs import Pair
from lorecall.metrics.overlap import persona_tokens
from lorecall.records import Turn
from lorecall.report.words import masked_line
from lorecall.systems.about import VANILLA, headline
from lorecall.systems.catalog import about

N_CASES = 5
N_ABOUT = 2
_APART = " | "  # between the parts of a pair's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test query with the true answer and every system's, masked, each on one line.

    `about` holds what of the user's own content shares most words with the query, `earlier` the
    turns before it.
    """

    user: str
    earlier: tuple[Turn, ...]
    about: tuple[str, ...]
    query: str
    truth: str
    responses: Mapping[str, str]


def write_pair_files(folder: Path, plan: BenchPlan, finished: Sequence[CellScores]) -> list[Path]:
    """Write a file of pairs for each two systems whose answers a judge is to compare.

    Not masked: a judge masks what it is shown.
    """
    done = {scores.cell for scores in finished}
    written: list[Path] = []
    for source in plan.sources:
        for a, b in _compared(plan.systems):
            pairs = [
                pair
                for cell in plan.cells()
                if (cell.dataset, cell.system) == (source.name, a)
                for pair in _pairs(folder, cell, b, done)
            ]
            if pairs:
                name = re.sub(r"[^\w.:+-]+", "_", f"{Path(source.name).stem}--{a}--{b}")
                path = folder / "pairs" / f"{name}.jsonl"
                write_records(path, pairs)
                written.append(path)
    return written


def dataset_of(pair_id: str) -> str:
    """Read off a pair's id which dataset it is of."""
    return pair_id.partition(_APART)[0]


def cases(
    folder: Path, plan: BenchPlan, dataset: str, finished: Sequence[CellScores]
) -> tuple[Case, ...]:
    """Return a few cases: the middle test query of one user after another, picked by no answer."""
    own = [s.cell for s in finished if (s.cell.dataset, s.cell.seed) == (dataset, plan.seeds[0])]
    users = [user for user in plan.source(dataset).users if any(c.user == user for c in own)]
    rounds = -(-N_CASES // max(1, len(users)))
    chosen: dict[tuple[str, int], Case] = {}
    for i in range(N_CASES if users else 0):
        user, turn = users[i % len(users)], i // len(users)
        cells = [cell for cell in plan.cells() if cell in own and cell.user == user]
        snapshot = read_snapshot(folder, cells[0])
        at = len(snapshot.tested) * (turn + 1) // (rounds + 1)
        chosen[user, at] = _case(folder, snapshot, at, cells)
    return tuple(chosen.values())


def _case(folder: Path, snapshot: PersonSnapshot, at: int, cells: Sequence[Cell]) -> Case:
    sample = snapshot.tested[at]
    return Case(
        user=snapshot.user,
        earlier=tuple(replace(turn, text=masked_line(turn.text)) for turn in sample.earlier),
        about=tuple(map(masked_line, _related(snapshot.own_content, sample.query))),
        query=masked_line(sample.query),
        truth=masked_line(sample.response),
        responses={cell.system: masked_line(responses_of(folder, cell)[at]) for cell in cells},
    )


def _related(content: Sequence[str], query: str) -> list[str]:
    wanted = persona_tokens([query])
    shared = {text: len(wanted & persona_tokens([text])) for text in content}
    ranked = sorted((text for text, n in shared.items() if n), key=lambda text: -shared[text])
    return ranked[:N_ABOUT]


def _compared(systems: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Return our memory against every other, and every other against the base; no ablations."""
    main = [system for system in systems if not about(system).is_ablation]
    ours = headline(main) if any(about(system).is_memory for system in main) else None
    if ours is not None:
        yield from ((ours, system) for system in main if system != ours)
    if VANILLA in main:
        yield from ((system, VANILLA) for system in main if system not in (VANILLA, ours))


def _pairs(folder: Path, cell: Cell, other: str, done: set[Cell]) -> Iterator[Pair]:
    beside = Cell(dataset=cell.dataset, user=cell.user, seed=cell.seed, system=other)
    if not {cell, beside} <= done:
        return
    snapshot = read_snapshot(folder, cell)
    answers = zip(responses_of(folder, cell), responses_of(folder, beside), strict=True)
    for sample, (mine, theirs) in zip(snapshot.tested, answers, strict=True):
        parts = (cell.dataset, cell.user, str(cell.seed), sample.id, cell.system, other)
        yield Pair(
            id=_APART.join(parts),
            user=cell.user,
            query=sample.query,
            truth=sample.response,
            system_a=cell.system,
            system_b=other,
            response_a=mine,
            response_b=theirs,
            earlier=sample.earlier,
            user_content=snapshot.own_content,
            authored_by=sample.authored_by,
        )
