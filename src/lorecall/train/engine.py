"""How a trial's losses and answers are computed: one contract, a plain way and a fast one.

Both compute the same. The plain engine is transformers' own forward pass over padded batches; the
fast one packs rows, takes what is frozen from where it is kept, and reads a prompt once for both
its loss and its answer. Tests compare them.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.engine.attention import Past
from lorecall.lm.engine.body import KeysValues, body_of
from lorecall.lm.engine.head import token_losses
from lorecall.lm.engine.packing import Pack, packed_rows
from lorecall.lm.engine.plain import act_on, answer_plainly
from lorecall.lm.engine.prefill import Prefilled, prompt_past, with_first_rows
from lorecall.lm.generate import continue_answers
from lorecall.lm.prompts import Encoded
from lorecall.lm.sampling import Chooser
from lorecall.records import Inject
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.batches import collate


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReading:
    """What was read of a batch; `prefilled` is there where it was to be kept."""

    losses: tuple[float, ...]
    prefilled: Prefilled | None = None


@runtime_checkable
class Engine(Protocol):
    """Computes losses and answers of samples with the base as it is now, memory or none."""

    base: LanguageModel

    def losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the cross entropy of each sample: the mean over its response tokens.

        Args:
            samples: One batch.

        Returns:
            Nats per token, fp32, with a gradient for the pairs. *Shape:* (samples,)
        """
        ...

    def read(self, samples: Sequence[Encoded], *, keep: bool = False) -> BatchReading:
        """Read the losses of one batch without training.

        Args:
            samples: One batch.
            keep: Whether to keep what was read of the prompts, for `answer`.
        """
        ...

    def answer(
        self,
        samples: Sequence[Encoded],
        reading: BatchReading | None = None,
        *,
        max_new_tokens: int,
        chooser: Chooser,
    ) -> list[list[int]]:
        """Answer the prompts of one batch, going on from a reading where there is one."""
        ...


