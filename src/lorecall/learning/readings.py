"""What is made of a person's test part: by the base, with what is shared, one's own, another's.

Every reading is a stage of the run. Other people's memories are trained here to be read; they are
not kept.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from pydantic import TypeAdapter

from lorecall.learning.held_out import HeldOut, PickedReading, SystemReading
from lorecall.learning.others import candidates_of
from lorecall.learning.result import RunSystem
from lorecall.learning.run import FitSummary, Run
from lorecall.memory.memory import StoredMemory
from lorecall.memory.shared import load_bare
from lorecall.records import InjectionConfig, Split, default_lora
from lorecall.settings import TrainSettings
from lorecall.train.fit import FittedMemory, fit_memory

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Everything that was read of one person's test part.

    Args:
        systems: All but other people's memories, by name.
        others: With each other person's memory, by their ids.
        picked: What was picked; None where there were not replies enough of others.
    """

    systems: Mapping[RunSystem, SystemReading]
    others: Mapping[str, SystemReading]
    picked: PickedReading | None


def read_without(run: Run, test: HeldOut) -> dict[RunSystem, SystemReading]:
    """Read the test without anything of the person: with the base, and with what is shared."""
    if run.base.shared is None:
        return {"base": _reading(run, "base", test.read, doing="reading the base")}
    bare = partial(_read_bare, run)
    return {
        "base": _reading(run, "base", bare, doing="reading the base without the shared memory"),
        "shared": _reading(run, "shared", test.read, doing="reading the shared memory"),
    }


def read_own(run: Run, test: HeldOut, memory: StoredMemory, fit: FitSummary) -> SystemReading:
    """Read the test with the memory that is stored."""
    return _reading(run, "own", partial(test.read, memory, fit), doing="reading the memory")


def read_default_lora(run: Run, test: HeldOut) -> SystemReading:
    """Train the control that isolates the search, and read it."""
    theta = default_lora(run.base.n_layers, inject=run.settings.search.inject)

    def train_and_read() -> SystemReading:
        fitted = _fitted(run, theta, run.split, run.settings.train)
        return test.read(fitted.memory, FitSummary.of(fitted))

    return _reading(run, "default-lora", train_and_read, doing="training the default LoRA")


def read_others(
    run: Run, test: HeldOut, others: Sequence[Split], theta: InjectionConfig
) -> dict[str, SystemReading]:
    """Train a memory of like size for other people, and read this person's test with each.

    Args:
        run: The run.
        test: This person's test part.
        others: The other people; queries are answered with the memory of the first.
        theta: The person's own.
    """
    free = replace(run.settings.train, reply_length="free")  # where nothing is answered

    def train_and_read(other: Split, *, answers: bool) -> SystemReading:
        fitted = _fitted(run, theta, other, run.settings.train if answers else free)
        return test.read_other(fitted.memory, FitSummary.of(fitted), answers=answers)

    doing = "training another person's memory, to compare"
    return {
        other.user: _reading(
            run, f"other-{k}", partial(train_and_read, other, answers=k == 1), doing=doing
        )
        for k, other in enumerate(others, start=1)
    }


def read_picked(
    run: Run, test: HeldOut, others: Sequence[Split], memory: StoredMemory
) -> PickedReading | None:
    """Tell the person's replies from other people's; None where those have too few."""
    rows = candidates_of(run.split, others, seed=run.settings.seed)
    if not rows:
        run.reporter.skip()
        return None
    doing = "telling the person's replies from other people's"
    pick = partial(test.pick, rows, memory)
    return _kept(run, "which-of-eight", pick, doing=doing, kind=PickedReading)


def _read_bare(run: Run) -> SystemReading:
    """Read the test with the base as it was before the shared memory, which is loaded for it."""
    bare = load_bare(run.base)
    read = HeldOut(bare, run.split, run.settings.train).read()
    del bare
    gc.collect()  # it refers to itself, and is as large as the base that stays
    return read


def _fitted(
    run: Run, theta: InjectionConfig, split: Split, settings: TrainSettings
) -> FittedMemory:
    return fit_memory(
        theta,
        split,
        run.base,
        settings=settings,
        seed=run.settings.seed,
        on_step=run.reporter.advance,
    )


def _reading(
    run: Run, name: str, make: Callable[[], SystemReading], *, doing: str
) -> SystemReading:
    return _kept(run, name, make, doing=doing, kind=SystemReading)


def _kept(run: Run, name: str, make: Callable[[], T], *, doing: str, kind: type[T]) -> T:
    """Return what a finished stage left, or do it and leave what it found."""
    adapter = TypeAdapter(kind)
    if (left := run.folder.stage(name)) is not None:
        run.reporter.skip()
        return adapter.validate_python(left)
    run.reporter.doing(doing)
    found = make()
    run.folder.save_stage(name, adapter.dump_python(found, mode="json"))
    run.reporter.finish()
    return found
