"""One person's run in its folder: theta taken or searched, trained, the memory stored."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from lorecall.core.files import check_room
from lorecall.core.progress import Reporter
from lorecall.learning.folder import RunFolder
from lorecall.learning.result import RunResult
from lorecall.learning.search import SearchPlan, SearchProblem, prior_of, space_of
from lorecall.learning.workers import workers_beside
from lorecall.lm.attach import n_parameters_of
from lorecall.lm.base import LanguageModel
from lorecall.records import Split
from lorecall.search.outcome import Objectives
from lorecall.search.prior import Prior
from lorecall.search.records import SearchOutcome, Trial
from lorecall.search.study import check_storage
from lorecall.settings import LearnSettings
from lorecall.train.fit import FittedMemory, fit_memory

_SEARCH, _FIT = "search", "fit"
_BF16_BYTES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSummary:
    """How a memory was made, as its stage left it; all zero where nothing was trained.

    `trial` is the number of the trial whose theta it has, if it was searched; `curve` holds (epoch,
    validation loss), the base's own first; `train_s` is of all finalists, `length_s` of fitting how
    long replies are.
    """

    trial: int | None = None
    curve: tuple[tuple[float, float], ...] = ()
    n_parameters: int = 0
    train_s: float = 0.0
    length_s: float = 0.0

    @property
    def seconds(self) -> float:
        """All it took."""
        return self.train_s + self.length_s

    @classmethod
    def of(cls, fitted: FittedMemory, *, trial: int | None = None) -> Self:
        """Return what is kept of a training beside the memory."""
        return cls(
            trial=trial,
            curve=fitted.report.points,
            n_parameters=fitted.memory.n_parameters,
            train_s=fitted.train_s,
            length_s=fitted.length_s,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """A run at work."""

    split: Split
    base: LanguageModel
    settings: LearnSettings
    folder: RunFolder
    storage: str | None
    reporter: Reporter
    n_workers: int = 1
    priors: tuple[Prior, ...] = ()

    @property
    def searches(self) -> bool:
        """Whether theta is searched; it is the settings' design otherwise."""
        return self.settings.search.searched != "none"

    def n_stages(self, *, n_others: int) -> int:
        """Return how many stages it has, with so many other people to compare with."""
        searched = self.settings.search.trials + 1 if self.searches else 0  # and the default LoRA
        read = 2 if self.base.shared is None else 3
        return searched + self._n_trained + read + n_others + bool(n_others)

    @property
    def _n_trained(self) -> int:
        """How many thetas are trained in full, at most."""
        return self.settings.search.most_finalists if self.searches else 1

    def search(self) -> SearchOutcome:
        """Search theta on the validation samples, or return what was found before."""
        kept = self.folder.stage(_SEARCH)
        if kept is not None:
            self.reporter.skip(self.settings.search.trials)
            return TypeAdapter(SearchOutcome).validate_python(kept)
        storage = self.storage or self.folder.storage_url
        check_storage(storage)
        plan = SearchPlan(
            split=self.split,
            settings=self.settings,
            storage=storage,
            study_name=f"{self.split.dataset}-{self.split.user}-{self.folder.id}",
            priors=self.priors,
        )
        logs = self.folder.path / "workers"
        with workers_beside(
            self.base, plan, n=self.n_workers - 1, folder=logs, say=self.reporter.say
        ) as beside:
            problem = SearchProblem(self.base, plan, reporter=self.reporter)
            found = problem.run(tend=beside.tend)
        self.folder.save_stage(_SEARCH, TypeAdapter(SearchOutcome).dump_python(found, mode="json"))
        return found

    def finalists(self, found: SearchOutcome) -> tuple[Trial, ...]:
        """Return the trials that are trained in full, each once.

        The chosen one, those of the lowest loss and, of the known designs that a search started
        from, the one of the lowest loss: trials are shorter than a full training, and what is
        ahead in them need not be ahead at its end.
        """
        settings = self.settings.search
        space = space_of(self.base.n_layers, self.base.max_rank, settings)
        known = space.known_designs() if settings.design_is_finalist else ()
        designs = [space.config(params) for params in known]
        return found.finalists(settings.finalists, designs=designs)

    def fit(self, found: SearchOutcome | None) -> FitSummary:
        """Train on all of the training samples, and store the memory.

        Args:
            found: The search, whose finalists are trained and the best kept; None for the design
                that the settings name.
        """
        search, settings = self.settings.search, self.settings
        finalists = self.finalists(found) if found else ()
        thetas = [trial.config for trial in finalists] or [
            settings.design.config(self.base.n_layers, inject=search.inject)
        ]
        kept = self.folder.stage(_FIT)
        if kept is not None and self.folder.has_memory:
            self.reporter.skip(self._n_trained)
            return TypeAdapter(FitSummary).validate_python(kept)
        largest = max(n_parameters_of(self.base, theta) for theta in thetas)
        check_room(self.folder.memory, _BF16_BYTES * largest, what="the memory")
        self.reporter.doing("training the memory")
        fitted = fit_memory(
            thetas,
            self.split,
            self.base,
            settings=settings.train,
            seed=settings.seed,
            on_step=lambda share: self.reporter.advance(share / len(thetas)),
        )
        fitted.memory.save(self.folder.memory)
        trial = finalists[fitted.taken].number if finalists else None
        summary = FitSummary.of(fitted, trial=trial)
        self.folder.save_stage(_FIT, asdict(summary))
        self.reporter.finish(len(thetas))
        self.reporter.skip(self._n_trained - len(thetas))
        return summary


def priors_of(
    folders: Sequence[str | Path], base: LanguageModel, settings: LearnSettings
) -> tuple[tuple[Prior, ...], list[str]]:
    """Read finished runs to start a search from; return their trials, and a hash of each.

    Raises:
        RunError: A folder holds no finished run.
        ConfigError: None of a run's trials lies in the space.
    """
    others = [RunResult.load(Path(folder)) for folder in folders]
    space = space_of(base.n_layers, base.max_rank, settings.search)
    objectives = Objectives(settings.search.third_objective)
    priors = tuple(prior_of(other, space, objectives) for other in others)
    return priors, [
        hashlib.sha256(other.model_dump_json().encode()).hexdigest()[:16] for other in others
    ]
