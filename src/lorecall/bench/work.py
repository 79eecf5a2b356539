"""Cells done, by any number of processes: claim one, make its system, read it, add its line.

When all are done, memories are swapped in the same way, the replies of a cell at a time.

A claim is a lock that the operating system lets go of when its process ends, however it ends; so
what a killed process was doing is done by another, and nothing is done twice.
"""

import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from lorecall.bench.cells import (
    SCORES_FILE,
    Cell,
    CellScores,
    Failure,
    Task,
    cells_in,
    fail,
    failures,
    finish,
)
from lorecall.bench.people import (
    PersonSnapshot,
    another_user,
    keep_snapshot,
    load_person,
    snapshot_of,
)
from lorecall.bench.plan import BenchPlan
from lorecall.bench.reading import PartReading, read_fitted
from lorecall.bench.swaps import SWAPS_FILE, Swapping, finish_swap, memory_folder, swaps_of
from lorecall.core.files import locked
from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.lm.device import machine_name
from lorecall.metrics.overlap import persona_f1, persona_tokens
from lorecall.metrics.registry import Answers
from lorecall.metrics.scores import score_samples
from lorecall.systems.catalog import about
from lorecall.systems.contract import Budget, FittedSystem, System

_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A bench at work in one process; what failed in its session is not tried again in it.

    `bare` loads the base without the shared memory that is in it, if one is.
    """

    plan: BenchPlan
    folder: Path
    base: LanguageModel
    make: Callable[[str], System]
    session: str
    bare: Callable[[], LanguageModel] | None = None

    def settled(self) -> set[Task]:
        """Return what is finished, or failed in this session, without reading any scores."""
        finished = {Task(cell=cell) for cell in cells_in(self.folder / SCORES_FILE)}
        swapped = {Task(cell=cell, swapped=True) for cell in cells_in(self.folder / SWAPS_FILE)}
        return finished | swapped | set(failures(self.folder, session=self.session))

    def left(self) -> list[Task]:
        """Return what is still to be done, what someone works on among it.

        Memories are swapped when all of them are there.
        """
        settled = self.settled()
        cells = [Task(cell=cell) for cell in self.plan.cells()]
        if left := [task for task in cells if task not in settled]:
            return left
        swaps = swaps_of(self.plan, cells_in(self.folder / SCORES_FILE))
        return [t for t in (Task(cell=c, swapped=True) for c in swaps) if t not in settled]

    def work(
        self,
        *,
        on_task: Callable[[Task], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Do what is left until nothing is, waiting for what others work on.

        What cannot be done is noted, and the rest is done all the same.
        """
        while left := self.left():
            if not any(self._try(task, on_task) for task in left):
                if on_wait is not None:
                    on_wait()
                time.sleep(_POLL_S)

    def do(self, cell: Cell) -> None:
        """Do one cell: make its system for its user, read it, and count it as finished."""
        settings, source = self.plan.settings, self.plan.source(cell.dataset)
        n_samples = settings.history_samples
        person = load_person(source, cell.user, n_samples)
        control = another_user(source, cell.user)
        snapshot = snapshot_of(person, settings.test_samples, control=control)
        other = keep_snapshot(self.folder, cell, snapshot).control
        theirs = () if other is None else load_person(source, other, n_samples).split.own_content
        budget = Budget(train=settings.learn.train, seed=cell.seed)
        started = time.perf_counter()
        fitted = self.make(cell.system).fit(person, self.base, budget)
        fit_s = time.perf_counter() - started
        _check_trained_on(snapshot, fitted)
        reading = read_fitted(
            fitted, snapshot.tested, person=person, budget=budget, n_timed=settings.n_timed
        )
        scores = _scored(cell, snapshot, fitted, reading, theirs=theirs, fit_s=fit_s)
        scores = replace(scores, machine=machine_name(self.base.device))
        if cell.system in self.plan.swapped and fitted.memory is not None:
            fitted.memory.save(memory_folder(self.folder, cell))
        finish(self.folder, scores, reading.responses)

    def swap(self, cell: Cell) -> None:
        """Read a cell's replies with everyone's memory of its system."""
        swapping = Swapping(plan=self.plan, folder=self.folder, base=self.base, bare=self.bare)
        finish_swap(self.folder, swapping.read(cell))

    def _try(self, task: Task, on_task: Callable[[Task], None] | None) -> bool:
        """Do a task unless someone else is at it; say whether it is settled now."""
        with self._claimed(task) as held:
            if not held:
                return False
            if task not in self.left():  # it was finished between the look and the claim
                return True
            if on_task is not None:
                on_task(task)
            try:
                (self.swap if task.swapped else self.do)(task.cell)
            except Exception as reason:  # noqa: BLE001 - one's failure leaves the others be
                traceback.print_exc(file=sys.stderr)
                line = f"{type(reason).__name__}: {reason}"
                failure = Failure(
                    cell=task.cell, session=self.session, reason=line, swapped=task.swapped
                )
                fail(self.folder, failure)
        return True

    def _claimed(self, task: Task) -> AbstractContextManager[bool]:
        """Hold a task; cells that take one memory are held together, so that it is made once."""
        claims = self.folder / "claims"
        claims.mkdir(exist_ok=True)
        cell = task.cell
        made = replace(cell, system=about(cell.system).memory_of or cell.system)
        name = f"swap-{made.id}" if task.swapped else made.id
        return locked(claims / f"{name}.lock", wait=False)


def _check_trained_on(snapshot: PersonSnapshot, fitted: FittedSystem) -> None:
    if fitted.samples_sha256 != snapshot.samples_sha256:
        raise ConfigError(
            "a system learns from the user's own training samples and from nothing else",
            expected=f"samples with the hash {snapshot.samples_sha256[:12]}",
            got=fitted.samples_sha256[:12] or "none",
            next_step="Correct the system: its artefact names other samples.",
        )


def _scored(
    cell: Cell,
    snapshot: PersonSnapshot,
    fitted: FittedSystem,
    reading: PartReading,
    *,
    theirs: tuple[str, ...],
    fit_s: float,
) -> CellScores:
    """Score what was read, against the user's own content and another's."""
    own, other = persona_tokens(snapshot.own_content), persona_tokens(theirs)
    return CellScores(
        cell=cell,
        sample_ids=tuple(sample.id for sample in snapshot.tested),
        scores=score_samples(
            Answers(
                losses=reading.losses,
                responses=reading.responses,
                references=[sample.response for sample in snapshot.tested],
                persona=own,
            )
        ),
        persona_f1_other=tuple(persona_f1(r, other) for r in reading.responses) if theirs else (),
        n_persona=len(own),
        n_persona_other=len(other),
        prompt_tokens=reading.prompt_tokens,
        extra_prompt_tokens=reading.extra_prompt_tokens,
        latency_s=reading.latency_s,
        read_s=reading.seconds,
        fit_s=fit_s,
        train_s=fitted.train_s,
        n_bytes=fitted.n_bytes,
        facts=dict(fitted.facts),
        n_train=snapshot.n_train,
        samples_sha256=snapshot.samples_sha256,
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        theta=fitted.theta,
    )