class PlainEngine:
    """The reference: padded batches through transformers' own forward pass.

    Args:
        base: The base.
        injection: The memory on it, if any.
    """

    def __init__(self, base: LanguageModel, injection: Injection | None = None) -> None:
        self.base = base
        self.inject: Inject = "all" if injection is None else injection.config.inject

    def losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the loss of each sample; the head is applied to the rows that predict alone."""
        batch = collate(samples, pad_id=self.base.pad_id, device=self.base.device)
        if self.inject == "response":
            first = torch.tensor([[len(s.prompt) - 1] for s in samples], device=self.base.device)
            column = torch.arange(batch.input_ids.shape[1], device=self.base.device)
            act_on(self.base, column >= first)
        try:
            hidden = self.base.hidden(batch.input_ids, batch.attention_mask)
        finally:
            act_on(self.base, None)
        rows = hidden.reshape(-1, hidden.shape[-1])[batch.rows]
        losses = F.cross_entropy(self.base.logits(rows), batch.targets, reduction="none")
        return _sample_means(losses, [len(sample.response) for sample in samples])

    @torch.inference_mode()
    def read(self, samples: Sequence[Encoded], *, keep: bool = False) -> BatchReading:  # noqa: ARG002
        """Read the losses of one batch; nothing is kept."""
        return BatchReading(losses=tuple(self.losses(samples).tolist()))

    def answer(
        self,
        samples: Sequence[Encoded],
        reading: BatchReading | None = None,  # noqa: ARG002
        *,
        max_new_tokens: int,
        chooser: Chooser,
    ) -> list[list[int]]:
        """Answer the prompts of one batch."""
        return answer_plainly(
            self.base,
            [sample.prompt for sample in samples],
            max_new_tokens=max_new_tokens,
            chooser=chooser,
            inject=self.inject,
        )


class FastEngine:
    """The same numbers, sooner.

    Args:
        base: The base.
        injection: The memory on it, if any.
        frozen: Where to keep what the memory does not change; its own when None.
    """

    def __init__(
        self,
        base: LanguageModel,
        injection: Injection | None = None,
        *,
        frozen: ActivationCache | None = None,
    ) -> None:
        self.base = base
        self.body = body_of(base)
        self.injection = injection
        self.frozen = frozen or ActivationCache(self.body)
        self._responses_only = injection is not None and injection.config.inject == "response"

    def losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the loss of each sample."""
        h = self._predicting(samples)[0]
        return losses_of(self.base, h, samples)

    @torch.no_grad()
    def read(self, samples: Sequence[Encoded], *, keep: bool = False) -> BatchReading:
        """Read the losses of one batch, and keep the prompts' keys and values where asked to."""
        with self._folded():
            h, prefilled = self._predicting(samples, keep=keep)
            losses = tuple(losses_of(self.base, h, samples).tolist())
        return BatchReading(losses=losses, prefilled=prefilled)

    def answer(
        self,
        samples: Sequence[Encoded],
        reading: BatchReading | None = None,
        *,
        max_new_tokens: int,
        chooser: Chooser,
    ) -> list[list[int]]:
        """Answer the prompts of one batch, going on from a reading where there is one."""
        if reading is None or reading.prefilled is None:
            reading = self.read(samples, keep=True)
        assert reading.prefilled is not None
        with torch.no_grad(), self._folded():
            return continue_answers(
                self.body,
                reading.prefilled,
                max_new_tokens=max_new_tokens,
                chooser=chooser,
            )

    def _predicting(
        self, samples: Sequence[Encoded], *, keep: bool = False
    ) -> tuple[Tensor, Prefilled | None]:
        """Return the rows that predict response tokens, sample after sample."""
        kept: list[KeysValues] | None = [] if keep else None
        tails = [len(sample.response) for sample in samples]
        if self._responses_only:
            past = self.frozen.prompts(samples)
            own = [(sample.prompt[-1], *sample.response[:-1]) for sample in samples]
            packed = self.body.pack(own, tails, past=[len(s.prompt) - 1 for s in samples])
            h = self.body.wanted(self.body.embed(packed), packed, kept=kept, past=past)
            layers = with_first_rows(past, packed, kept) if kept is not None else ()
        else:
            packed = self.body.pack([sample.read for sample in samples], tails)
            h, below = self._start(samples, packed, keep=keep)
            start = None if self.injection is None else self.injection.frozen_to
            h = self.body.wanted(h, packed, start=start, kept=kept)
            lengths = [len(sample.prompt) for sample in samples]
            layers = (*below, *prompt_past(packed, lengths, kept)) if kept is not None else ()
        if not keep:
            return h, None
        firsts = [0, *accumulate(tails[:-1])]
        prompts = tuple(len(sample.prompt) for sample in samples)
        return h, Prefilled(lengths=prompts, layers=layers, last=h[firsts])

    def _start(
        self, samples: Sequence[Encoded], packed: Pack, *, keep: bool
    ) -> tuple[Tensor, tuple[Past, ...]]:
        """Return the stream to begin with, and the prompts' keys and values below it if wanted."""
        layer = None if self.injection is None else self.injection.frozen_to
        if layer is None:
            return self.body.embed(packed), ()
        known = self.frozen.known(layer, samples, keys=keep)
        h = packed_rows(packed, [k.streams[layer] for k in known])
        if not keep:
            return h, ()
        ends = [len(sample.prompt) for sample in samples]
        layers: list[Past] = []
        for i in range(layer + 1):
            k, v = (
                pad_sequence(
                    [x.keys_values[i][half][:n] for x, n in zip(known, ends, strict=True)],
                    batch_first=True,
                )
                for half in (0, 1)
            )
            layers.append((k, v))
        return h, tuple(layers)

    @contextmanager
    def _folded(self) -> Generator[None]:
        modules = () if self.injection is None else self.injection.modules
        with self.body.linears.folded(modules):
            yield


def losses_of(base: LanguageModel, h: Tensor, samples: Sequence[Encoded]) -> Tensor:
    """Compute the loss of each sample from the rows that predict, sample after sample."""
    targets = [token for sample in samples for token in sample.response]
    losses = token_losses(base, h, torch.tensor(targets, device=base.device))
    return _sample_means(losses, [len(sample.response) for sample in samples])


def _sample_means(losses: Tensor, lengths: Sequence[int]) -> Tensor:
    """Average token losses over each sample. *Shape:* (response tokens,) to (samples,)."""
    return torch.stack([part.mean() for part in losses.split(list(lengths))])
