"""This project's way through a trial's step and evaluation, built from its public parts."""

import sys
from time import perf_counter

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from trial_work import Batch, Task

from lorecall import InjectionConfig, preset
from lorecall.lm import GreedyChooser, Injection, LanguageModel
from lorecall.metrics import rouge
from lorecall.train import ActivationCache, FastEngine, read_batches

SETTINGS = preset().train


class Ours:
    """The fast engine, in the base's own number format.

    Args:
        base: The base; no memory may be on it.
    """

    name = "ours"
    n_at_once = sys.maxsize  # it sorts them itself

    def __init__(self, base: LanguageModel) -> None:
        self.base = base
        self.dtype = base.dtype
        self.cache = ActivationCache(base)  # one for all cases, as one search has one
        self._injection: Injection | None = None

    @property
    def injection(self) -> Injection:
        """The pairs that are on."""
        assert self._injection is not None
        return self._injection

    def put_on(self, config: InjectionConfig) -> None:
        """Put fresh pairs on the base."""
        self._injection = Injection(self.base, config, seed=0)
        self.engine = FastEngine(self.base, self._injection, cache=self.cache)
        self.parameters = list(self._injection.parameters())
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=SETTINGS.learning_rate,
            weight_decay=SETTINGS.weight_decay,
            fused=True,
        )
        self.schedule = LambdaLR(self.optimizer, lambda _: 1.0)

    def take_off(self) -> None:
        """Leave the base as it was."""
        del self.engine, self.parameters, self.optimizer, self.schedule
        self._injection = None

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take over pairs."""
        self.injection.load(tensors)

    def warm(self, samples: Batch) -> None:
        """Let the store of what is frozen know samples, as it does from a second epoch on."""
        self.cache.entries(self.injection.first_layer, samples)

    def train(self, batch: Batch) -> float:
        """Take one step, as `lorecall.train.loop` does."""
        synchronise(self.base.device)
        started = perf_counter()
        loss = self.engine.losses(batch).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, SETTINGS.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()
        loss.item()
        synchronise(self.base.device)
        return perf_counter() - started

    def loss_and_norm(self, batch: Batch) -> tuple[float, float]:
        """Return the loss and its gradient's norm."""
        loss = self.engine.losses(batch).mean()
        loss.backward()
        norm = torch.nn.utils.get_total_norm(
            [p.grad for p in self.parameters if p.grad is not None]
        )
        self.optimizer.zero_grad()
        return loss.item(), norm.item()

    def sample_losses(self, samples: Batch) -> list[float]:
        """Return each sample's loss."""
        return list(self.engine.read(samples).losses)

    def evaluate(self, task: Task) -> tuple[float, list[list[int]]]:
        """Read losses and answers, as `lorecall.train.Reader.read` does."""
        synchronise(self.base.device)
        started = perf_counter()
        answers: list[list[int]] = [[] for _ in task.encoded]
        for chosen in read_batches(task.encoded):
            batch = [task.encoded[i] for i in chosen]
            reading = self.engine.read(batch, keep=True)
            found = self.engine.answer(
                batch,
                reading,
                max_new_tokens=task.max_new_tokens,
                chooser=GreedyChooser(task.format.stop_ids),
            )
            for i, answer in zip(chosen, found, strict=True):
                answers[i] = answer
        rouge([task.format.text(answer) for answer in answers], task.references)
        return perf_counter() - started, answers


def synchronise(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
