"""Which token comes next: the likeliest or a drawn one, stopping made likelier, no loop entered.

Greedy decoding of a small model, tuned or not, falls into loops. An answer in which no few tokens
in a row come twice has none.

What is added to the logits of stopping changes where an answer ends, not what it says until then.
So one answer that goes on as far as it may, with the margin by which stopping was behind at every
step, tells where it would end for any such number (`MarginChooser`, `ends_at`).
"""

from collections.abc import Collection, Iterator, Sequence
from hashlib import sha256
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lorecall.decoding import GREEDY, Decoding


@runtime_checkable
class Chooser(Protocol):
    """Chooses one token a row; an answer ends before the first of `stop_ids`."""

    stop_ids: frozenset[int]

    def choose(
        self, logits: Tensor, rows: Sequence[int], answers: Sequence[Sequence[int]]
    ) -> Tensor:
        """Choose the next token of some answers.

        Args:
            logits: May be changed in place. *Shape:* (rows, vocabulary)
            rows: Which of the answers go on.
            answers: What each is so far.

        Returns:
            Token ids. *Shape:* (rows,)
        """
        ...


class GreedyChooser:
    """Takes the likeliest token that may come.

    Args:
        stop_ids: Tokens that end an answer.
        decoding: What to heed beside the logits.

    Examples:
        >>> import torch
        >>> from lorecall import Decoding
        >>> from lorecall.lm import GreedyChooser
        >>> logits = torch.tensor([[0.0, 2.0, 3.0]])
        >>> GreedyChooser({0}).choose(logits, [0], [[1, 2, 1]])
        tensor([2])
        >>> never_twice = Decoding(no_repeat=2)
        >>> GreedyChooser({0}, never_twice).choose(logits, [0], [[1, 2, 1]])  # 1, 2 was there
        tensor([1])
    """

    def __init__(self, stop_ids: Collection[int], decoding: Decoding = GREEDY) -> None:
        self.stop_ids = frozenset(stop_ids)
        self._decoding, self._stops = decoding, _Columns(stop_ids)

    def choose(
        self, logits: Tensor, rows: Sequence[int], answers: Sequence[Sequence[int]]
    ) -> Tensor:
        """Choose the next token of some answers."""
        if self._decoding.stop_bias:
            logits[:, self._stops.at(logits)] += self._decoding.stop_bias
        _bar(logits, rows, answers, self._decoding.no_repeat)
        return logits.argmax(dim=-1)


class SamplingChooser:
    """Draws a token that may come, after the temperature, from the likeliest ones.

    What is drawn depends on an answer's key and how far it is alone: it is the same whatever else
    is in the batch. The filters are those of transformers' `generate`.

    Args:
        stop_ids: Tokens that end an answer.
        decoding: What to heed beside the logits; its temperature is above 0.
        keys: One an answer; those of like keys draw alike.
    """

    def __init__(
        self, stop_ids: Collection[int], decoding: Decoding, keys: Sequence[bytes]
    ) -> None:
        self.stop_ids = frozenset(stop_ids)
        self._decoding, self._stops, self._keys = decoding, _Columns(stop_ids), keys

    def choose(
        self, logits: Tensor, rows: Sequence[int], answers: Sequence[Sequence[int]]
    ) -> Tensor:
        """Choose the next token of some answers."""
        if self._decoding.stop_bias:
            logits[:, self._stops.at(logits)] += self._decoding.stop_bias
        _bar(logits, rows, answers, self._decoding.no_repeat)
        draws = torch.tensor(
            [self._draw(self._keys[row], len(answers[row])) for row in rows],
            dtype=torch.float64,
            device=logits.device,
        )
        kept = probabilities(logits, self._decoding).cumsum(dim=-1)
        # the draw is below 1, so the token found has a probability above 0
        return torch.searchsorted(kept, (draws * kept[:, -1])[:, None], right=True)[:, 0]

    def _draw(self, key: bytes, step: int) -> float:
        """Return a number in [0, 1) that the seed, the key and the step alone decide."""
        counter = f"{self._decoding.seed} {step} ".encode() + key
        return int.from_bytes(sha256(counter).digest()[:6]) / 2**48


