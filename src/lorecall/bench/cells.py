"""Cells: one system for one user with one seed, and what is finished of them.

What is finished is a line a cell, its answers in a file of its own:

```
DIR/scores.jsonl          a line a finished cell, only ever added to
DIR/failures.jsonl        a line a cell that failed; it is tried again by the next start
DIR/cells/CELL.json       the answers of a finished cell, not masked
DIR/claims/TASK.lock      held by the process that works on a task, for as long as it lives
```

A line that was torn off by a killing does not count: its cell is done again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from lorecall.core.files import read_json, write_json
from lorecall.core.jsonl import append_records, whole_records
from lorecall.errors import RunError
from lorecall.records import InjectionConfig

SCORES_FILE = "scores.jsonl"
FAILURES_FILE = "failures.jsonl"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One system for one user with one seed.

    Examples:
        >>> from lorecall.bench import Cell
        >>> str(Cell(dataset="chitchat", user="4fde054d", seed=0, system="memory"))
        'memory for 4fde054d of chitchat, seed 0'
    """

    dataset: str
    user: str
    seed: int
    system: str

    @property
    def id(self) -> str:
        """Name the cell in files: readable, and unlike any other's."""
        parts = (self.dataset, self.user, f"s{self.seed}", self.system)
        readable = "-".join(re.sub(r"[^\w+:-]+", "_", part)[-24:] for part in parts)
        digest = sha256("\n".join(parts).encode()).hexdigest()
        return f"{readable}-{digest[:8]}"

    def is_beside(self, other: "Cell") -> bool:
        """Whether another cell is of another person, and else the same."""
        return self.user != other.user and replace(self, user=other.user) == other

    def __str__(self) -> str:
        return f"{self.system} for {self.user[:12]} of {self.dataset}, seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one process does at a time: a cell, or its replies read with swapped memories."""

    cell: Cell
    swapped: bool = False

    def __str__(self) -> str:
        return f"{self.cell}{', memories swapped' if self.swapped else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellScores:
    """What one finished cell found; values of samples are in the order of `sample_ids`.

    Args:
        cell: Which.
        sample_ids: The test samples.
        scores: metric -> its value of each.
        persona_f1_other: Persona F1 against the content of another user; empty without one.
        n_persona: |H|.
        n_persona_other: |H| of the other user.
        prompt_tokens: Of each sample.
        extra_prompt_tokens: By how much the prompts are longer than the base's.
        latency_s: Median time of one reply.
        read_s: Time to read and answer all samples.
        fit_s: Time to make the system, all told.
        train_s: What of it was training or searching.
        n_bytes: What is stored for the user.
        facts: What else the system reports.
        n_train: Training samples.
        samples_sha256: Hash of them.
        finished_at: In UTC, ISO 8601.
        machine: What it ran on; empty in lines of before this was kept.
        theta: Where and how a memory was injected; None without one, or before this was kept.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import finished_cells
        >>> first = finished_cells(Path("bench"))[0]
        >>> len(first.sample_ids) == len(first.scores["rougeL"]) == len(first.prompt_tokens)
        True
    """

    cell: Cell
    sample_ids: tuple[str, ...]
    scores: Mapping[str, tuple[float, ...]]
    persona_f1_other: tuple[float, ...]
    n_persona: int
    n_persona_other: int
    prompt_tokens: tuple[int, ...]
    extra_prompt_tokens: tuple[int, ...]
    latency_s: float
    read_s: float
    fit_s: float
    train_s: float
    n_bytes: int
    facts: dict[str, float]
    n_train: int
    samples_sha256: str
    finished_at: str
    machine: str = ""
    theta: InjectionConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A task that could not be done, in which session of work, and why.

    `swapped` where it was to read a cell's replies with swapped memories.

    Examples:
        >>> from lorecall.bench import Cell, Failure
        >>> cell = Cell(dataset="chitchat", user="4fde054d", seed=0, system="memory")
        >>> failure = Failure(cell=cell, session="night", reason="OSError: no space left on device")
        >>> f"{failure.cell}: {failure.reason}"
        'memory for 4fde054d of chitchat, seed 0: OSError: no space left on device'
    """

    cell: Cell
    session: str
    reason: str
    swapped: bool = False

    @property
    def task(self) -> Task:
        """Return what could not be done."""
        return Task(cell=self.cell, swapped=self.swapped)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfCell:
    """Any line about a cell; what else is in it is passed over."""

    cell: Cell


def finished_cells(folder: Path) -> list[CellScores]:
    """Read what is finished, each cell once.

    Raises:
        RunError: A line that is no cell's.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import finished_cells
        >>> first = finished_cells(Path("bench"))[0]
        >>> first.cell.system, sorted(first.scores)
        ('vanilla', ['loss', 'persona_f1', 'rouge1', 'rougeL'])
    """
    found: dict[Cell, CellScores] = {}
    for scores in _read(folder / SCORES_FILE, CellScores):
        found.setdefault(scores.cell, scores)
    return list(found.values())


def cells_in(path: Path) -> set[Cell]:
    """Return which cells a file has lines of, without reading what else is in them."""
    return {line.cell for line in _read(path, _OfCell)}


def failures(folder: Path, *, session: str) -> dict[Task, Failure]:
    """Read what failed in a session."""
    found = _read(folder / FAILURES_FILE, Failure)
    return {failure.task: failure for failure in found if failure.session == session}


def finish(folder: Path, scores: CellScores, responses: Sequence[str]) -> None:
    """Keep a cell's answers, then count it as finished."""
    write_json(answers_file(folder, scores.cell), {"responses": list(responses)})
    append_records(folder / SCORES_FILE, [scores])


def fail(folder: Path, failure: Failure) -> None:
    """Note a task that failed."""
    append_records(folder / FAILURES_FILE, [failure])


def responses_of(folder: Path, cell: Cell) -> tuple[str, ...]:
    """Read the answers of a finished cell, in the order of its samples.

    Raises:
        RunError: They are not there.
    """
    path = answers_file(folder, cell)
    again = f"Take the cell's line out of {folder / SCORES_FILE} to have it done again."
    value = read_json(path, what="a cell's answers", error=RunError, next_step=again)
    return TypeAdapter(tuple[str, ...]).validate_python(value["responses"])


def answers_file(folder: Path, cell: Cell) -> Path:
    """Return where a cell's answers are."""
    return folder / "cells" / f"{cell.id}.json"


def _read(path: Path, kind: type[_T]) -> list[_T]:
    again = "Take the line out: its cell is then done again."
    return whole_records(path, kind, error=RunError, next_step=again)
