"""The numbers of a run, each an option that is declared here, with the presets' values.

`paper` is what the paper published (sections 2.2.1 and 3.4, Table 2), `laptop` is what two cores
finish while someone waits, and `smoke` shows in minutes that all works and says nothing of quality.
The settings a run used are written next to its result.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, get_args

from lorecall.core.checks import check_range, choice
from lorecall.core.options import (
    NO_CHANGES,
    Sections,
    check_options,
    find_option,
    make,
    option,
)
from lorecall.records import (
    PAPER_FACTORS,
    Form,
    Inject,
    InjectionConfig,
    Placement,
    ReplyLength,
    Searched,
    SurrogateKind,
    ThirdObjective,
)

RANKS = (8, 16, 32, 64, 96)  # Table 2
MAX_LORAS = 32  # Table 2
MIN_SCALING = 1e-3
MAX_SEED = 2**31 - 1
DEFAULT_BASE = "smollm2-135m-instruct"
PresetName = Literal["smoke", "laptop", "paper"]
Start = Literal["random", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How one candidate is trained and read (section 3.4; SPEC section 3).

    Examples:
        >>> from lorecall import TrainSettings
        >>> settings = TrainSettings(max_epochs=3, patience=2)
        >>> settings.max_epochs, settings.learning_rate
        (3, 0.0005)
    """

    learning_rate: float = option(5e-4, "AdamW's peak rate.", low=0)
    weight_decay: float = option(1e-4, "AdamW's decoupled decay.", low=0)
    batch_size: int = option(8, "Samples a step.", low=1)
    warmup_share: float = option(
        0.1, "Share of the steps over which the rate rises linearly.", low=0, high=1
    )
    clip_norm: float = option(1.0, "Largest gradient norm.", low=0)
    max_epochs: int = option(10, "Most epochs of any training.", low=1, laptop=2, smoke=1)
    evals_per_epoch: int = option(2, "How often the validation loss is read in an epoch.", low=2)
    patience: int = option(
        3, "Readings without an improvement after which training stops.", low=1, laptop=2
    )
    max_prompt_tokens: int = option(
        512, "Longest prompt; cut from the left, the query kept.", low=16, smoke=256
    )
    max_response_tokens: int = option(
        128, "Longest response, in training and in generation.", low=1, smoke=64
    )
    earlier_turns: int = option(
        2, "Earlier turns of the conversation in the prompt.", low=0, high=2
    )
    history_in_prompt: int = option(
        0, "Past pairs put before the prompt; 0 but for ablations.", low=0
    )
    plain: bool = option(default=False, says="Compute on the plain path, the reference; slower.")
    factors: tuple[float, ...] = option(
        (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5),
        "What a finished memory may be multiplied by; the validation part chooses. 0 is to say"
        " that nothing personal was found. The paper's is 1.",
        low=0,
        high=1.5,
        paper=(1.0,),
    )
    reply_length: ReplyLength = option(
        "own", "How long replies are: own, as the person's in the mean, or free, as decoding ends."
    )
    no_repeat: int = option(
        3, "How many tokens in a row a reply never has twice; 0 lets it repeat any.", low=0
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """How theta is searched (section 2.2.2; SPEC section 4).

    Examples:
        >>> from lorecall import SearchSettings
        >>> settings = SearchSettings(trials=40, initial=20, start="known", finalists=2)
        >>> settings.most_finalists  # two, and the better of the known designs
        3
    """

    trials: int = option(200, "Most trials, the first ones included.", low=1, laptop=8, smoke=2)
    initial: int = option(100, "Trials before the surrogate suggests.", low=1, laptop=5, smoke=2)
    start: Start = option(
        "random",
        "The first trials: random ones, or first the known designs that need no search; the best"
        " of other runs instead where those are given.",
        laptop="known",
    )
    batch: int = option(1, "Suggestions made before the first of them is trained.", low=1)
    budget_min: float | None = option(
        None, "Minutes the search may take, beside its trials.", low=0.1
    )
    searched: Searched = option(
        "none",
        "What of theta is searched: nothing, one training of the design being enough; all of it, as"
        " in the paper; or alpha (layer), n or r (rank) as in its Table 5.",
        paper="paper",
    )
    samples: int | None = option(
        None,
        "Training samples a trial sees; the final training sees all.",
        low=8,
        laptop=32,
        smoke=16,
    )
    epochs: int | None = option(
        None, "Most epochs of a trial, where they are fewer than train.max_epochs.", low=1, laptop=2
    )
    placement: Placement = option("deal", "How n is read: dealt over the layers, or for every one.")
    inject: Inject = option("all", "Which tokens the memory acts on; the paper's are all.")
    ranks: tuple[int, ...] = option(RANKS, "The ranks searched.", low=1)
    max_loras: int = option(MAX_LORAS, "The largest n.", low=1)
    # Off until asked for. After one epoch (SPEC section 3) scaling 4 gained 0.10 of the loss, twice
    # the learning rate 0.07, and 0.4 of it lost 0.10: the two look alike, so one of them is
    # searched. The scaling is: it is theta's own, stored with a memory and exported.
    scalings: tuple[float, ...] = option(
        (PAPER_FACTORS["scaling"],),
        "The scalings searched; 0.5,1,2,4,8 for a wider search.",
        low=MIN_SCALING,
    )
    finalists: int = option(
        1,
        "Most trials trained in full before one is taken: the chosen one and those of the lowest"
        " loss; where more than one, the better known design, too.",
        low=1,
        laptop=2,
        smoke=1,
    )
    third_objective: ThirdObjective | None = option(None, "What is traded beside loss and ROUGE-L.")
    stop_rounds: int = option(5, "Rounds over which the hypervolume's gain is watched.", low=1)
    stop_gain: float = option(0.01, "Relative gain below which the search stops.", low=0)
    surrogate: SurrogateKind = option(
        "nuts", "How the surrogate's hyperparameters are found: by NUTS, or fitted without JAX."
    )
    warmup_steps: int = option(128, "NUTS warm-up.", low=1)
    posterior_samples: int = option(64, "NUTS samples after the warm-up.", low=1)
    thinning: int = option(4, "Every how many-th of them is kept.", low=1)

    def __post_init__(self) -> None:
        check_options(self)
        check_range("posterior_samples", self.posterior_samples, low=self.thinning)

    @property
    def design_is_finalist(self) -> bool:
        """Whether the better of the known designs is trained in full beside the others."""
        return self.start == "known" and self.finalists > 1

    @property
    def most_finalists(self) -> int:
        """How many trials are trained in full at most."""
        return min(self.finalists + self.design_is_finalist, self.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignSettings:
    """The theta that a memory has without a search (docs/explain/personal.md).

    Examples:
        >>> from lorecall import DesignSettings
        >>> DesignSettings(rank=2, scaling=8.0, layers=(1, 2)).config(n_layers=4).ranks()
        {1: 2, 2: 2}
    """

    form: Form = option(
        "pair",
        "What is trained beside a linear map: a low-rank pair, or a core between the directions of"
        " the shared memory, which is smaller and holds less.",
    )
    rank: int = option(1, "Rank of the pairs, or how many directions a core mixes.", low=1)
    scaling: float = option(64.0, "Factor on them.", low=MIN_SCALING)
    layers: tuple[int, ...] | None = option(
        None, "Which layers have one, from 0; none names all of them.", low=0
    )

    def __post_init__(self) -> None:
        check_options(self)

    def config(self, n_layers: int, *, inject: Inject = "all") -> InjectionConfig:
        """Return it for a base.

        Args:
            n_layers: The base's layers.
            inject: Which tokens it acts on.

        Raises:
            ConfigError: The base does not have a layer that is named.
        """
        layers = tuple(range(n_layers)) if self.layers is None else tuple(sorted(self.layers))
        check_range("design.layers", layers[-1], low=0, high=n_layers - 1)
        return InjectionConfig(
            layers=layers,
            n_loras=len(layers),
            rank=self.rank,
            scaling=self.scaling,
            inject=inject,
            form=self.form,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSettings:
    """Everything that, with the history and the base, decides what a run computes.

    Examples:
        >>> from lorecall import LearnSettings, SearchSettings, TrainSettings
        >>> settings = LearnSettings(
        ...     seed=1, train=TrainSettings(max_epochs=10), search=SearchSettings(epochs=2)
        ... )
        >>> settings.train.max_epochs, settings.trial_train.max_epochs
        (10, 2)
    """

    preset: PresetName = option(
        "laptop", "Where numbers that are not given come from.", smoke="smoke", paper="paper"
    )
    seed: int = option(0, "Seed of everything random.", low=0, high=MAX_SEED)
    n_bootstrap: int = option(10_000, "Resamples of every interval.", low=1, smoke=2_000)
    others: int = option(
        0,
        "How many other people of the same data get a memory too, which is then swapped for one's"
        " own to see what is personal; each takes as long as one's own.",
        low=0,
    )
    redact: bool = option(
        default=False,
        says="Learn from texts in which each address, number, handle and secret is a placeholder.",
    )
    design: DesignSettings = field(default_factory=DesignSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    search: SearchSettings = field(default_factory=SearchSettings)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def trial_train(self) -> TrainSettings:
        """How a trial of the search is trained: as the final training, with its own cap."""
        most = self.train.max_epochs
        return replace(self.train, max_epochs=min(self.search.epochs or most, most))

    def as_json(self) -> dict[str, object]:
        """Return the settings as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseOptions:
    """Which base is used, and where."""

    model: str = option(DEFAULT_BASE, "Base model: a folder, or a Hugging Face id.")
    shared: str = option(
        "auto",
        "The shared memory under everyone's own: auto for the one that comes with the package for"
        " this base, none, or a folder made by `lorecall share learn`.",
    )
    device: str = option("auto", "auto, cpu, cuda or cuda:N.")
    four_bit: bool = option(
        default=False, says="Keep the base in 4 bits, for cards of 12 GB (extra four-bit)."
    )

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How the work of a run is done."""

    workers: int = option(1, "Processes that work on the search, this one among them.", low=1)
    storage: str | None = option(None, "Optuna storage URL; a file in the run's folder otherwise.")
    warm_start: tuple[str, ...] = option((), "Folders of other people's runs to start from.")

    def __post_init__(self) -> None:
        check_options(self)


SETTINGS: Sections = {
    "": LearnSettings,
    "design": DesignSettings,
    "train": TrainSettings,
    "search": SearchSettings,
}
LEARN: Sections = {**SETTINGS, "base": BaseOptions, "run": RunOptions}
"""Every option of `lorecall learn`, by section."""


def presets_of(name: str) -> tuple[str, ...]:
    """Return the presets whose numbers a preset takes, the first that has one.

    Raises:
        ConfigError: It is not known.
    """
    known = choice("the preset", name, get_args(PresetName))
    return ("smoke", "laptop") if known == "smoke" else (known,)


def preset(
    name: str = "laptop", changes: Mapping[str, object] = NO_CHANGES, **named: object
) -> LearnSettings:
    """Make the settings of a preset, with some options changed.

    Args:
        name: `smoke`, `laptop` or `paper`.
        changes: By full name, for example `{"train.learning_rate": 1e-3}`.
        named: The same by their last names, for example `trials=4`.

    Raises:
        ConfigError: An unknown preset or option, or a value that its option may not have.

    Examples:
        >>> from lorecall import preset
        >>> settings = preset("laptop", {"train.learning_rate": 1e-3}, trials=12)
        >>> settings.train.learning_rate, settings.search.trials, settings.search.initial
        (0.001, 12, 5)
        >>> preset("laptop", learnig_rate=1e-3)
        Traceback (most recent call last):
            ...
        lorecall.errors.ConfigError: an option must be known: expected train.learning_rate, got
        'learnig_rate'. `lorecall options` lists them all.
    """
    values = {find_option(SETTINGS, key).full_name: v for key, v in {**changes, **named}.items()}
    presets = presets_of(name)
    return make(
        LearnSettings,
        values | {"preset": name},
        presets=presets,
        parts={
            "design": make(DesignSettings, values, section="design", presets=presets),
            "train": make(TrainSettings, values, section="train", presets=presets),
            "search": make(SearchSettings, values, section="search", presets=presets),
        },
    )
