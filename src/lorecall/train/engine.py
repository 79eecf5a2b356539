"""How a trial's losses and answers are computed: one contract, a plain way and a fast one.

Both compute the same. The plain engine is transformers' own forward pass over padded batches; the
fast one packs rows, takes what no memory changes from a cache, and reads a prompt once for both its
loss and its answer. Tests compare them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from statistics import fmean
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lorecall.lm.attach import Injection
from lorecall.lm.base import LanguageModel
from lorecall.lm.encoded import Encoded
from lorecall.lm.engine.attention import PastKeyValues
from lorecall.lm.engine.body import Body
from lorecall.lm.engine.head import token_losses as head_losses
from lorecall.lm.engine.packing import Pack, packed_rows
from lorecall.lm.engine.plain import acting_on, answer_plainly
from lorecall.lm.engine.prefill import Prefilled, prompt_past, with_first_rows
from lorecall.lm.generate import continue_answers
from lorecall.lm.sampling import Chooser
from lorecall.train.activation_cache import ActivationCache
from lorecall.train.batches import collate


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReading:
    """What was read of a batch; `prefilled` is there where it was to be kept.

    `token_losses` holds the losses of each reply's tokens, in nats.
    """

    token_losses: tuple[tuple[float, ...], ...]
    prefilled: Prefilled | None = None

    @property
    def losses(self) -> tuple[float, ...]:
        """Return the loss of each reply: the mean over its tokens."""
        return tuple(map(fmean, self.token_losses))


@runtime_checkable
class Engine(Protocol):
    """Computes losses and answers of samples with a base, and a memory or none."""

    base: LanguageModel

    def losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the cross entropy of each reply: the mean over its tokens.

        Args:
            samples: One batch.

        Returns:
            Nats per token, fp32, with a gradient for the pairs. A sample has one reply; a whole
            conversation has several, one after another. *Shape:* (replies,)
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
        injection: The memory, if any.
    """

    def __init__(self, base: LanguageModel, injection: Injection | None = None) -> None:
        self.base = base
        self.injection = injection

    def losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the loss of each reply."""
        return _means(self.token_losses(samples), samples)

    def token_losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the loss of each token; the head is applied to the rows that predict alone."""
        batch = collate(samples, pad_id=self.base.pad_id, device=self.base.device)
        first = torch.tensor([[len(s.prompt) - 1] for s in samples], device=self.base.device)
        column = torch.arange(batch.input_ids.shape[1], device=self.base.device)
        memory = acting_on(self.injection, column >= first)
        hidden = self.base.hidden(batch.input_ids, batch.attention_mask, memory=memory)
        rows = hidden.reshape(-1, hidden.shape[-1])[batch.rows]
        return F.cross_entropy(self.base.logits(rows), batch.targets, reduction="none")

    @torch.inference_mode()
    def read(self, samples: Sequence[Encoded], *, keep: bool = False) -> BatchReading:  # noqa: ARG002
        """Read the losses of one batch; nothing is kept."""
        return BatchReading(token_losses=_by_reply(self.token_losses(samples), samples))

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
            injection=self.injection,
        )


