"""How a search is told of: this process's trials as they go on, everyone's as they finish."""

from collections.abc import Generator
from contextlib import contextmanager

from lorecall.core.processes import Processes
from lorecall.core.progress import Ledger
from lorecall.learning.search import Advance
from lorecall.records import InjectionConfig, ObjectiveValues
from lorecall.search.loop import Search


class Watch:
    """Tells of one search, and looks after the workers each time it does.

    Args:
        search: The search.
        ledger: Where the work done is booked; what is finished already is booked at once.
        workers: The other processes at work on it.
        what: What one of its trials is called.
        cost: The work of one of them, in token equivalents.
    """

    def __init__(
        self, search: Search, ledger: Ledger, workers: Processes, *, what: str, cost: float
    ) -> None:
        self._ledger, self._workers = ledger, workers
        self._what, self._cost, self._n_layers = what, cost, search.space.n_layers
        self._own = self._told = 0
        ledger.skip(search.n_finished * cost)

    @contextmanager
    def stage(self, search: Search, n: int) -> Generator[Advance]:
        """Announce n trials of this process, and take the tokens as they are trained."""
        first, beside = search.n_finished + 1, search.at_work - n
        numbers = f"{first}" if n == 1 else f"{first} to {first + n - 1}"
        others = f", {beside} more beside it" if beside > 0 else ""
        line = f"{self._what} {numbers} of at most {search.settings.trials}{others}"
        with self._ledger.stage(line, n * self._cost) as advance:
            yield advance
        self._own += n

    def tell(self, number: int, objectives: ObjectiveValues, config: InjectionConfig) -> None:
        """Tell of a finished trial, whoever tried it."""
        self._workers.tend()
        self._told += 1
        if self._told > self._own:  # another worker's: booked as a whole
            self._own = self._told
            self._ledger.skip(self._cost)
        further = "".join(f", {name} {value:g}" for name, value in config.beside.items())
        self._ledger.reporter.say(
            f"{self._what} {number:3d}   loss {objectives.loss:.3f}"
            f"   ROUGE-L {objectives.rouge_l:5.2f}   {len(config.ranks())} of"
            f" {self._n_layers} layers, {config.n_loras} modules of rank {config.rank}{further}"
        )

    def wait(self) -> None:
        """Say that there is nothing to do until others have finished."""
        self._workers.tend()
        self._ledger.reporter.doing("waiting for the other workers' trials")
