"""How personal memories are: the same text read with its author's memory and with other people's.

Texts differ more than people do, so one memory read on different people's texts says next to
nothing. Here the text stays and the memory is swapped. A wrong memory also harms, so the gain over
it is shown beside the gain over none.

| symbol | meaning | shape |
|---|---|---|
| i, j | people | |
| L_i(M_j) | mean loss of i's test replies, read with j's memory, in nats per token | |
| PG | personal gain of i: the mean over the others of L_i(M_j), less L_i(M_i) | |
| gain of a reply | its loss with the shared memory alone, less that with the own one | |
| AUC | share of (reply, other) in which the own memory's loss is the lower; ties count half | |
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lorecall.errors import ConfigError
from lorecall.metrics.intervals import N_RESAMPLES, bootstrap_mean
from lorecall.records import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class SwappedLosses:
    """The losses of one person's test replies, in nats per token, under everyone's memory.

    Args:
        user: Whose replies.
        own: With their own memory. *Shape:* (replies,)
        others: With each other person's. *Shape:* (replies,) each
        shared: With the shared memory alone, or the base where there is none. *Shape:* (replies,)
        base: With the base, without a shared memory; empty where it was not read.

    Raises:
        ConfigError: A text was not read with every memory, or there is no other memory.

    Examples:
        >>> from lorecall.metrics import SwappedLosses
        >>> ann = SwappedLosses(
        ...     user="ann", own=(3.0, 3.2), others={"bob": (3.3, 3.1)}, shared=(3.2, 3.2)
        ... )
        >>> round(ann.gain, 2), ann.rank, ann.auc
        (0.1, 1, 0.5)
    """

    user: str
    own: tuple[float, ...]
    others: Mapping[str, tuple[float, ...]]
    shared: tuple[float, ...]
    base: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, losses in {"shared": self.shared, "base": self.base, **self.others}.items():
            if len(losses) != len(self.own) and (losses or name != "base"):
                raise ConfigError(
                    "a text is read with every memory",
                    expected=f"{len(self.own)} losses",
                    got=f"{len(losses)} with {name}",
                    next_step="Read the same replies with each.",
                )
        if not self.own or not self.others:
            raise ConfigError(
                "memories are swapped between people",
                expected="at least one reply, and another person's memory",
                got=f"{len(self.own)} replies and {len(self.others)} other memories",
                next_step="Read two people or more.",
            )

    def of_replies(self, chosen: Sequence[int]) -> "SwappedLosses":
        """Return the losses of some of the replies.

        Args:
            chosen: Their places, at least one.
        """

        def some(losses: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(losses[i] for i in chosen) if losses else ()

        return SwappedLosses(
            user=self.user,
            own=some(self.own),
            others={user: some(losses) for user, losses in self.others.items()},
            shared=some(self.shared),
            base=some(self.base),
        )

    @property
    def mean_others(self) -> tuple[float, ...]:
        """Each reply's loss in the mean over other people's memories."""
        return tuple(map(fmean, zip(*self.others.values(), strict=True)))

    @property
    def gain(self) -> float:
        """PG: how much worse the text is read with other people's memories, in the mean."""
        return fmean(map(fmean, self.others.values())) - fmean(self.own)

    @property
    def own_less_shared(self) -> float:
        """What the own memory adds to the shared one; below 0 it helps."""
        return fmean(self.own) - fmean(self.shared)

    @property
    def others_less_shared(self) -> float:
        """What other people's memories add to the shared one, in the mean."""
        return fmean(map(fmean, self.others.values())) - fmean(self.shared)

    @property
    def generic_gain(self) -> float | None:
        """What the shared memory is worth: the base's loss less its own."""
        return fmean(self.base) - fmean(self.shared) if self.base else None

    @property
    def rank(self) -> int:
        """The place of the own memory among all, from 1; of equals it comes last."""
        own = fmean(self.own)
        return 1 + sum(fmean(losses) <= own for losses in self.others.values())

    @property
    def auc(self) -> float:
        """The share of (reply, other memory) that prefer the own one."""
        pairs = [
            (mine < theirs) + (mine == theirs) / 2
            for losses in self.others.values()
            for mine, theirs in zip(self.own, losses, strict=True)
        ]
        return fmean(pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalGain:
    """What swapping memories says of several people; intervals are over people.

    Args:
        own_less_shared: As of one person.
        gain: PG.
        others_less_shared: As of one person.
        auc: As of one person.
        generic_gain: As of one person; None where the base was not read.
        ranks: The place of each one's own memory among all, in the order given.
        n_memories: Among how many; the fewest of anyone.
        n_better: For how many the own memory is better than the shared one alone.

    Examples:
        >>> from lorecall.metrics import SwappedLosses, personal_gain
        >>> ann = SwappedLosses(user="ann", own=(3.0,), others={"bob": (2.9,)}, shared=(3.2,))
        >>> found = personal_gain([ann])
        >>> found.ranks, found.n_memories, found.n_first, found.n_better
        ((2,), 2, 0, 1)
    """

    own_less_shared: Interval
    gain: Interval
    others_less_shared: Interval
    auc: Interval
    generic_gain: Interval | None
    ranks: tuple[int, ...]
    n_memories: int
    n_better: int

    @property
    def n_first(self) -> int:
        """For how many the own memory is the best of all."""
        return sum(rank == 1 for rank in self.ranks)


def personal_gain(
    people: Sequence[SwappedLosses], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> PersonalGain:
    """Sum up what swapping memories between people says.

    Args:
        people: Each person's losses.
        n_resamples: Resamples of the intervals.
        seed: Their seed.

    Raises:
        ConfigError: Nobody is given.

    Examples:
        >>> from lorecall.metrics import SwappedLosses, personal_gain
        >>> ann = SwappedLosses(
        ...     user="ann", own=(3.0, 3.2), others={"bob": (3.3, 3.5)}, shared=(3.2, 3.2)
        ... )
        >>> bob = SwappedLosses(user="bob", own=(2.9,), others={"ann": (3.1,)}, shared=(3.0,))
        >>> found = personal_gain([ann, bob])
        >>> round(found.gain.value, 2), round(found.own_less_shared.value, 2), found.n_first
        (0.25, -0.1, 2)
    """

    def interval(value: Callable[[SwappedLosses], float]) -> Interval:
        return bootstrap_mean([value(each) for each in people], n_resamples=n_resamples, seed=seed)

    generic = [each.generic_gain for each in people]
    known = [value for value in generic if value is not None]
    return PersonalGain(
        own_less_shared=interval(lambda each: each.own_less_shared),
        gain=interval(lambda each: each.gain),
        others_less_shared=interval(lambda each: each.others_less_shared),
        auc=interval(lambda each: each.auc),
        generic_gain=(
            bootstrap_mean(known, n_resamples=n_resamples, seed=seed)
            if len(known) == len(people)
            else None
        ),
        ranks=tuple(each.rank for each in people),
        n_memories=1 + min(len(each.others) for each in people),
        n_better=sum(each.own_less_shared < 0 for each in people),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """How often a person's own reply was told from other people's, out of how many queries.

    Args:
        right: How often it was picked.
        of: From how many queries.
        chance: The share that picking at random gets right.

    Examples:
        >>> from lorecall.metrics import Picked
        >>> found = Picked(right=5, of=12, chance=1 / 8)
        >>> found.right > found.of * found.chance
        True
    """

    right: int
    of: int
    chance: float


def pick_own(own: Sequence[Sequence[float]], shared: Sequence[Sequence[float]]) -> Picked:
    """Pick, of several replies to each query, the one that gains most from a person's own memory.

    What anyone might have said gains nothing from it. Where two gain alike, none is picked.

    Args:
        own: Losses with the own memory, in nats per token, the true reply's first in each row.
            *Shape:* (queries, candidates)
        shared: With the shared memory alone, or the base where there is none.
            *Shape:* (queries, candidates)

    Raises:
        ConfigError: There is no query, nothing to choose from, or the shapes differ.

    Examples:
        >>> from lorecall.metrics import pick_own
        >>> pick_own([(3.0, 3.4), (2.9, 3.1)], [(3.3, 3.5), (2.9, 3.2)])
        Picked(right=1, of=2, chance=0.5)
    """
    shapes = {(len(mine), len(without)) for mine, without in zip(own, shared, strict=False)}
    n_candidates = min((n for n, _ in shapes), default=0)
    if len(own) != len(shared) or n_candidates < 2 or shapes != {(n_candidates, n_candidates)}:  # noqa: PLR2004
        raise ConfigError(
            "a reply is picked from among several, each read with both memories",
            expected="as many losses of every query with one as with the other, two or more",
            got=f"{len(own)} and {len(shared)} queries, {sorted(shapes)} candidates",
            next_step="Read the same candidates with each.",
        )
    gains = (
        [without - mine for mine, without in zip(*losses, strict=True)]
        for losses in zip(own, shared, strict=True)
    )
    return Picked(
        right=sum(true > max(others) for true, *others in gains),
        of=len(own),
        chance=1 / n_candidates,
    )
