"""More processes for one search: each loads a base of its own, then asks, tries and tells."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from lorecall.core.processes import BaseAt, Processes, check_loadable, take_job
from lorecall.learn.search import Plan, Searching
from lorecall.lm.base import BaseModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker is to do.

    Args:
        plan: The search.
        base: The base it loads.
    """

    plan: Plan
    base: BaseAt


class Workers(Processes):
    """Other processes at work on a search.

    Args:
        base: The base that they load again, by its name.
        plan: The search.
        n: How many, this process left out.
        folder: Where each writes its log, `N.log`.
        say: Called with a line where one was killed.

    Raises:
        ModelError: The base cannot be loaded by its name.
    """

    def __init__(
        self, base: BaseModel, plan: Plan, *, n: int, folder: Path, say: Callable[[str], None]
    ) -> None:
        if n:
            check_loadable(base)
        jobs = [_job(base, plan, k) for k in range(1, n + 1)]
        super().__init__("lorecall.learn.workers", jobs, folder=folder, say=say)


def main() -> None:
    """Do the job that comes on standard input."""
    job = TypeAdapter(Job).validate_json(take_job())
    Searching(job.base.load(), job.plan.history, job.plan.settings).work(job.plan)


def _job(base: BaseModel, plan: Plan, k: int) -> bytes:
    history = replace(plan.history, dropped=dict(plan.history.dropped))  # a view is no JSON
    job = Job(plan=replace(plan, history=history), base=BaseAt.of(base, k))
    return TypeAdapter(Job).dump_json(job)


if __name__ == "__main__":
    main()
