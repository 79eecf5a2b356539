"""One person's search, for whichever process works on it: a theta in, what it found out.

Here the search and the model meet.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lorecall.core.progress import Reporter, SilentReporter
from lorecall.data.history import subset
from lorecall.errors import ConfigError
from lorecall.learning.result import RunResult
from lorecall.lm.base import LanguageModel
from lorecall.records import InjectionConfig, Split, TrialOutcome
from lorecall.search.loop import Search
from lorecall.search.outcome import Objectives, prior_of_trials
from lorecall.search.prior import Prior
from lorecall.search.records import SearchOutcome
from lorecall.search.space import InjectionSpace
from lorecall.settings import LearnSettings, SearchSettings
from lorecall.train.trial import TrialRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What is searched, for whom and where its trials are kept."""

    split: Split
    settings: LearnSettings
    storage: str
    study_name: str
    priors: tuple[Prior, ...] = ()


class SearchProblem:
    """The trials of one person's search, and its study."""

    def __init__(
        self, base: LanguageModel, plan: SearchPlan, *, reporter: Reporter | None = None
    ) -> None:
        self.reporter = reporter or SilentReporter()
        self.settings = settings = plan.settings
        self.space = space_of(base.n_layers, base.max_rank, settings.search)
        self.study = Search(
            self.space,
            settings=settings.search,
            seed=settings.seed,
            storage=plan.storage,
            study_name=plan.study_name,
            priors=plan.priors,
        )
        self.runner = TrialRunner(
            base,
            settings=settings.trial_train,
            seed=settings.seed,
            on_step=self.reporter.advance,
        )
        fewer = subset(plan.split.train, settings.search.samples, seed=settings.seed)
        self.data = self.runner.data(plan.split, fewer)

    def run(self, *, tend: Callable[[], None] = lambda: None) -> SearchOutcome:
        """Search to the end, and return what was found.

        Args:
            tend: Called each time a trial has finished or is waited for: looks after the other
                processes at work on the study.
        """
        done = self.study.n_finished
        self.reporter.skip(done)
        if done:
            self.reporter.say(f"going on after {done} finished trials")

        def tell(number: int, outcome: TrialOutcome, config: InjectionConfig) -> None:
            tend()
            self.reporter.finish()
            self.reporter.say(_line(number, outcome, config, n_layers=self.space.n_layers))

        def wait() -> None:
            tend()
            self.reporter.doing("waiting for the other workers' trials")

        found = self.study.run(self._try, on_trial=tell, on_wait=wait)
        self.reporter.skip(self.settings.search.trials - len(found.trials))
        return found

    def work(self) -> None:
        """Work on the search beside other processes, until it is over."""
        self.study.work(self._try)

    def _try(self, config: InjectionConfig) -> TrialOutcome:
        first, beside = self.study.n_finished + 1, self.study.at_work - 1
        others = f", {beside} more beside it" if beside > 0 else ""
        self.reporter.doing(f"trial {first} of at most {self.settings.search.trials}{others}")
        return self.runner.run(config, self.data)


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
    )


def prior_of(result: RunResult, space: InjectionSpace, objectives: Objectives) -> Prior:
    """Return the trials of a finished run that lie in a space, for another person's search.

    Raises:
        ConfigError: None lies in it.
    """
    prior = prior_of_trials(result.trials, space, objectives)
    if not prior.params:
        raise ConfigError(
            "a run to start from must have searched the same space, or a part of it",
            expected=f"trials in a space of {space.n_layers} layers, {space.searched} searched,"
            f" scaling {_levels(space.scalings)}",
            got=f"the run of user {result.user}, with {result.n_layers} layers, scaling"
            f" {_levels(trial.config.scaling for trial in result.trials)}",
            next_step="Start from runs with the same base and options, or from none.",
        )
    return prior


def _levels(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(set(values))) or "none"


def _line(number: int, outcome: TrialOutcome, config: InjectionConfig, *, n_layers: int) -> str:
    further = "".join(f", {name} {value:g}" for name, value in config.beside.items())
    return (
        f"trial {number:3d}   loss {outcome.loss:.3f}   ROUGE-L {outcome.rouge_l:5.2f}"
        f"   {len(config.ranks())} of {n_layers} layers,"
        f" {config.n_loras} modules of rank {config.rank}{further}"
    )
