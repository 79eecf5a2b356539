"""The numbers of a shared memory, beside `lorecall.settings`. Nothing heavy is imported."""

from dataclasses import dataclass

from lorecall.core.options import Sections, check_options, option
from lorecall.settings import MAX_SEED, MIN_SCALING, TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSettings:
    """How a shared memory is learnt from many people (SPEC section 9).

    Examples:
        >>> from lorecall import ShareSettings
        >>> settings = ShareSettings(replies=2_000, epochs=2)
        >>> settings.train.max_epochs, settings.train.patience
        (2, 8)
    """

    replies: int = option(12_000, "Most replies that are learnt.", low=40)
    valid: int = option(200, "Replies of others, to watch the training by.", low=4)
    rank: int = option(32, "Rank of the pairs in training; they are in every layer.", low=1)
    kept_rank: int = option(
        16, "Rank that is kept of it: half the bytes, for 0.007 of the loss (measured).", low=1
    )
    scaling: float = option(4.0, "Factor on them.", low=MIN_SCALING)
    learning_rate: float = option(5e-4, "AdamW's peak rate.", low=0)
    batch_size: int = option(16, "Replies a step.", low=1)
    epochs: int = option(1, "How often they are gone through.", low=1)
    seed: int = option(0, "Seed of the draw and of the training.", low=0, high=MAX_SEED)

    def __post_init__(self) -> None:
        check_options(self)

    @property
    def train(self) -> TrainSettings:
        """The same as what any training is given; it is read four times an epoch, to its end."""
        return TrainSettings(
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            max_epochs=self.epochs,
            evals_per_epoch=4,
            patience=4 * self.epochs,
        )


SHARE: Sections = {"share": ShareSettings}
"""Every option of `lorecall share learn`."""