class FastEngine:
    """Packed rows through the fast path, and what no memory changes out of a cache.

    Args:
        base: The base; it must have a fast path.
        injection: The memory, if any.
        cache: Where to keep what the memory does not change; its own when None.

    Examples:
        >>> import torch
        >>> from lorecall.lm import Encoded, tiny_base
        >>> from lorecall.train import FastEngine
        >>> base, sample = tiny_base(), Encoded(prompt=(3, 72, 105, 4), response=(79, 107, 2))
        >>> loss = FastEngine(base).losses([sample])
        >>> logits = base.model(torch.tensor([sample.read])).logits[0, len(sample.prompt) - 1 :]
        >>> same = torch.nn.functional.cross_entropy(logits, torch.tensor(sample.response))
        >>> torch.allclose(loss, same, atol=1e-5)
        True
    """

    def __init__(
        self,
        base: LanguageModel,
        injection: Injection | None = None,
        *,
        cache: ActivationCache | None = None,
    ) -> None:
        self.base = base
        self.injection = injection
        self.cache = cache or ActivationCache(base)

    def losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the loss of each reply."""
        return _means(self.token_losses(samples), samples)

    def token_losses(self, samples: Sequence[Encoded]) -> Tensor:
        """Compute the loss of each token."""
        h = self._predicting(Body(self.base, self.injection), samples)[0]
        return _token_losses(self.base, h, samples)

    @torch.no_grad()
    def read(self, samples: Sequence[Encoded], *, keep: bool = False) -> BatchReading:
        """Read the losses of one batch, and keep the prompts' keys and values where asked to."""
        h, prefilled = self._predicting(self._merged(), samples, keep=keep)
        losses = _by_reply(_token_losses(self.base, h, samples), samples)
        return BatchReading(token_losses=losses, prefilled=prefilled)

    @torch.no_grad()
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
        return continue_answers(
            self._merged(), reading.prefilled, max_new_tokens=max_new_tokens, chooser=chooser
        )

    def _merged(self) -> Body:
        return Body(self.base, self.injection, merge=True)

    def _predicting(
        self, body: Body, samples: Sequence[Encoded], *, keep: bool = False
    ) -> tuple[Tensor, Prefilled | None]:
        """Return the rows that predict response tokens, sample after sample."""
        n_targets = [len(sample.response) for sample in samples]
        lengths = tuple(len(sample.prompt) for sample in samples)
        if body.inject == "response":
            past = self.cache.prompts(samples)
            own = [(sample.prompt[-1], *sample.response[:-1]) for sample in samples]
            packed = body.pack(own, n_targets, past=[n - 1 for n in lengths])
            passed = body.targets(body.embed(packed), packed, keep=keep, past=past)
            layers = with_first_rows(past, packed, passed.keys_values) if keep else ()
        else:
            packed = body.pack([sample.read for sample in samples], n_targets)
            # the attention of the very first layer is not worth the room it would be kept in
            start = None if self.injection is None else self.injection.frozen_to or None
            h, below = self._below(body, samples, packed, layer=start, keep=keep)
            passed = body.targets(h, packed, start=start, keep=keep)
            layers = (*below, *prompt_past(packed, lengths, passed.keys_values)) if keep else ()
        if not keep:
            return passed.h, None
        firsts = [0, *accumulate(n_targets[:-1])]
        return passed.h, Prefilled(lengths=lengths, layers=layers, last=passed.h[firsts])

    def _below(
        self,
        body: Body,
        samples: Sequence[Encoded],
        packed: Pack,
        *,
        layer: int | None,
        keep: bool,
    ) -> tuple[Tensor, tuple[PastKeyValues, ...]]:
        """Return the stream below a memory, and the prompts' keys and values there if wanted."""
        if layer is None:
            return body.embed(packed), ()
        known = self.cache.entries(layer, samples, keys=keep)
        h = packed_rows(packed, [entry.streams[layer] for entry in known])
        if not keep:
            return h, ()
        ends = [len(sample.prompt) for sample in samples]
        layers: list[PastKeyValues] = []
        for i in range(layer + 1):
            k, v = (
                pad_sequence(
                    [e.keys_values[i][half][:n] for e, n in zip(known, ends, strict=True)],
                    batch_first=True,
                )
                for half in (0, 1)
            )
            layers.append((k, v))
        return h, tuple(layers)


def engine_for(
    base: LanguageModel,
    injection: Injection | None = None,
    *,
    cache: ActivationCache | None = None,
    plain: bool = False,
) -> Engine:
    """Make the engine for a base: the fast one where its family has a fast path.

    Args:
        base: The base.
        injection: The memory, if any.
        cache: Where the fast engine keeps what the memory does not change.
        plain: Whether to take the plain engine in any case.
    """
    if plain or not base.has_fast_path:
        return PlainEngine(base, injection)
    return FastEngine(base, injection, cache=cache)


def _token_losses(base: LanguageModel, h: Tensor, samples: Sequence[Encoded]) -> Tensor:
    """Compute the loss of each token from the rows that predict, sample after sample."""
    if any(sample.replies is not None for sample in samples):
        starts = accumulate((len(sample.response) for sample in samples), initial=0)
        h = h[
            [start + i for start, each in zip(starts, samples, strict=False) for i in each.places]
        ]
    targets = [token for sample in samples for token in sample.targets]
    return head_losses(base, h, torch.tensor(targets, device=base.device))


def _means(losses: Tensor, samples: Sequence[Encoded]) -> Tensor:
    """Average token losses over each reply. *Shape:* (reply tokens,) to (replies,)."""
    return torch.stack([part.mean() for part in losses.split(_reply_lengths(samples))])


def _by_reply(losses: Tensor, samples: Sequence[Encoded]) -> tuple[tuple[float, ...], ...]:
    """Return token losses as numbers, reply by reply."""
    each = iter(losses.tolist())
    return tuple(tuple(islice(each, n)) for n in _reply_lengths(samples))


def _reply_lengths(samples: Sequence[Encoded]) -> list[int]:
    return [end - start for sample in samples for start, end in sample.spans]
