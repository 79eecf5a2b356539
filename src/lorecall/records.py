"""The frozen records that pass between the stages: history -> samples -> trial -> memory.

This module knows nothing of files, models or the search.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from types import MappingProxyType
from typing import Literal, TypeVar

from lorecall.errors import ConfigError

Authorship = Literal["user", "assistant"]
"""Who wrote the responses of a dataset: the user (chat between people) or the assistant."""

Placement = Literal["deal", "every"]
"""How `n_loras` is read: a total dealt over the active layers, or a number for each of them."""

ReplyLength = Literal["own", "free"]
"""How long replies are: as the person's own are in the mean, or as decoding leaves them."""

Inject = Literal["all", "response"]
"""Which tokens the pairs act on: all, as in the paper, or those from the prompt's last on."""

Form = Literal["pair", "core"]
"""What is trained beside a linear map: a low-rank pair, or a core between the directions of the
shared memory's pair there, which stay as they are (Balazy et al., 2024)."""

SurrogateKind = Literal["nuts", "map"]
"""How the surrogate's hyperparameters are found: drawn by NUTS (the paper's), or fitted."""

Searched = Literal["none", "paper", "layer", "n", "rank", "n+rank", "n+layer", "rank+layer"]
"""Which of alpha (layer), n and r (rank) are searched: none, all as in the paper, or as a row of
Table 5."""

Factor = Literal["scaling"]
"""What can be searched beside alpha, n and r."""

ThirdObjective = Literal["parameters"]
"""What a search can trade beside the validation loss and ROUGE-L."""


