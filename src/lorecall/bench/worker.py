"""One more process for a bench: it loads a base of its own and does cells until none is left."""

from pydantic import TypeAdapter

from lorecall.bench.run import Job, systems_of
from lorecall.bench.work import Bench
from lorecall.core.processes import take_job
from lorecall.lm.device import set_threads


def main() -> None:
    """Do the job that comes on standard input."""
    job = TypeAdapter(Job).validate_json(take_job())
    set_threads()
    Bench(
        plan=job.plan,
        folder=job.folder,
        base=job.base.load(),
        make=systems_of(job.plan, job.folder),
        session=job.session,
    ).work()


if __name__ == "__main__":
    main()