def probabilities(logits: Tensor, decoding: Decoding) -> Tensor:
    """Return what tokens are drawn with: temperature, then the likeliest by `top_p` and `min_p`.

    Args:
        logits: *Shape:* (rows, vocabulary)
        decoding: With a temperature above 0.

    Returns:
        In fp64, 0 for those left out. *Shape:* (rows, vocabulary)
    """
    behind = logits.double() - logits.amax(dim=-1, keepdim=True)
    p = (behind / decoding.temperature).softmax(dim=-1)
    if decoding.top_p < 1:
        ordered, order = p.sort(dim=-1)
        beyond = ordered.cumsum(dim=-1) <= 1 - decoding.top_p
        beyond[:, -1] = False
        p = p.masked_fill(beyond.scatter(-1, order, beyond), 0)
    if decoding.min_p > 0:
        p = p.masked_fill(p < decoding.min_p * p.amax(dim=-1, keepdim=True), 0)
    return p / p.sum(dim=-1, keepdim=True)


def chooser_for(
    stop_ids: Collection[int], decoding: Decoding, prompts: Sequence[Sequence[int]]
) -> Chooser:
    """Return who chooses the tokens of answers to some prompts, as they are told to be decoded.

    Args:
        stop_ids: Tokens that end an answer.
        decoding: How tokens are chosen.
        prompts: Token ids, one list an answer.
    """
    if decoding.temperature == 0:
        return GreedyChooser(stop_ids, decoding)
    return SamplingChooser(stop_ids, decoding, [repr(list(p)).encode() for p in prompts])


class MarginChooser:
    """Goes on as far as it may, and notes by how much stopping was behind at every step.

    Args:
        stop_ids: Tokens that end an answer, at least one.
        no_repeat: How many tokens in a row an answer never has twice; 0 for no such rule.
        lowest: The least that is ever added to the logits of stopping: where an answer would have
            ended even so, it ends.

    Attributes:
        margins: Answer -> for each of its steps, the largest other logit less the largest of
            stopping. With more than that added, it would have ended there.
    """

    def __init__(self, stop_ids: Collection[int], *, no_repeat: int, lowest: float) -> None:
        self.stop_ids = frozenset(stop_ids)
        self.margins: dict[int, list[float]] = {}
        self._stops, self._no_repeat, self._lowest = _Columns(stop_ids), no_repeat, lowest

    def choose(
        self, logits: Tensor, rows: Sequence[int], answers: Sequence[Sequence[int]]
    ) -> Tensor:
        """Choose the next token of some answers."""
        stops = self._stops.at(logits)
        stopping = logits[:, stops].amax(dim=-1)
        logits[:, stops] = float("-inf")
        _bar(logits, rows, answers, self._no_repeat)
        largest, chosen = logits.max(dim=-1)
        margins = (largest - stopping).float()
        for row, margin in zip(rows, margins.tolist(), strict=True):
            self.margins.setdefault(row, []).append(margin)
        return torch.where(margins < self._lowest, stops[0], chosen)


def ends_at(margins: Sequence[float], stop_bias: float) -> int:
    """Return how many tokens an answer has, from its margins, with so much added to stopping."""
    return next((i for i, margin in enumerate(margins) if stop_bias > margin), len(margins))


class _Columns:
    """Some columns of logits, as an index on their device."""

    def __init__(self, ids: Collection[int]) -> None:
        self._ids = torch.tensor(sorted(ids), dtype=torch.long)

    def at(self, logits: Tensor) -> Tensor:
        if self._ids.device != logits.device:
            self._ids = self._ids.to(logits.device)
        return self._ids


def _bar(
    logits: Tensor, rows: Sequence[int], answers: Sequence[Sequence[int]], no_repeat: int
) -> None:
    """Take out the tokens that would make so many in a row come a second time."""
    if not no_repeat:
        return
    barred = [(i, t) for i, row in enumerate(rows) for t in _barred(answers[row], no_repeat)]
    if barred:
        places, tokens = torch.tensor(barred, device=logits.device).T
        logits[places, tokens] = float("-inf")


def _barred(answer: Sequence[int], n: int) -> Iterator[int]:
    """Return the tokens that would make n in a row come a second time."""
    last = answer[len(answer) - (n - 1) :]
    for start in range(len(answer) - n + 1):
        if answer[start : start + n - 1] == last:
            yield answer[start + n - 1]
