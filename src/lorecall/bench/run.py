"""A whole bench: its folder taken, its cells done by so many processes, its tables written.

```
DIR/run.json       what the bench computes; the same and more goes on, another is refused
DIR/scores.jsonl   and the rest of `lorecall.bench.cells`
DIR/people/        what is kept of each user
DIR/searches/      searches, and what they found
DIR/memories/      memories that are swapped, and DIR/swaps.jsonl: `lorecall.bench.swaps`
DIR/workers/       logs
DIR/pairs/         pairs of responses for a judge
DIR/bench.md, bench.html, tables.json
```
"""

import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Thread

from pydantic import TypeAdapter

from lorecall.bench.cells import FAILURES_FILE, Failure, failures
from lorecall.bench.plan import BenchPlan, read_plan
from lorecall.bench.swaps import swaps_of
from lorecall.bench.work import Bench
from lorecall.core.checks import check_range
from lorecall.core.processes import Processes, take_job
from lorecall.core.progress import Reporter, SilentReporter
from lorecall.core.provenance import versions
from lorecall.errors import RunError
from lorecall.learning.folder import RUN_FILE, open_run
from lorecall.lm.base import LanguageModel
from lorecall.lm.device import set_threads
from lorecall.lm.elsewhere import BaseAt, check_loadable, processes_beside
from lorecall.memory.shared import load_at, load_bare
from lorecall.report.words import counted
from lorecall.systems.catalog import make_system

_LOOK_S = 1.0
_MODULE = "lorecall.bench.run"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchJob:
    """What one process beside the first is to do."""

    plan: BenchPlan
    folder: Path
    base: BaseAt
    session: str


def run_bench(
    plan: BenchPlan,
    base: LanguageModel,
    *,
    out: Path,
    workers: int = 1,
    reporter: Reporter | None = None,
) -> list[Failure]:
    """Do what is left of a bench.

    Killed at any moment and called again with the same arguments, it goes on with what is finished;
    so it does with more systems, users, seeds or datasets, and all else the same.

    Args:
        plan: What is computed.
        base: The frozen base.
        out: The bench's folder, new or of the same bench.
        workers: Processes that do cells, this one among them. They share its cores.
        reporter: Who is told how far it is.

    Returns:
        What could not be done.

    Raises:
        RunError: `out` holds something else, or another process works in it.
        ModelError: More than one worker, and the base cannot be loaded by its name.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import bench_preset, make_plan, run_bench
        >>> from lorecall.lm.families.tiny import tiny_base
        >>> plan = make_plan(
        ...     ["two.jsonl"], users="ada", systems="vanilla", settings=bench_preset("smoke")
        ... )
        >>> run_bench(plan, tiny_base("llama"), out=Path("mine"))
        []
    """
    check_range("workers", workers, low=1)
    if workers > 1:
        check_loadable(base)
    reporter = reporter or SilentReporter()
    session = uuid.uuid4().hex
    begun = read_plan(out)[1] if (out / RUN_FILE).is_file() else plan
    grown = begun.grown_to(plan)
    plan, before = (grown, begun) if grown else (plan, plan)
    with open_run(out, bench_identity(plan, base), before=bench_identity(before, base)):
        bench = bench_of(plan, base, folder=out, session=session)
        with (
            processes_beside(
                base,
                _MODULE,
                lambda at: BenchJob(plan=plan, folder=out.resolve(), base=at, session=session),
                n=workers - 1,
                folder=out / "workers",
                say=reporter.say,
            ) as beside,
            _watched(bench, beside, reporter),
        ):
            bench.work(on_task=lambda task: reporter.doing(str(task)))
    return list(failures(out, session=session).values())


def check_failures(found: Sequence[Failure], folder: Path) -> None:
    """Refuse to call a bench done of which something could not be done.

    Raises:
        RunError: There is something.

    Examples:
        >>> from pathlib import Path
        >>> from lorecall.bench import check_failures
        >>> check_failures([], Path("bench"))
    """
    if found:
        first = found[0]
        raise RunError(
            "every cell of a bench must be done",
            expected="no failure",
            got=f"{counted(len(found), 'failure')}, the first: {first.task}: {first.reason}",
            next_step=f"See {folder / FAILURES_FILE}; the same command tries them again.",
        )


def bench_of(plan: BenchPlan, base: LanguageModel, *, folder: Path, session: str) -> Bench:
    """Put a bench to work in this process."""
    bare: Callable[[], LanguageModel] | None = None
    if base.shared is not None:
        bare = cache(lambda: load_bare(base))
    return Bench(
        plan=plan,
        folder=folder,
        base=base,
        make=lambda name: make_system(name, plan.settings.learn, folder=folder / "searches"),
        session=session,
        bare=bare,
    )


def bench_identity(plan: BenchPlan, base: LanguageModel) -> dict[str, object]:
    """Return what a bench computes; the same command gives the same identity."""
    return {
        "kind": "bench",
        "base": base.name,
        "base_fingerprint": base.fingerprint,
        "shared": base.shared
        and {"name": Path(base.shared.name).name, "sha256": base.shared.sha256},
        "base_dtype": base.format_name,
        "n_layers": base.n_layers,
        "versions": versions(),
        **plan.as_json(),
    }


@contextmanager
def _watched(bench: Bench, beside: Processes, reporter: Reporter) -> Generator[None]:
    """Tend the other processes and tell of every cell that is settled, whoever did it."""
    watch = _Watch(bench, reporter)
    over = Event()

    def look() -> None:
        while not over.wait(_LOOK_S):
            beside.tend()
            watch.look()

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        watch.look()


class _Watch:
    """Tells of tasks as they are settled, once each."""

    def __init__(self, bench: Bench, reporter: Reporter) -> None:
        self._bench, self._reporter = bench, reporter
        cells = bench.plan.cells()
        self._n = len(cells) + len(swaps_of(bench.plan, cells))
        reporter.plan(self._n)
        self._told = bench.settled()
        reporter.skip(len(self._told))
        if finished := [task for task in self._told if not task.swapped]:
            reporter.say(f"{counted(len(finished), 'cell')} finished before")

    def look(self) -> None:
        """Tell of what was settled since the last look."""
        failed = failures(self._bench.folder, session=self._bench.session)
        for task in self._bench.settled() - self._told:
            self._told.add(task)
            self._reporter.finish()
            if task in failed:
                self._reporter.say(f"FAILED {task}: {failed[task].reason}")
            else:
                self._reporter.say(f"{len(self._told)} of {self._n}  {task}")


def main() -> None:
    """Do the job that comes on standard input, with a base of its own."""
    job = TypeAdapter(BenchJob).validate_json(take_job())
    set_threads()
    base = load_at(job.base)
    bench_of(job.plan, base, folder=job.folder, session=job.session).work()


if __name__ == "__main__":
    main()
