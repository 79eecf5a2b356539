"""More processes for one search: each loads a base of its own, then asks, tries and tells."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from lorecall.core.processes import Processes, take_job
from lorecall.learning.search import SearchPlan, SearchProblem
from lorecall.lm.base import LanguageModel
from lorecall.lm.device import set_threads
from lorecall.lm.elsewhere import BaseAt, processes_beside
from lorecall.memory.shared import load_at

_MODULE = "lorecall.learning.workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker is to do."""

    plan: SearchPlan
    base: BaseAt


def workers_beside(
    base: LanguageModel, plan: SearchPlan, *, n: int, folder: Path, say: Callable[[str], None]
) -> AbstractContextManager[Processes]:
    """Have other processes work on a search for a block, sharing the cores with this one.

    Raises:
        ModelError: The base cannot be loaded by its name.
    """
    return processes_beside(
        base, _MODULE, lambda at: Job(plan=plan, base=at), n=n, folder=folder, say=say
    )


def main() -> None:
    """Do the job that comes on standard input."""
    job = TypeAdapter(Job).validate_json(take_job())
    set_threads()
    SearchProblem(load_at(job.base), job.plan).work()


if __name__ == "__main__":
    main()
