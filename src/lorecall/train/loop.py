"""Train the pairs of one theta and keep them at their best point.

AdamW with a linear schedule and warm-up (section 3.4). It is read where its validation
loss is lowest, never at a fixed epoch (SPEC section 3): the loss is taken several times an epoch,
the best weights are kept, and training stops when it no longer falls.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from time import perf_counter

import torch
from torch.optim.lr_scheduler import LambdaLR

from lorecall.lm.attach import Injection
from lorecall.lm.encoded import Encoded
from lorecall.lm.generate import BATCH_SIZE
from lorecall.settings import TrainSettings
from lorecall.train.batches import epoch_batches, length_batches
from lorecall.train.engine import BatchReading, Engine

KEEP_BYTES = 2**29  # keys and values of validation prompts, so that answering them reads no prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class LossReading:
    """The losses of samples, in their order, and what was read of them, batch by batch."""

    losses: tuple[float, ...]
    batches: tuple[tuple[tuple[int, ...], BatchReading], ...] = ()

    @property
    def mean(self) -> float:
        """Mean loss."""
        return fmean(self.losses)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The validation loss after so many steps; step 0 is the base itself."""

    step: int
    epoch: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What training one theta did.

    `best_reading` is what was read at the best point, None where that is the base itself.
    `train_losses` has one value a step; `n_tokens` counts what went through the model in training,
    padding left out.
    """

    best: CurvePoint
    best_reading: LossReading | None = field(repr=False, compare=False)
    curve: tuple[CurvePoint, ...]
    train_losses: tuple[float, ...]
    n_tokens: int
    seconds: float

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The curve as (epoch, validation loss)."""
        return tuple((point.epoch, point.loss) for point in self.curve)


def read_samples(engine: Engine, samples: Sequence[Encoded], *, keep_bytes: int = 0) -> LossReading:
    """Read the loss of every sample without training.

    Args:
        engine: How.
        samples: Any number of samples.
        keep_bytes: Most that is kept of what was read of the prompts.
    """
    losses = [0.0] * len(samples)
    kept: list[tuple[tuple[int, ...], BatchReading]] = []
    for chosen in read_batches(samples):
        reading = engine.read([samples[i] for i in chosen], keep=keep_bytes > 0)
        for i, loss in zip(chosen, reading.losses, strict=True):
            losses[i] = loss
        if reading.prefilled is not None:
            keep_bytes -= reading.prefilled.n_bytes
        kept.append((chosen, reading if keep_bytes > 0 else replace(reading, prefilled=None)))
    return LossReading(losses=tuple(losses), batches=tuple(kept))


def read_batches(samples: Sequence[Encoded]) -> list[tuple[int, ...]]:
    """Cut samples into batches of like length, for reading and answering.

    Examples:
        >>> from lorecall.lm import Encoded
        >>> from lorecall.train import read_batches
        >>> read_batches([Encoded(prompt=(1,) * n, response=(2,)) for n in (3, 9, 6)])
        [(1, 2, 0)]
    """
    order = sorted(range(len(samples)), key=lambda i: -samples[i].n_tokens)
    return [tuple(batch) for batch in length_batches(order, BATCH_SIZE)]


