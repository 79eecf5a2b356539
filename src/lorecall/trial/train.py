"""Train the pairs of one candidate and keep them at their best point.

AdamW with a linear schedule and warm-up (section 3.4). A candidate is read where its validation
loss is lowest, never at a fixed epoch (SPEC section 3): the loss is taken several times an epoch,
the best weights are kept, and training stops when it no longer falls.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from lorecall.lm.base import BaseModel
from lorecall.lm.inject import Injection
from lorecall.lm.prompts import Encoded
from lorecall.settings import TrainSettings
from lorecall.trial.batches import Batch, collate, epoch_batches, length_batches

_READ_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The validation loss after so many steps; step 0 is the base itself."""

    step: int
    epoch: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What training one candidate did.

    `train_losses` has one value a step; `n_tokens` counts what went through the model in training,
    padding left out.
    """

    best: CurvePoint
    curve: tuple[CurvePoint, ...]
    train_losses: tuple[float, ...]
    n_tokens: int
    seconds: float

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The curve as (epoch, validation loss)."""
        return tuple((point.epoch, point.loss) for point in self.curve)


def sample_losses(base: BaseModel, batch: Batch) -> Tensor:
    """Compute the cross entropy of each sample: the mean over its response tokens.

    The head is applied to the rows that predict a response token, and to no other.

    Returns:
        Nats per token, fp32. *Shape:* (samples,)
    """
    hidden = base.hidden(batch.input_ids, batch.attention_mask)
    rows = hidden.reshape(-1, hidden.shape[-1])[batch.rows]
    losses = F.cross_entropy(base.logits(rows), batch.targets, reduction="none")
    total = losses.new_zeros(batch.n_samples).index_add(0, batch.owner, losses)
    return total / torch.bincount(batch.owner, minlength=batch.n_samples)


@torch.inference_mode()
def read_losses(base: BaseModel, samples: Sequence[Encoded]) -> list[float]:
    """Read the loss of every sample, in their order, without training."""
    order = sorted(range(len(samples)), key=lambda i: samples[i].n_tokens)
    losses = [0.0] * len(samples)
    for chosen in length_batches(order, _READ_BATCH_SIZE):
        batch = collate([samples[i] for i in chosen], pad_id=base.pad_id, device=base.device)
        for i, loss in zip(chosen, sample_losses(base, batch).tolist(), strict=True):
            losses[i] = loss
    return losses


def train(
    injection: Injection,
    train_samples: Sequence[Encoded],
    valid_samples: Sequence[Encoded],
    *,
    settings: TrainSettings,
    seed: int,
    vanilla_loss: float | None = None,
    on_tokens: Callable[[int], None] | None = None,
) -> TrainReport:
    """Train the pairs in place; they end as they were at the lowest validation loss.

    Args:
        injection: The pairs, on their base.
        train_samples: What is learnt.
        valid_samples: What the best point is chosen by.
        settings: Rates, sizes and caps.
        seed: Seed of the order of the samples.
        vanilla_loss: The base's own validation loss, when it is known already.
        on_tokens: Called with the tokens of every step as it ends.

    Returns:
        The loss curve and what it cost.
    """
    started = time.perf_counter()
    run = _Run(injection, settings, n_samples=len(train_samples))
    if vanilla_loss is None:
        vanilla_loss = fmean(read_losses(injection.base, valid_samples))
    curve = [CurvePoint(step=0, epoch=0.0, loss=vanilla_loss)]
    best, best_tensors = curve[0], injection.tensors()
    readings = _reading_steps(run.n_batches, settings.evals_per_epoch)
    n_tokens = 0
    for i, chosen in enumerate(_all_batches(train_samples, settings, seed)):
        run.step([train_samples[j] for j in chosen])
        step_tokens = sum(train_samples[j].n_tokens for j in chosen)
        n_tokens += step_tokens
        if on_tokens is not None:
            on_tokens(step_tokens)
        if i % run.n_batches + 1 not in readings:
            continue
        loss = fmean(read_losses(injection.base, valid_samples))
        curve.append(CurvePoint(step=i + 1, epoch=(i + 1) / run.n_batches, loss=loss))
        if loss < best.loss:
            best, best_tensors = curve[-1], injection.tensors()
        if len(curve) - 1 - curve.index(best) >= settings.patience:
            break
    injection.load(best_tensors)
    return TrainReport(
        best=best,
        curve=tuple(curve),
        train_losses=tuple(run.losses),
        n_tokens=n_tokens,
        seconds=time.perf_counter() - started,
    )


class _Run:
    """The optimiser, its schedule, and the losses so far."""

    def __init__(self, injection: Injection, settings: TrainSettings, *, n_samples: int) -> None:
        self.base = injection.base
        self.parameters = list(injection.parameters())
        self.clip_norm = settings.clip_norm
        self.n_batches = -(-n_samples // settings.batch_size)
        self.losses: list[float] = []
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        n_steps = self.n_batches * settings.max_epochs
        n_warmup = max(1, round(settings.warmup_share * n_steps))
        self.schedule = LambdaLR(self.optimizer, lambda step: _linear(step, n_warmup, n_steps))

    def step(self, samples: Sequence[Encoded]) -> None:
        batch = collate(samples, pad_id=self.base.pad_id, device=self.base.device)
        loss = sample_losses(self.base, batch).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        self.losses.append(loss.item())


def _linear(step: int, n_warmup: int, n_steps: int) -> float:
    """Rise linearly over the warm-up, then fall linearly to zero."""
    if step < n_warmup:
        return (step + 1) / n_warmup
    return max(0.0, (n_steps - step) / max(1, n_steps - n_warmup))


def _reading_steps(n_batches: int, evals: int) -> set[int]:
    """After which batches of an epoch the validation loss is read; the last one is among them."""
    return {-(-n_batches * k // evals) for k in range(1, evals + 1)}


def _all_batches(
    samples: Sequence[Encoded], settings: TrainSettings, seed: int
) -> Iterator[list[int]]:
    """Go through the batches of every epoch, each epoch in a new order."""
    rng = random.Random(seed)
    lengths = [sample.n_tokens for sample in samples]
    for _ in range(settings.max_epochs):
        yield from epoch_batches(lengths, settings.batch_size, rng)
