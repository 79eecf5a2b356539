"""What a search leaves behind, as it is written to files."""

from collections.abc import Collection
from dataclasses import dataclass

from lorecall.records import InjectionConfig, TrialOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(TrialOutcome):
    """One finished trial: its number, theta, what it found, and the seconds of suggesting it."""

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
    """Spread of one input's importance over the posterior."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypervolume:
    """How the front grew. `trace` has one value a finished trial, `reference` one an objective."""

    reference: tuple[float, ...]
    trace: tuple[float, ...]
    stopped: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """A finished search: the chosen theta, every trial, and what the surrogate learnt.

    `importance` maps objective -> input -> quartiles; it is empty with too few trials for a fit.
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
