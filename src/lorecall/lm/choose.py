"""Which token comes next: the likeliest one, stopping made likelier or less so, no loop entered.

Greedy decoding of a small model, tuned or not, falls into loops. An answer in which no few tokens
in a row come twice has none.
"""

from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor

from lorecall.records import Decoding


class Chooser:
    """Chooses one token a row.

    Args:
        stop_ids: Tokens that end an answer.
        decoding: What to heed beside the logits.
        device: Where the logits are.
    """

    def __init__(self, stop_ids: Collection[int], decoding: Decoding, device: torch.device) -> None:
        self._ids = torch.tensor(sorted(stop_ids), dtype=torch.long, device=device)
        self._decoding, self._device = decoding, device

    def choose(self, logits: Tensor, answers: Sequence[Sequence[int]]) -> Tensor:
        """Choose the likeliest token that may come.

        Args:
            logits: Changed in place. *Shape:* (batch, vocabulary)
            answers: What each row has been answered so far.

        Returns:
            Token ids. *Shape:* (batch,)
        """
        if self._decoding.stop_bias:
            logits[:, self._ids] += self._decoding.stop_bias
        if n := self._decoding.no_repeat:
            barred = [(row, t) for row, answer in enumerate(answers) for t in _barred(answer, n)]
            if barred:
                rows, tokens = torch.tensor(barred, device=self._device).T
                logits[rows, tokens] = float("-inf")
        return logits.argmax(dim=-1)


def _barred(answer: Sequence[int], n: int) -> Iterator[int]:
    """Give the tokens that would make n in a row come a second time."""
    last = answer[len(answer) - (n - 1) :]
    for start in range(len(answer) - n + 1):
        if answer[start : start + n - 1] == last:
            yield answer[start + n - 1]
