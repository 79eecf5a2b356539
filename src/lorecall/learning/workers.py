"""More processes for one search: each loads a base of its own, then asks, tries and tells."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from lorecall.core.processes import Processes, take_job
from lorecall.learning.search import SearchPlan, SearchProblem
from lorecall.lm.base import LanguageModel
from lorecall.lm.device import set_threads, sharing_threads
from lorecall.lm.elsewhere import BaseAt, check_loadable
from lorecall.memory.shared import load_at

_MODULE = "lorecall.learning.workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker is to do."""

    plan: SearchPlan
    base: BaseAt


@contextmanager
def workers_beside(
    base: LanguageModel, plan: SearchPlan, *, n: int, folder: Path, say: Callable[[str], None]
) -> Generator[Processes]:
    """Have other processes work on a search for a block, sharing the cores with this one.

    Raises:
        ModelError: The base cannot be loaded by its name.
    """
    if n:
        check_loadable(base)
    jobs = [
        TypeAdapter(Job).dump_json(Job(plan=plan, base=BaseAt.of(base, k))) for k in range(1, n + 1)
    ]
    with (
        sharing_threads(n + 1) as n_threads,
        Processes(_MODULE, jobs, folder=folder, say=say, n_threads=n_threads) as beside,
    ):
        yield beside


def main() -> None:
    """Do the job that comes on standard input."""
    job = TypeAdapter(Job).validate_json(take_job())
    set_threads()
    SearchProblem(load_at(job.base), job.plan).work()


if __name__ == "__main__":
    main()
