"""Several runs trained side by side on one base: for small batches on a large device.

All runs of a search see the same samples in the same order, so a step of k of them is one
batch with k times the rows: the base's products are made once over all rows, each candidate's pairs
act on their own. What each of them learns is what it would have learnt alone.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from torch import Tensor

from lorecall.errors import ConfigError
from lorecall.lm.attach import Injection
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.packing import packed_rows
from lorecall.lm.prompts import Encoded
from lorecall.settings import TrainSettings
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.engine import FastEngine, losses_of
from lorecall.train.loop import KEEP_BYTES, TrainingRun, TrainReport, all_batches, read


class GroupEngine:
    """Computes the losses of one batch under several memories at once, on the fast path.

    Args:
        injections: The memories, all of one base.
        cache: Where what no memory changes is kept.

    Raises:
        ConfigError: The memories act on different tokens.
    """

    def __init__(self, injections: Sequence[Injection], cache: ActivationCache) -> None:
        self.injections, self.cache, self.base = injections, cache, cache.base
        kinds = {injection.config.inject for injection in injections}
        if len(kinds) > 1:
            raise ConfigError(
                "memories trained together act on the same tokens",
                expected="all, or response, for every one",
                got=", ".join(sorted(kinds)),
                next_step="Train them apart.",
            )

    def losses(self, samples: Sequence[Encoded], members: Sequence[int]) -> Tensor:
        """Compute the loss of each sample under each memory.

        Args:
            samples: One batch.
            members: Which memories.

        Returns:
            Nats per token, with a gradient for the pairs. *Shape:* (members, samples)
        """
        n, body = len(members), Body(self.base, *(self.injections[i] for i in members))
        n_targets = [len(sample.response) for sample in samples] * n
        if body.inject == "response":
            past = [
                (k.repeat(n, 1, 1, 1), v.repeat(n, 1, 1, 1)) for k, v in self.cache.prompts(samples)
            ]
            own = [(sample.prompt[-1], *sample.response[:-1]) for sample in samples] * n
            before = [len(sample.prompt) - 1 for sample in samples] * n
            packed = body.pack(own, n_targets, past=before)
            h = body.targets(body.embed(packed), packed, past=past).h
        else:
            layer = min(injection.first_layer for injection in self.injections)
            packed = body.pack([sample.read for sample in samples] * n, n_targets, share=False)
            known = self.cache.entries(layer, samples)
            streams = packed_rows(packed, [entry.streams[layer] for entry in known] * n)
            h = body.targets(streams, packed, start=layer).h
        return losses_of(self.base, h, list(samples) * n).view(n, -1)


def train_together(
    engine: GroupEngine,
    train_samples: Sequence[Encoded],
    valid_samples: Sequence[Encoded],
    *,
    settings: TrainSettings,
    seed: int,
    base_loss: float,
    on_step: Callable[[float], None] | None = None,
) -> list[TrainReport]:
    """Train each member as `lorecall.train.loop.train` would, all at once.

    Args:
        engine: The pairs; they end at their best points.
        train_samples: What is learnt.
        valid_samples: What the best points are chosen by.
        settings: Rates, sizes and caps.
        seed: Seed of the order of the samples.
        base_loss: The base's own validation loss: the start of every curve.
        on_step: Called after every step with its share of the longest training there may be.

    Returns:
        One report a member, in order; `seconds` is each one's share of the time.
    """
    runs = [
        TrainingRun(injection, settings, len(train_samples), base_loss=base_loss)
        for injection in engine.injections
    ]
    going = list(range(len(runs)))
    for chosen in all_batches(train_samples, settings, seed):
        batch = [train_samples[j] for j in chosen]
        with ExitStack() as blocks:
            for i in going:
                blocks.enter_context(runs[i].dropping())
            losses = engine.losses(batch, going).mean(dim=1)
            losses.sum().backward()  # no memory's loss depends on another's pairs
        n_tokens = sum(sample.n_tokens for sample in batch)
        for i, loss in zip(going, losses.tolist(), strict=True):
            runs[i].step(loss, n_tokens=n_tokens)
        if on_step is not None:
            on_step(1 / runs[0].n_steps)
        if runs[going[0]].reading_is_due:  # they step together, so they are read together
            for i in going:
                one = FastEngine(engine.base, engine.injections[i], cache=engine.cache)
                runs[i].record(read(one, valid_samples, keep_bytes=KEEP_BYTES // len(going)))
            going = [i for i in going if not runs[i].is_over]
        if not going:
            break
    reports = [run.report() for run in runs]
    return [replace(report, seconds=report.seconds / len(reports)) for report in reports]