T = TypeVar("T")
NO_DROPS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One earlier turn of a conversation.

    `by_author` is true when the author of the response wrote this turn too.

    Examples:
        >>> from lorecall import Turn
        >>> earlier = (Turn(by_author=False, text="were you in?"), Turn(by_author=True, text="no"))
        >>> [turn.text for turn in earlier if turn.by_author]
        ['no']
    """

    by_author: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One (x, y): what was said to the author, and what the author answered.

    `time` is in Unix seconds, `earlier` holds at most two turns, oldest first. `partner` is who
    said the query, where that is a person who is known.

    Examples:
        >>> from lorecall import Sample, Turn
        >>> before = (Turn(by_author=True, text="I was at the sea"),)
        >>> said = {"query": "and the weather?", "response": "rain, of course", "earlier": before}
        >>> sample = Sample(id="1", user="ann", conversation="monday", **said)
        >>> sample.own_text
        'rain, of course'
    """

    id: str
    user: str
    conversation: str
    query: str
    response: str
    time: float | None = None
    earlier: tuple[Turn, ...] = ()
    authored_by: Authorship = "user"
    partner: str | None = None

    @property
    def own_text(self) -> str:
        """What the user wrote in this sample, whichever side of it that is."""
        return self.response if self.authored_by == "user" else self.query


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Something the user wrote that is no usable response: an opener, a short or repeated reply.

    Examples:
        >>> from lorecall import Statement
        >>> opener = Statement(conversation="monday", text="shall we go to the sea?")
        >>> [opener.text]
        ['shall we go to the sea?']
    """

    conversation: str
    text: str
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Says that a history is many users' together, drawn and ordered by a seed.

    Examples:
        >>> from lorecall.data import load_history
        >>> load_history("history.jsonl", user="pooled", seed=3).pooled
        Pooled(n_users=2, seed=3)
    """

    n_users: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """U: everything one user wrote or was asked, in time order.

    `samples` are grouped by conversation, conversations ordered by their first message.
    `dropped` counts the records that are no sample, by reason. `pooled` is None where it is one
    user's. `files` are the caller's own files that it was read from, none for an installed dataset.
    `redacted` counts by kind what placeholders stand for; None where the texts are as written.

    Examples:
        >>> from lorecall import History, Sample
        >>> day = Sample(id="1", user="ann", conversation="1", query="how was it?", response="long")
        >>> history = History(dataset="diary", user="ann", samples=(day,))
        >>> dict(history.with_drops({"no response": 2}).dropped)
        {'no response': 2}
    """

    dataset: str
    user: str
    samples: tuple[Sample, ...]
    statements: tuple[Statement, ...] = ()
    profile: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=lambda: NO_DROPS)
    pooled: Pooled | None = None
    files: tuple[str, ...] = ()
    redacted: Mapping[str, int] | None = None

    def with_drops(self, more: Mapping[str, int]) -> "History":
        """Return the same history with more drops counted."""
        dropped = Counter(self.dropped) + Counter(more)
        return replace(self, dropped=MappingProxyType(dict(dropped)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """One user's samples, cut in time order at conversation boundaries.

    `own_content` is H's source: what the user wrote in the training part, and the profile;
    `redacted` is as in the history.

    Examples:
        >>> from lorecall.data import load_history, split_history
        >>> split_history(load_history("history.jsonl", user="ann")).sizes
        {'train': 18, 'valid': 3, 'test': 3}
    """

    user: str
    dataset: str
    train: tuple[Sample, ...]
    valid: tuple[Sample, ...]
    test: tuple[Sample, ...]
    own_content: tuple[str, ...]
    redacted: Mapping[str, int] | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """How many samples each part has."""
        return {"train": len(self.train), "valid": len(self.valid), "test": len(self.test)}


PAPER_FACTORS: Mapping[Factor, float] = MappingProxyType({"scaling": 1.0})
"""The factors beside alpha, n and r as the paper has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionConfig:
    """theta = (alpha, n, r): which layers are active, how many LoRA modules, of which rank.

    Args:
        layers: Indices of the active layers, ascending.
        n_loras: n, the number of modules (read as `placement` says).
        rank: r of every module.
        placement: `deal` spreads n modules over the active layers, `every` puts n in each.
        scaling: Factor on B A x; eq. (1) has none, so 1.
        inject: Which tokens the pairs act on; the paper's are `all`.
        form: What is trained; of a core, the rank is the number of directions that it mixes.

    Raises:
        ConfigError: A value is outside its range.

    Examples:
        >>> from lorecall import InjectionConfig
        >>> theta = InjectionConfig(layers=(0, 3, 29), n_loras=4, rank=8)
        >>> theta.modules_per_layer()
        {0: 2, 3: 1, 29: 1}
        >>> theta.ranks()
        {0: 16, 3: 8, 29: 8}
        >>> InjectionConfig(layers=(0, 3, 29), n_loras=4, rank=8, placement="every").ranks()
        {0: 32, 3: 32, 29: 32}
    """

    layers: tuple[int, ...]
    n_loras: int
    rank: int
    placement: Placement = "deal"
    scaling: float = 1.0
    inject: Inject = "all"
    form: Form = "pair"

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.layers, self.layers[1:], strict=False))
        if not self.layers or self.layers[0] < 0 or not ascending:
            raise ConfigError(
                "active layers must be distinct indices in ascending order, at least one",
                expected="for example (0, 3, 29)",
                got=repr(self.layers),
                next_step="Leave the memory out altogether to get the vanilla model.",
            )
        _at_least_one("n_loras", self.n_loras)
        _at_least_one("rank", self.rank)

    @property
    def beside(self) -> dict[Factor, float]:
        """Return the factors beside alpha, n and r that are not the paper's, by name."""
        factors: dict[Factor, float] = {"scaling": self.scaling}
        return {name: value for name, value in factors.items() if value != PAPER_FACTORS[name]}

    def modules_per_layer(self) -> dict[int, int]:
        """Deal n over the active layers (SPEC section 2).

        Returns:
            layer index -> number of rank-r modules there; layers without a module are left out.
        """
        return deal(self.layers, self.n_loras, self.placement)

    def ranks(self) -> dict[int, int]:
        """Return the rank of the one stacked pair that stands for a layer's k modules: k * r."""
        return {layer: k * self.rank for layer, k in self.modules_per_layer().items()}


DEFAULT_RANK = 8


def default_lora(n_layers: int, *, inject: Inject = "all") -> InjectionConfig:
    """Return the theta that people take without a search (SPEC section 7): all layers, rank 8."""
    layers = tuple(range(n_layers))
    return InjectionConfig(layers=layers, n_loras=n_layers, rank=DEFAULT_RANK, inject=inject)


def deal(layers: tuple[int, ...], n_loras: int, placement: Placement) -> dict[int, int]:
    """Deal n modules over active layers; those without a module are left out."""
    if placement == "every":
        return dict.fromkeys(layers, n_loras)
    if n_loras <= len(layers):
        return dict.fromkeys(evenly_spaced(layers, n_loras), 1)
    whole, rest = divmod(n_loras, len(layers))
    return {layer: whole + (i < rest) for i, layer in enumerate(layers)}


def taking_turns(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Make turns in a row of one side one turn, a line each, so that the sides alternate."""
    return tuple(
        Turn(by_author=by_author, text="\n".join(turn.text for turn in same))
        for by_author, same in groupby(turns, key=lambda turn: turn.by_author)
    )


def evenly_spaced(items: Sequence[T], n: int) -> tuple[T, ...]:
    """Pick n of the items, evenly spaced, both ends included; the middle one when n is 1."""
    if n == 1:
        return (items[(len(items) - 1) // 2],)
    step = (len(items) - 1) / (n - 1)
    return tuple(items[int(i * step + 0.5)] for i in range(n))


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ConfigError(
            f"{name} must be positive",
            expected="1 or more",
            got=str(value),
            next_step="Leave the memory out altogether to get the vanilla model.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """What trying one theta found: both objectives p(theta), and what it took.

    Args:
        loss: Validation loss at the best point, in nats per token; minimised.
        rouge_l: Mean validation ROUGE-L there, 0 to 100; maximised.
        rouge_l_error: Its bootstrap standard error, in the same unit.
        n_parameters: How many numbers were trained.
        n_tokens: Tokens trained on.
        curve: (epoch, validation loss), the base's own first.
        train_s: Seconds of training, its readings of the validation loss included.
        evaluate_s: Seconds of answering the validation prompts.
    """

    loss: float
    rouge_l: float
    rouge_l_error: float
    n_parameters: int
    n_tokens: int
    curve: tuple[tuple[float, float], ...]
    train_s: float
    evaluate_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its 95% bootstrap interval.

    Examples:
        >>> from lorecall import Interval
        >>> Interval(value=-0.31, low=-0.44, high=-0.18).excludes_zero
        True
    """

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly on one side of zero."""
        return self.low > 0 or self.high < 0
