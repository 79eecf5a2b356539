"""One stacked low-rank pair on one linear map: eq. (1).

Notation:
    W   d x k   the frozen weight of a linear map
    A   R x k   `down`, Kaiming-uniform at the start
    B   d x R   `up`, zero at the start, so that the model starts as the base
    R           k modules of rank r on one linear are one pair of rank R = k r: the sum of their
                products is the product of their stacks
    s           scaling, 1 by default (eq. (1) has none)
    p, m        share of x that a training step leaves out of the pair, 0 by default; in such a step
                the pair is s B A diag(m) x with m_j = 0 with probability p, else 1 / (1 - p)

A step has one m for all of its tokens, as in Lin et al. (2024), "LoRA Dropout as a Sparsity
Regularizer for Overfitting Control", but on A's columns alone. (`peft` draws one m a token. Here
what many prompts begin with is read once for all of them: their tokens have no row of their own to
drop from.) So m meets A rather than x: it costs nothing where p is 0 and next to nothing elsewhere,
and the step is the same on every path.

This module knows nothing of layers, families or training.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorecall.errors import ConfigError
from lorecall.lm.families.family import linear_shape, weight_of


class LoraLinear(nn.Module):
    """A frozen linear map with a low-rank pair beside it.

    Args:
        linear: The base's own linear; it stays as it is.
        rank: R of the stacked pair.
        scaling: s.
        generator: Source of A's start.

    Attributes:
        acting: 1 where the pair acts, 0 where the base is left alone; everywhere when None.
            *Shape:* (batch, tokens, 1)
        dropping: m of the step at hand, for training alone; None where nothing is dropped.
            *Shape:* (k,)

    A and B are fp32 whatever the base's number format; they are cast where they meet x.
    """

    def __init__(
        self, linear: nn.Module, *, rank: int, scaling: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        d, k = linear_shape(linear)
        device = next(linear.parameters()).device
        self.linear = linear
        self.scaling = scaling
        self.down = nn.Parameter(kaiming_uniform(rank, k, generator).to(device))
        self.up = nn.Parameter(torch.zeros(d, rank, device=device))
        self.acting: Tensor | None = None
        self.dropping: Tensor | None = None
        self._merged_from: Tensor | None = None
        self._cast: tuple[tuple[int, int], Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Compute eq. (1).

        Args:
            x: Inputs. *Shape:* (..., k)

        Returns:
            h. *Shape:* (..., d)
        """
        if self.merged:
            return self.linear(x)
        update = self.update(x)
        if self.acting is not None:
            update = update * self.acting
        return self.linear(x) + update  # eq. (1): h = W x + B A x

    def update(self, x: Tensor) -> Tensor:
        """Compute s B A x. *Shape:* (..., k) to (..., d)."""
        down, up = self.pair(x.dtype)
        update = F.linear(F.linear(x, down.to(x.dtype)), up.to(x.dtype))
        return update if self.scaling == 1 else self.scaling * update

    def pair(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cast the pair once for as long as it stays the same: decoding calls it every token."""
        if torch.is_grad_enabled():  # a step follows; a fused optimiser does not count as a change
            self._cast = None
            return self.down if self.dropping is None else self.down * self.dropping, self.up
        version = (self.down._version, self.up._version)  # noqa: SLF001 - torch's own counter
        if self._cast is None or self._cast[0] != version or self._cast[1].dtype != dtype:
            self._cast = (version, self.down.detach().to(dtype), self.up.detach().to(dtype))
        return self._cast[1], self._cast[2]

    @property
    def merged(self) -> bool:
        """Whether the pair is in the base's weight at the moment."""
        return self._merged_from is not None

    @torch.no_grad()
    def merge(self) -> None:
        """Add the pair to the base's weight; `unmerge` puts the very bits back.

        Raises:
            ConfigError: The weight is in 4 bits.
        """
        if self.merged:
            return
        weight = weight_of(self.linear)
        if weight.shape != (self.up.shape[0], self.down.shape[1]):
            raise ConfigError(
                "a pair is merged into plain weights",
                expected="a base that is not in 4 bits",
                got=f"{type(self.linear).__name__}",
                next_step="Leave the pair beside the weights, or load the base without four_bit.",
            )
        self._merged_from = weight.detach().clone()
        weight += (self.scaling * (self.up @ self.down)).to(weight.dtype)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Put back the weight that was there before `merge`, bit by bit."""
        if self._merged_from is not None:
            weight_of(self.linear).copy_(self._merged_from)
            self._merged_from = None


class LoraGroup(nn.Module):
    """One frozen linear under the pairs of several memories at once, each with rows of its own.

    Args:
        linear: The base's own linear.
        pairs: Each member's pair, None where it has no module here.

    Attributes:
        active: The members whose rows come next, in order; all have as many.
    """

    def __init__(self, linear: nn.Module, pairs: Sequence[LoraLinear | None]) -> None:
        super().__init__()
        self.linear = linear
        self.pairs = tuple(pairs)  # each belongs to its member's injection, not to this module
        self.active: tuple[int, ...] = tuple(range(len(self.pairs)))

    def forward(self, x: Tensor) -> Tensor:
        """Compute eq. (1) for each active member's rows.

        Args:
            x: Inputs, member after member. *Shape:* (members * rows, k)

        Returns:
            h. *Shape:* (members * rows, d)
        """
        n = len(self.active)
        parts: list[Tensor] = []
        for member, h, own in zip(self.active, self.linear(x).chunk(n), x.chunk(n), strict=True):
            pair = self.pairs[member]
            parts.append(h if pair is None else h + pair.update(own))
        return torch.cat(parts) if n > 1 else parts[0]


def dropped(k: int, share: float, *, seed: Sequence[int]) -> Tensor:
    """Draw m.

    Args:
        k: How many inputs there are.
        share: p.
        seed: What the draw depends on, and nothing else.

    Returns:
        m in fp32. *Shape:* (k,)
    """
    kept = np.random.default_rng(list(seed)).random(k) >= share
    return torch.from_numpy(kept.astype(np.float32) / (1 - share))


def kaiming_uniform(rank: int, k: int, generator: torch.Generator) -> Tensor:
    """Draw A as `nn.Linear` draws its weight: uniform within 1/sqrt(k).

    The bound does not depend on R, so a stack starts as its modules would.

    Returns:
        A in fp32. *Shape:* (rank, k)
    """
    bound = 1 / math.sqrt(k)
    return torch.empty(rank, k).uniform_(-bound, bound, generator=generator)
