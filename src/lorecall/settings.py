"""The numbers of a run, with the two presets. Every one of them can be overridden.

`paper` is what the paper published (sections 2.2.1 and 3.4, Table 2), `laptop` is what two cores
finish while someone waits. The settings a run used are written next to its result.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Literal, TypedDict, TypeVar, Unpack, get_args

from lorecall.errors import ConfigError
from lorecall.records import (
    PAPER_FACTORS,
    Factor,
    Inject,
    LossOn,
    Placement,
    ReplyLength,
    Searched,
    SurrogateKind,
    ThirdObjective,
)

RANKS = (8, 16, 32, 64, 96)  # Table 2
MAX_LORAS = 32  # Table 2
# Beside Table 2, off until asked for. After one epoch (SPEC section 3) scaling 4 gained 0.10 of the
# loss, twice the learning rate 0.07, and 0.4 of it lost 0.10: the two look alike, so one of them is
# searched. The scaling is: it is theta's own, stored with a memory and exported.
SCALINGS = (0.5, 1.0, 2.0, 4.0, 8.0)
DROPOUTS = (0.0, 0.05, 0.1)
MIN_SCALING, MAX_DROPOUT = 1e-3, 0.9
MAX_SEED = 2**31 - 1
PresetName = Literal["laptop", "paper"]
Start = Literal["random", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How one candidate is trained and read (section 3.4; SPEC section 3).

    Args:
        learning_rate: AdamW's peak rate.
        weight_decay: AdamW's decoupled decay.
        batch_size: Samples a step.
        warmup_share: Share of the steps over which the rate rises linearly.
        clip_norm: Largest gradient norm.
        max_epochs: Cap on the epochs.
        evals_per_epoch: How often the validation loss is read in an epoch.
        patience: Readings without an improvement after which training stops.
        max_prompt_tokens: Longest prompt; cut from the left, the query always kept.
        max_response_tokens: Longest response, in training and in generation.
        earlier_turns: Earlier turns of the conversation in the prompt, 0 to 2.
        history_in_prompt: Past pairs put before the prompt; 0 but for ablations.
        plain: Whether to compute on the plain path, the reference; it is slower.
        reply_length: Whether replies to test queries, and a memory's from then on, are in the mean
            as long as the person's own, or end where greedy decoding ends them.
        no_repeat: How many tokens in a row an answer never has twice; 0 lets it.
        loss_on: What is learnt: responses, or their prompts, too; validation is of responses.
    """

    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    batch_size: int = 8
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    max_epochs: int = 10
    evals_per_epoch: int = 2
    patience: int = 3
    max_prompt_tokens: int = 512
    max_response_tokens: int = 128
    earlier_turns: int = 2
    history_in_prompt: int = 0
    plain: bool = False
    reply_length: ReplyLength = "own"
    no_repeat: int = 3
    loss_on: LossOn = "response"

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_epochs", "patience", "max_response_tokens"):
            check_range(name, getattr(self, name), low=1)
        check_range("evals_per_epoch", self.evals_per_epoch, low=2)
        check_range("max_prompt_tokens", self.max_prompt_tokens, low=16)
        check_range("earlier_turns", self.earlier_turns, low=0, high=2)
        check_range("history_in_prompt", self.history_in_prompt, low=0)
        check_range("no_repeat", self.no_repeat, low=0)
        check_range("learning_rate", self.learning_rate, low=0)
        check_range("weight_decay", self.weight_decay, low=0)
        check_range("clip_norm", self.clip_norm, low=0)
        check_range("warmup_share", self.warmup_share, low=0, high=1)
        choice("the length of replies", self.reply_length, get_args(ReplyLength))
        choice("what the loss is of", self.loss_on, get_args(LossOn))


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How theta is searched (section 2.2.2; SPEC section 4).

    Args:
        trials: Most trials, the random ones included.
        initial: Points before the first suggestion of the surrogate.
        start: Which those are: `random` ones alone, or first the `known` designs, the LoRAs on all
            layers that people train without a search; where other searches' trials are given,
            the best of those instead.
        batch: q, suggestions made before the first of them is trained.
        together: Whether the trials of a batch are trained side by side: for a large device.
        budget_min: Minutes the search may take, beside its trials; None for any.
        searched: Which of alpha, n and r are searched (Table 5); the rest is fixed.
        samples: Training samples a trial sees; None for all. The final training sees all.
        epochs: Cap on the epochs of a trial; None for the training's own.
        placement: How n is read.
        inject: Which tokens the memory acts on; the paper's are `all`.
        ranks: The ranks searched.
        max_loras: The largest n.
        scalings: The scalings searched; the paper's alone by default.
        dropouts: The dropouts searched, likewise.
        finalists: How many trials are trained in full at most before one is taken: the chosen one
            and, where they are others, the `finalists` - 1 of the lowest loss; where there are more
            than one, the better of the known designs that a search started from, too.
        third_objective: What is traded beside loss and ROUGE-L; None for nothing.
        stop_rounds: Rounds over which the hypervolume's gain is watched.
        stop_gain: Relative gain below which the search stops.
        surrogate: How the surrogate's hyperparameters are found: by NUTS, or fitted without JAX.
        warmup_steps: NUTS warm-up.
        posterior_samples: NUTS samples after the warm-up.
        thinning: Every how many-th of them is kept.
    """

    trials: int = 200
    initial: int = 100
    start: Start = "random"
    batch: int = 1
    together: bool = False
    budget_min: float | None = None
    searched: Searched = "all"
    samples: int | None = None
    epochs: int | None = None
    placement: Placement = "deal"
    inject: Inject = "all"
    ranks: tuple[int, ...] = RANKS
    max_loras: int = MAX_LORAS
    scalings: tuple[float, ...] = (PAPER_FACTORS["scaling"],)
    dropouts: tuple[float, ...] = (PAPER_FACTORS["dropout"],)
    finalists: int = 1
    third_objective: ThirdObjective | None = None
    stop_rounds: int = 5
    stop_gain: float = 0.01
    surrogate: SurrogateKind = "nuts"
    warmup_steps: int = 128
    posterior_samples: int = 64
    thinning: int = 4

    def __post_init__(self) -> None:
        for name in ("trials", "initial", "batch", "max_loras", "finalists", "stop_rounds"):
            check_range(name, getattr(self, name), low=1)
        check_range("warmup_steps", self.warmup_steps, low=1)
        check_range("thinning", self.thinning, low=1)
        check_range("posterior_samples", self.posterior_samples, low=self.thinning)
        check_range("stop_gain", self.stop_gain, low=0)
        check_range("the number of ranks", len(self.ranks), low=1)
        check_range("the lowest rank", min(self.ranks, default=1), low=1)
        choice("what a memory acts on", self.inject, get_args(Inject))
        choice("the start of a search", self.start, get_args(Start))
        choice("the surrogate", self.surrogate, get_args(SurrogateKind))
        choice("what is searched", self.searched, get_args(Searched))
        check_levels("scalings", self.scalings, low=MIN_SCALING)
        check_levels("dropouts", self.dropouts, low=0, high=MAX_DROPOUT)
        if self.third_objective is not None:
            choice("the third objective", self.third_objective, get_args(ThirdObjective))
        if self.budget_min is not None and not self.budget_min > 0:
            check_range("budget_min", self.budget_min, low=0.1)
        if self.samples is not None:
            check_range("samples", self.samples, low=8)
        if self.epochs is not None:
            check_range("epochs", self.epochs, low=1)

    @property
    def design_is_finalist(self) -> bool:
        """Whether the better of the known designs is trained in full beside the others."""
        return self.start == "known" and self.finalists > 1

    @property
    def most_finalists(self) -> int:
        """How many trials are trained in full at most."""
        return min(self.finalists + self.design_is_finalist, self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSettings:
    """Everything that, with the history and the base, decides what a run computes."""

    preset: PresetName = "laptop"
    seed: int = 0
    train: TrainSettings = field(default_factory=TrainSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    n_bootstrap: int = 10_000

    def __post_init__(self) -> None:
        check_range("seed", self.seed, low=0, high=MAX_SEED)
        check_range("n_bootstrap", self.n_bootstrap, low=1)
        check_learnable(self.search.inject, self.train.loss_on)

    @property
    def trial_train(self) -> TrainSettings:
        """How a trial of the search is trained: as the final training, with its own cap."""
        epochs = self.search.epochs or self.train.max_epochs
        return replace(self.train, max_epochs=epochs)

    def as_json(self) -> dict[str, object]:
        """Return the settings as plain JSON values."""
        return asdict(self)


class Changes(TypedDict, total=False):
    """What people change of a preset; what is left out, or None, stays the preset's.

    `epochs` caps the trials' and the final training's; `together` and `inject` are as in
    `SearchSettings`, `together` being how many trials are suggested at once; `wide` names factors
    to search beside alpha, n and r, on the levels of `SCALINGS` and `DROPOUTS`.
    """

    seed: int
    trials: int | None
    initial: int | None
    samples: int | None
    epochs: int | None
    inject: str
    together: int
    searched: str
    budget_min: float | None
    surrogate: str
    wide: Sequence[str]
    finalists: int | None
    third_objective: str | None
    start: str | None
    reply_length: str | None
    no_repeat: int | None
    loss_on: str | None


def preset(name: str = "laptop", **changes: Unpack[Changes]) -> LearnSettings:
    """Make the settings of a preset, with the common numbers overridden where given.

    Args:
        name: `laptop` or `paper`.
        changes: What to override.

    Raises:
        ConfigError: An unknown preset, or a number outside its range.
    """
    presets = {"laptop": _laptop, "paper": _paper}
    base = presets[choice("the preset", name, tuple(presets))]()
    given = {key: value for key, value in changes.items() if value is not None}
    train = replace(base.train, **{k: v for k, v in given.items() if k in _OTHERWISE})
    if "epochs" in given:
        train = replace(train, max_epochs=changes.get("epochs") or 0)
    search = replace(base.search, **{k: v for k, v in given.items() if k in _SEARCH_CHANGES})
    factors = {choice("a factor", name, get_args(Factor)) for name in changes.get("wide", ())}
    search = replace(search, **{_LADDERS[name][0]: _LADDERS[name][1] for name in factors})
    if changes.get("together", 1) > 1:
        search = replace(search, batch=changes.get("together", 1), together=True)
    return replace(base, seed=changes.get("seed", base.seed), train=train, search=search)


_SEARCH_CHANGES = (
    *("trials", "initial", "samples", "epochs", "inject"),
    *("searched", "budget_min", "surrogate"),
    *("third_objective", "finalists", "start"),
)
_OTHERWISE = ("reply_length", "no_repeat", "loss_on")
_LADDERS = {"scaling": ("scalings", SCALINGS), "dropout": ("dropouts", DROPOUTS)}


def _paper() -> LearnSettings:
    return LearnSettings(preset="paper")


def _laptop() -> LearnSettings:
    return LearnSettings(
        preset="laptop",
        train=TrainSettings(max_epochs=3, patience=2),
        search=SearchSettings(
            trials=8, initial=5, start="known", samples=32, epochs=2, finalists=2
        ),
    )


T = TypeVar("T", bound=str)


def choice(name: str, given: str, known: tuple[T, ...]) -> T:
    """Return a word that must be one of a few.

    Raises:
        ConfigError: It is none of them.
    """
    for word in known:
        if word == given:
            return word
    raise ConfigError(
        f"{name} must be known",
        expected=" or ".join(known),
        got=repr(given),
        next_step="Choose one of them.",
    )


def check_learnable(inject: Inject, loss_on: LossOn) -> None:
    """Refuse to learn prompts where a memory does not act on them.

    Raises:
        ConfigError: It acts on the response side alone, and the loss is the conversation's.
    """
    if (inject, loss_on) == ("response", "conversation"):
        raise ConfigError(
            "a memory on the response side learns from responses",
            expected="the loss on the response, or a memory that acts on all tokens",
            got="the loss on the conversation",
            next_step="Leave out one of the two.",
        )


def check_levels(
    name: str, levels: Sequence[float], *, low: float, high: float | None = None
) -> None:
    """Refuse levels of a factor that are none, not ascending, or outside its range.

    Raises:
        ConfigError: They are.
    """
    check_range(f"the number of {name}", len(levels), low=1)
    for level in levels:
        check_range(name, level, low=low, high=high)
    if not all(a < b for a, b in pairwise(levels)):
        raise ConfigError(
            f"{name} must be in ascending order",
            expected="each above the one before",
            got=str(tuple(levels)),
            next_step="Give each once, the lowest first.",
        )


def check_range(name: str, value: float, *, low: float, high: float | None = None) -> None:
    """Refuse a setting outside its range, NaN included.

    Raises:
        ConfigError: It is.
    """
    if not value >= low or (high is not None and not value <= high):  # NaN is neither
        allowed = f"{low} or more" if high is None else f"{low} to {high}"
        raise ConfigError(
            f"{name} must be in range",
            expected=allowed,
            got=str(value),
            next_step="Change the setting.",
        )
