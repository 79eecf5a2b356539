"""Some candidates trained in full, one after another, and one of them taken by validation loss.

A search's trials may see less than the final training does, and then rank candidates by how fast
they learn. What a few of them come to in full decides between those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from lorecall.records import InjectionConfig, Take
from lorecall.train.trial import Trained, TrialData, Trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Finals:
    """Candidates trained in full.

    Args:
        best: Which of them is kept, by its place.
        trained: What it came to.
        losses: Validation loss of each at its best point, in nats per token.
        seconds: All of their training.
    """

    best: int
    trained: Trained
    losses: tuple[float, ...]
    seconds: float


def train_finalists(
    trials: Trials,
    configs: Sequence[InjectionConfig],
    data: TrialData,
    *,
    vanilla_loss: float,
    take: Take = "lowest",
    on_tokens: Callable[[int], None] | None = None,
) -> Finals:
    """Train each of them to its best point, and keep one.

    Args:
        trials: How they are trained.
        configs: Who they are, one at least.
        data: What is learnt, and what the best is chosen by.
        vanilla_loss: The base's own validation loss.
        take: Which is kept.
        on_tokens: Called with the tokens of every step as it ends.
    """
    trained = [
        trials.train(config, data, vanilla_loss=vanilla_loss, on_tokens=on_tokens)
        for config in configs
    ]
    best = take_finalist(trained, take)
    return Finals(
        best=best,
        trained=trained[best],
        losses=tuple(each.report.best.loss for each in trained),
        seconds=sum(each.report.seconds for each in trained),
    )


def take_finalist(trained: Sequence[Trained], take: Take) -> int:
    """Say which is kept: of the lowest validation loss, or the smallest that is level with it.

    Of equals the first. Level is whose loss is higher by at most one standard error of the paired
    difference over the validation samples: the rule of one standard error, there for trees, of
    Breiman et al. (1984), "Classification and Regression Trees".
    """
    places = range(len(trained))
    lowest = min(places, key=lambda i: trained[i].report.best.loss)
    if take == "lowest":
        return lowest
    level = [i for i in places if i == lowest or _is_level(trained[i], trained[lowest])]
    return min(level, key=lambda i: (trained[i].n_parameters, trained[i].report.best.loss))


def _is_level(one: Trained, lowest: Trained) -> bool:
    """Say whether its loss is no higher than chance would have it; one sample cannot tell."""
    if len(one.valid_losses) < 2 or not lowest.valid_losses:  # noqa: PLR2004 - for a spread
        return False
    gaps = [a - b for a, b in zip(one.valid_losses, lowest.valid_losses, strict=True)]
    return fmean(gaps) <= stdev(gaps) / sqrt(len(gaps))
