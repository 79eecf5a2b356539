"""Cells done, by any number of processes: claim one, make its system, read it, add its line.

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

from lorecall.bench.cells import Cell, CellScores, Failure, fail, finish, settled_cells
from lorecall.bench.people import (
    PersonSnapshot,
    another_user,
    keep_snapshot,
    load_person,
    snapshot_of,
)
from lorecall.bench.plan import BenchPlan
from lorecall.bench.reading import PartReading, read_fitted
from lorecall.core.files import locked
from lorecall.errors import ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.lm.device import machine_name
from lorecall.metrics.overlap import persona_f1, persona_tokens
from lorecall.metrics.registry import Answers
from lorecall.metrics.scores import score_samples
from lorecall.systems.catalog import about
from lorecall.systems.contract import Budget, Fitted, System

_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A bench at work in one process; what failed in its session is not tried again in it."""

    plan: BenchPlan
    folder: Path
    base: LanguageModel
    make: Callable[[str], System]
    session: str

    def left(self) -> list[Cell]:
        """Return the cells still to be done, those that someone works on among them."""
        settled = settled_cells(self.folder, session=self.session)
        return [cell for cell in self.plan.cells() if cell not in settled]

    def work(
        self,
        *,
        on_cell: Callable[[Cell], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Do cells until none is left, waiting for those that others work on.

        A cell that cannot be done is noted, and the others are done all the same.
        """
        while left := self.left():
            if not any(self._try(cell, on_cell) for cell in left):
                if on_wait is not None:
                    on_wait()
                time.sleep(_POLL_S)

    def do(self, cell: Cell) -> None:
        """Do one cell: make its system for its user, read it, and count it as finished."""
        settings, source = self.plan.settings, self.plan.source(cell.dataset)
        n_samples = settings.history_samples
        person = load_person(source, cell.user, n_samples)
        snapshot = snapshot_of(person, settings.test_samples)
        keep_snapshot(self.folder, cell, snapshot)
        other = another_user(source, cell.user)
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
        finish(self.folder, scores, reading.responses)

    def _try(self, cell: Cell, on_cell: Callable[[Cell], None] | None) -> bool:
        """Do a cell unless someone else is at it; say whether it is settled now."""
        with self._claimed(cell) as held:
            if not held:
                return False
            if cell not in self.left():  # it was finished between the look and the claim
                return True
            if on_cell is not None:
                on_cell(cell)
            try:
                self.do(cell)
            except Exception as reason:  # noqa: BLE001 - one cell's failure leaves the others be
                traceback.print_exc(file=sys.stderr)
                line = f"{type(reason).__name__}: {reason}"
                fail(self.folder, Failure(cell=cell, session=self.session, reason=line))
        return True

    def _claimed(self, cell: Cell) -> AbstractContextManager[bool]:
        """Hold a cell; cells that take one memory are held together, so that it is made once."""
        claims = self.folder / "claims"
        claims.mkdir(exist_ok=True)
        made = replace(cell, system=about(cell.system).memory_of or cell.system)
        return locked(claims / f"{made.id}.lock", wait=False)


def _check_trained_on(snapshot: PersonSnapshot, fitted: Fitted) -> None:
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
    fitted: Fitted,
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
