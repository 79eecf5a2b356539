"""What a search leaves behind, as it is written to files."""

from collections.abc import Collection
from dataclasses import dataclass

from lorecall.records import InjectionConfig, TrialOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(TrialOutcome):
    """One finished trial: its number, theta, what it found, and the seconds of suggesting it.

    Examples:
        >>> from lorecall.records import InjectionConfig
        >>> from lorecall.search import Trial
        >>> trial = Trial(
        ...     number=7,
        ...     config=InjectionConfig(layers=(0, 3), n_loras=2, rank=8),
        ...     on_front=True,
        ...     loss=2.9,
        ...     rouge_l=11.0,
        ...     rouge_l_error=0.5,
        ...     n_parameters=24_576,
        ...     n_tokens=8_000,
        ...     curve=((0.0, 3.4), (1.0, 2.9)),
        ...     suggest_s=1.5,
        ...     train_s=20.0,
        ...     evaluate_s=4.0,
        ... )
        >>> trial.seconds
        25.5
    """

    number: int
    config: InjectionConfig
    on_front: bool
    suggest_s: float

    @property
    def seconds(self) -> float:
        """All it took."""
        return self.suggest_s + self.train_s + self.evaluate_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Quartiles:
    """Spread of one input's importance over the posterior.

    Examples:
        >>> from lorecall.search import Quartiles
        >>> rank = Quartiles(low=0.1, median=0.3, high=0.6)
        >>> layer_29 = Quartiles(low=0.0, median=0.01, high=0.05)
        >>> rank.low > layer_29.high  # that the rank matters more is no chance of the draws
        True
    """

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypervolume:
    """How the front grew. `trace` has one value a finished trial, `reference` one an objective.

    Examples:
        >>> from lorecall.search import Hypervolume, converged
        >>> grown = Hypervolume(
        ...     reference=(4.1, 9.0), trace=(0.5, 0.8, 0.8), stopped="3 trials are spent"
        ... )
        >>> converged(grown.trace, rounds=1)
        True
    """

    reference: tuple[float, ...]
    trace: tuple[float, ...]
    stopped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """A finished search: the chosen theta, every trial, and what the surrogate learnt.

    `importance` maps objective -> input -> quartiles; it is empty with too few trials for a fit.

    Examples:
        >>> from lorecall.records import InjectionConfig
        >>> from lorecall.search import Hypervolume, SearchOutcome, Trial
        >>> def trial(number, loss):
        ...     return Trial(
        ...         number=number,
        ...         config=InjectionConfig(layers=(number,), n_loras=1, rank=8),
        ...         on_front=True,
        ...         loss=loss,
        ...         rouge_l=11.0,
        ...         rouge_l_error=0.5,
        ...         n_parameters=12_288,
        ...         n_tokens=8_000,
        ...         curve=((0.0, 3.4), (1.0, loss)),
        ...         suggest_s=1.0,
        ...         train_s=20.0,
        ...         evaluate_s=4.0,
        ...     )
        >>> trials = (trial(0, 3.1), trial(1, 3.0), trial(2, 3.2))
        >>> found = SearchOutcome(
        ...     config=trials[0].config,
        ...     chosen=0,
        ...     trials=trials,
        ...     hypervolume=Hypervolume(reference=(3.5, 9.0), trace=(0.8, 1.0, 1.0), stopped=""),
        ...     importance={},
        ... )
        >>> [trial.number for trial in found.finalists(2)]  # each trained in full
        [0, 1]
        >>> found.seconds
        75.0
    """

    config: InjectionConfig
    chosen: int
    trials: tuple[Trial, ...]
    hypervolume: Hypervolume
    importance: dict[str, dict[str, Quartiles]]

    @property
    def seconds(self) -> float:
        """All that suggesting, training and reading took."""
        return sum(trial.seconds for trial in self.trials)

    def finalists(self, n: int, *, designs: Collection[InjectionConfig] = ()) -> tuple[Trial, ...]:
        """Return the trials that are to be trained in full, each once, the chosen one first.

        Args:
            n: Beside the chosen one, the `n` - 1 of the lowest loss.
            designs: Beside them the one of these that has the lowest loss, where there is any.
        """
        chosen = next(trial for trial in self.trials if trial.number == self.chosen)
        by_loss = sorted(self.trials, key=lambda trial: trial.loss)
        design = [trial for trial in by_loss if trial.config in designs][:1]
        others = (trial for trial in by_loss if trial in by_loss[: n - 1] or trial in design)
        return (chosen, *(trial for trial in others if trial is not chosen))
