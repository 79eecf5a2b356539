"""Some candidates trained in full, one after another, and one of them taken by validation loss.

A search's trials may see less than the final training does, and then rank candidates by how fast
they learn. What a few of them come to in full decides between those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lorecall.records import InjectionConfig
from lorecall.train.trial import Trained, TrialData, TrialRunner


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
    trials: TrialRunner,
    configs: Sequence[InjectionConfig],
    data: TrialData,
    *,
    vanilla_loss: float,
    on_tokens: Callable[[int], None] | None = None,
) -> Finals:
    """Train each of them to its best point, and keep the one of the lowest validation loss.

    Args:
        trials: How they are trained.
        configs: Who they are, one at least.
        data: What is learnt, and what the best is chosen by.
        vanilla_loss: The base's own validation loss.
        on_tokens: Called with the tokens of every step as it ends.
    """
    trained = [
        trials.train(config, data, vanilla_loss=vanilla_loss, on_tokens=on_tokens)
        for config in configs
    ]
    best = min(range(len(trained)), key=lambda i: trained[i].report.best.loss)
    return Finals(
        best=best,
        trained=trained[best],
        losses=tuple(each.report.best.loss for each in trained),
        seconds=sum(each.report.seconds for each in trained),
    )