def train(  # noqa: PLR0913
    injection: Injection,
    train_samples: Sequence[Encoded],
    valid_samples: Sequence[Encoded],
    *,
    settings: TrainSettings,
    seed: int,
    base_loss: float,
    engine: Engine,
    on_step: Callable[[float], None] | None = None,
) -> TrainReport:
    """Train the pairs in place; they end as they were at the lowest validation loss.

    Args:
        injection: The pairs.
        train_samples: What is learnt.
        valid_samples: What the best point is chosen by.
        settings: Rates, sizes and caps.
        seed: Seed of the order of the samples.
        base_loss: The base's own validation loss: the start of the curve.
        engine: How losses are computed.
        on_step: Called after every step with its share of the longest training there may be.

    Returns:
        The loss curve and what it cost.
    """
    n_batches = -(-len(train_samples) // sequences_a_step(train_samples, settings.batch_size))
    run = TrainingRun(injection, settings, n_batches, base_loss=base_loss)
    for chosen in all_batches(train_samples, settings, seed):
        batch = [train_samples[j] for j in chosen]
        loss = engine.losses(batch).mean()
        loss.backward()
        run.step(loss.item(), n_tokens=sum(sample.n_tokens for sample in batch))
        if on_step is not None:
            on_step(1 / run.n_steps)
        if run.reading_is_due:
            run.record(read_samples(engine, valid_samples, keep_bytes=KEEP_BYTES))
        if run.is_over:
            break
    return run.report()


class TrainingRun:
    """One theta on its way: optimiser, schedule, the curve so far, and its best point.

    Args:
        injection: The pairs.
        settings: Rates, sizes and caps.
        n_batches: How many steps an epoch has.
        base_loss: The base's own validation loss: the start of the curve.
    """

    def __init__(
        self,
        injection: Injection,
        settings: TrainSettings,
        n_batches: int,
        *,
        base_loss: float,
    ) -> None:
        self.injection, self.settings = injection, settings
        self.parameters = list(injection.parameters())
        self.n_batches = n_batches
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.n_steps = n_steps = self.n_batches * settings.max_epochs
        n_warmup = max(1, round(settings.warmup_share * n_steps))
        self.schedule = LambdaLR(self.optimizer, lambda step: _linear(step, n_warmup, n_steps))
        self.curve = [CurvePoint(step=0, epoch=0.0, loss=base_loss)]
        self.best, self.best_tensors = self.curve[0], injection.tensors()
        self.best_reading: LossReading | None = None
        self.losses: list[float] = []
        self.n_tokens = 0
        self._started = perf_counter()
        self._readings = _reading_steps(self.n_batches, settings.evals_per_epoch)

    def step(self, loss: float, *, n_tokens: int) -> None:
        """Take one step along the gradients that are there."""
        torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self.losses.append(loss)
        self.n_tokens += n_tokens

    @property
    def reading_is_due(self) -> bool:
        """Whether the validation loss is to be read after the last step."""
        return (len(self.losses) - 1) % self.n_batches + 1 in self._readings

    @property
    def is_over(self) -> bool:
        """Whether patience is at its end."""
        since = len(self.curve) - 1 - self.curve.index(self.best)
        return since >= self.settings.patience

    def record(self, reading: LossReading) -> None:
        """Note a reading; the best point's pairs are kept."""
        n = len(self.losses)
        point = CurvePoint(step=n, epoch=n / self.n_batches, loss=reading.mean)
        self.curve.append(point)
        if point.loss < self.best.loss:
            self.best, self.best_tensors = point, self.injection.tensors()
            self.best_reading = reading

    def report(self) -> TrainReport:
        """Put the best pairs back and say what was done."""
        self.injection.load(self.best_tensors)
        return TrainReport(
            best=self.best,
            best_reading=self.best_reading,
            curve=tuple(self.curve),
            train_losses=tuple(self.losses),
            n_tokens=self.n_tokens,
            seconds=perf_counter() - self._started,
        )


def _linear(step: int, n_warmup: int, n_steps: int) -> float:
    """Rise linearly over the warm-up, then fall linearly to zero."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))


def _reading_steps(n_batches: int, evals: int) -> set[int]:
    """After which batches of an epoch the validation loss is read; the last one is among them."""
    return {-(-n_batches * k // evals) for k in range(1, evals + 1)}


def all_batches(
    samples: Sequence[Encoded], settings: TrainSettings, seed: int
) -> Iterator[list[int]]:
    """Go through the batches of every epoch, each epoch in a new order.

    A batch has about as many replies as the settings say.
    """
    rng = random.Random(seed)
    lengths = [sample.n_tokens for sample in samples]
    for _ in range(settings.max_epochs):
        yield from epoch_batches(lengths, sequences_a_step(samples, settings.batch_size), rng)


def sequences_a_step(samples: Sequence[Encoded], n_replies: int) -> int:
    """Return how many sequences a step takes, so that it has about so many replies."""
    return max(1, round(n_replies * len(samples) / sum(len(sample.spans) for sample in samples)))
