"""One person's search, for whichever process works on it: a theta in, what it found out.

Together with `lorecall.learn.pipeline` this is where the search and the model meet.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

from lorecall.data.history import split_history, subset
from lorecall.learn.readings import finding_of
from lorecall.learn.result import Trial
from lorecall.lm.base import BaseModel
from lorecall.records import History, InjectionConfig
from lorecall.search.early_stop import is_hopeless
from lorecall.search.loop import Search
from lorecall.search.outcome import Finding, SearchOutcome
from lorecall.search.prior import Prior
from lorecall.search.space import InjectionSpace
from lorecall.settings import LearnSettings, SearchSettings
from lorecall.train.activation_cache import Frozen
from lorecall.train.trial import TrialData, Trials

Advance = Callable[[float], None]
Try = Callable[[InjectionConfig], Finding]
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

    trials: Trials
    data: TrialData


class Searching:
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
        base: BaseModel,
        history: History,
        settings: LearnSettings,
        *,
        frozen: Frozen | None = None,
    ) -> None:
        self.base, self.settings = base, settings
        self._split = split_history(history)
        full = Trials(base, settings=settings.trial_train, seed=settings.seed, frozen=frozen)
        fewer = subset(self._split.train, settings.search.samples, seed=settings.seed)
        self.full = Fidelity(trials=full, data=full.data(self._split, fewer))

    @cached_property
    def cheap(self) -> Fidelity:
        """A trial of the screening; its data is encoded when it is first asked for."""
        settings, full = self.settings, self.full
        cheap = Trials(
            self.base,
            settings=settings.screen_train,
            seed=settings.seed,
            frozen=full.trials.frozen,
        )
        n = settings.search.screen_samples
        fewest = subset(full.data.train.samples, n, seed=settings.seed)
        return Fidelity(trials=cheap, data=cheap.data(self._split, fewest))

    def open_screen(self, plan: Plan) -> Search:
        """Open the study of the screening."""
        return self._open(
            plan, screen_settings(self.settings.search), f"{plan.study_name}-screen", plan.priors
        )

    def open_main(self, plan: Plan, screen: Search | None = None) -> Search:
        """Open the study of the search itself; a finished screening informs it."""
        settings, name = self.settings.search, plan.study_name
        if screen is None:
            return self._open(plan, settings, name, plan.priors)
        priors = (screen.as_prior(), *plan.priors)
        return self._open(plan, settings, name, priors, spent_s=screen.spent_s)

    def run(self, plan: Plan) -> SearchOutcome:
        """Search in this process alone, telling nobody, and give what was found."""
        search = self._after_screening(plan, Search.run)
        return search.run(
            self.objective(self.full, plan, search),
            together=self.together(self.full, plan, search),
        )

    def work(self, plan: Plan) -> None:
        """Work on the search beside other processes, until it is over."""
        search = self._after_screening(plan, Search.work)
        search.work(self.objective(self.full, plan, search))

    def finalists(self, found: SearchOutcome) -> tuple[Trial, ...]:
        """Give the trials that are trained in full, each once.

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
        """Give the function that tries one theta."""

        def objective(config: InjectionConfig) -> Finding:
            with nullcontext() if stage is None else stage(search, 1) as advance:
                result = fidelity.trials.run(
                    config,
                    fidelity.data,
                    vanilla_loss=plan.vanilla_loss,
                    on_tokens=advance,
                    stop=self._stop(search),
                )
            return finding_of(result)

        return objective

    def together(
        self, fidelity: Fidelity, plan: Plan, search: Search, stage: Stage | None = None
    ) -> Callable[[Sequence[InjectionConfig]], list[Finding]] | None:
        """Give the function that tries several side by side, where the settings say so."""
        if not self.settings.search.together:
            return None

        def together(configs: Sequence[InjectionConfig]) -> list[Finding]:
            with nullcontext() if stage is None else stage(search, len(configs)) as advance:
                results = fidelity.trials.run_together(
                    configs,
                    fidelity.data,
                    vanilla_loss=plan.vanilla_loss,
                    on_tokens=advance,
                    stop=self._stop(search),
                )
            return [finding_of(result) for result in results]

        return together

    def _after_screening(self, plan: Plan, screen_by: Callable[[Search, Try], object]) -> Search:
        """Open the search itself, after the screening where the settings say so."""
        screen = None
        if self.settings.search.screen:
            screen = self.open_screen(plan)
            screen_by(screen, self.objective(self.cheap, plan, screen))
        return self.open_main(plan, screen)

    def _stop(self, search: Search) -> Callable[[Sequence[float]], bool] | None:
        if not search.settings.early_stop:
            return None
        return lambda losses: is_hopeless(losses, search.curves)

    def _open(
        self,
        plan: Plan,
        settings: SearchSettings,
        name: str,
        priors: Sequence[Prior],
        *,
        spent_s: float = 0.0,
    ) -> Search:
        space = space_of(self.base.n_layers, self.base.max_rank, settings)
        return Search(
            space,
            settings=settings,
            seed=self.settings.seed,
            storage=plan.storage,
            study_name=name,
            priors=priors,
            spent_s=spent_s,
        )


def space_of(n_layers: int, max_rank: int, settings: SearchSettings) -> InjectionSpace:
    """Give the space that the settings say, for a base of so many layers and so large ranks."""
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


def screen_settings(settings: SearchSettings) -> SearchSettings:
    """Give the settings of the screening: as the search's, half of its trials at random.

    It stops by its number of trials, or by the budget in minutes, which the search itself then has
    less of; no trial of it is stopped early.
    """
    return replace(
        settings,
        trials=max(1, settings.screen),
        initial=max(1, settings.screen // 2),
        early_stop=False,
        stop_rounds=max(1, settings.screen),
    )
