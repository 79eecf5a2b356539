"""One person's search, for whichever process works on it: a theta in, what it found out.

Together with `lorecall.learning.pipeline` this is where the search and the model meet.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from lorecall.data.history import split_history, subset
from lorecall.learning.readings import outcome_of_trial
from lorecall.lm.base import LanguageModel
from lorecall.records import History, InjectionConfig
from lorecall.search.loop import Search
from lorecall.search.outcome import SearchOutcome, TrialOutcome
from lorecall.search.prior import Prior
from lorecall.search.records import Trial
from lorecall.search.space import InjectionSpace
from lorecall.settings import LearnSettings, SearchSettings
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.trial import TrialData, TrialRunner

Advance = Callable[[float], None]
Try = Callable[[InjectionConfig], TrialOutcome]
"""Tries one theta."""
Stage = Callable[[Search, int], AbstractContextManager[Advance]]
"""Announces so many trials of a search, and takes the tokens as they are trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is searched, for whom and where its trials are kept.

    Args:
        history: The person's.
        settings: The run's.
        storage: Optuna storage URL.
        study_name: The study's name there.
        vanilla_loss: The base's own validation loss.
        priors: Other people's searches over the same space.
    """

    history: History
    settings: LearnSettings
    storage: str
    study_name: str
    vanilla_loss: float
    priors: tuple[Prior, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """How a trial is done: with which settings, on which samples."""

    trials: TrialRunner
    data: TrialData


class SearchProblem:
    """The trials of one person's search, and its studies.

    Args:
        base: The frozen base.
        history: The person's.
        settings: The run's.
        frozen: Where to keep what no trial changes; its own when None.

    Attributes:
        full: A trial as it counts.
    """

    def __init__(
        self,
        base: LanguageModel,
        history: History,
        settings: LearnSettings,
        *,
        frozen: ActivationCache | None = None,
    ) -> None:
        self.base, self.settings = base, settings
        self._split = split_history(history)
        full = TrialRunner(base, settings=settings.trial_train, seed=settings.seed, frozen=frozen)
        fewer = subset(self._split.train, settings.search.samples, seed=settings.seed)
        self.full = Fidelity(trials=full, data=full.data(self._split, fewer))

    def open(self, plan: Plan) -> Search:
        """Open the study of the search."""
        settings = self.settings
        return Search(
            space_of(self.base.n_layers, self.base.max_rank, settings.search),
            settings=settings.search,
            seed=settings.seed,
            storage=plan.storage,
            study_name=plan.study_name,
            priors=plan.priors,
        )

    def run(self, plan: Plan) -> SearchOutcome:
        """Search in this process alone, telling nobody, and give what was found."""
        search = self.open(plan)
        return search.run(
            self.objective(self.full, plan, search),
            together=self.together(self.full, plan, search),
        )

    def work(self, plan: Plan) -> None:
        """Work on the search beside other processes, until it is over."""
        search = self.open(plan)
        search.work(self.objective(self.full, plan, search))

    def finalists(self, found: SearchOutcome) -> tuple[Trial, ...]:
        """Return the trials that are trained in full, each once.

        The chosen one, those of the lowest loss and, of the known designs that a search started
        from, the one of the lowest loss: trials are shorter than a full training, and what is
        ahead in them need not be ahead at its end.
        """
        settings = self.settings.search
        designs: list[InjectionConfig] = []
        if settings.design_is_finalist:
            space = space_of(self.base.n_layers, self.base.max_rank, settings)
            designs = [space.config(params) for params in space.known_designs()]
        return found.finalists(settings.finalists, designs=designs)

    def objective(
        self, fidelity: Fidelity, plan: Plan, search: Search, stage: Stage | None = None
    ) -> Try:
        """Return the function that tries one theta."""

        def objective(config: InjectionConfig) -> TrialOutcome:
            with nullcontext() if stage is None else stage(search, 1) as advance:
                result = fidelity.trials.run(
                    config,
                    fidelity.data,
                    vanilla_loss=plan.vanilla_loss,
                    on_tokens=advance,
                )
            return outcome_of_trial(result)

        return objective

    def together(
        self, fidelity: Fidelity, plan: Plan, search: Search, stage: Stage | None = None
    ) -> Callable[[Sequence[InjectionConfig]], list[TrialOutcome]] | None:
        """Return the function that tries several side by side, where the settings say so."""
        if not self.settings.search.together:
            return None

        def together(configs: Sequence[InjectionConfig]) -> list[TrialOutcome]:
            with nullcontext() if stage is None else stage(search, len(configs)) as advance:
                results = fidelity.trials.run_together(
                    configs,
                    fidelity.data,
                    vanilla_loss=plan.vanilla_loss,
                    on_tokens=advance,
                )
            return [outcome_of_trial(result) for result in results]

        return together


def space_of(n_layers: int, max_rank: int, settings: SearchSettings) -> InjectionSpace:
    """Return the space that the settings say, for a base of so many layers and so large ranks."""
    return InjectionSpace(
        n_layers=n_layers,
        max_loras=settings.max_loras,
        ranks=tuple(rank for rank in settings.ranks if rank <= max_rank),
        placement=settings.placement,
        inject=settings.inject,
        searched=settings.searched,
        scalings=settings.scalings,
        dropouts=settings.dropouts,
    )
