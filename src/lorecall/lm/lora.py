"""One stacked low-rank pair on one linear map, eq. (1), or a core between directions that stay.

Notation:
    W   d x k   the frozen weight of a linear map
    A   R x k   `down`, Kaiming-uniform at the start
    B   d x R   `up`, zero at the start, so that the model starts as the base
    R           k modules of rank r on one linear are one pair of rank R = k r: the sum of their
                products is the product of their stacks
    s           scaling, 1 by default (eq. (1) has none)
    V   R x k   the shared memory's directions of inputs there, of length 1, the largest first
    U   d x R   its directions of outputs
    C   R x R   a core, zero at the start: A = V and B = U C

This module knows nothing of layers, families or training.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorecall.lm.families.family import weight_of


class CallPair(NamedTuple):
    """A low-rank pair as one call uses it.

    Args:
        down: A. *Shape:* (R, k)
        up: B. *Shape:* (d, R)
        scaling: s.
    """

    down: Tensor
    up: Tensor
    scaling: float

    def update(self, x: Tensor) -> Tensor:
        """Compute s B A x, in x's number format. *Shape:* (..., k) to (..., d)."""
        update = F.linear(F.linear(x, self.down.to(x.dtype)), self.up.to(x.dtype))
        return update if self.scaling == 1 else self.scaling * update


CallPairs = Mapping[nn.Module, CallPair]
"""The pairs of one memory in one call, by the base's linear that each is beside."""


class LoraPair:
    """A low-rank pair and the frozen linear map that it is beside.

    Args:
        linear: The base's own linear; it stays as it is.
        down: A at the start. *Shape:* (R, k)
        up: B at the start. *Shape:* (d, R)
        scaling: s.

    A and B are fp32 whatever the base's number format; they are cast where they meet x.
    """

    def __init__(self, linear: nn.Module, down: Tensor, up: Tensor, *, scaling: float) -> None:
        self.linear = linear
        self.scaling = scaling
        self.down, self.up = nn.Parameter(down), nn.Parameter(up)

    @property
    def trained(self) -> Mapping[str, nn.Parameter]:
        """A and B."""
        return {"down": self.down, "up": self.up}

    def for_call(self, dtype: torch.dtype) -> CallPair:
        """Return the pair as a call uses it: as trained where gradients are made, else cast once.

        Args:
            dtype: The base's number format.
        """
        if torch.is_grad_enabled():
            return CallPair(self.down, self.up, self.scaling)
        return CallPair(self.down.detach().to(dtype), self.up.detach().to(dtype), self.scaling)


class Directions(NamedTuple):
    """What a core mixes.

    Args:
        inputs: V. *Shape:* (R, k)
        outputs: U. *Shape:* (d, R)
    """

    inputs: Tensor
    outputs: Tensor

    @classmethod
    def of(cls, down: Tensor, up: Tensor) -> Self:
        """Return those of a pair in singular form.

        Args:
            down: A, its rows at right angles. *Shape:* (R, k)
            up: B, its columns at right angles. *Shape:* (d, R)
        """
        return cls(F.normalize(down, dim=1), F.normalize(up, dim=0))

    def first(self, rank: int) -> Self:
        """Return the largest so many of them."""
        return self._replace(inputs=self.inputs[:rank], outputs=self.outputs[:, :rank])


class Core:
    """A core between directions that stay, and the frozen linear map that it is beside.

    Args:
        linear: The base's own linear; it stays as it is.
        directions: V and U, as many as the core mixes.
        core: C at the start. *Shape:* (R, R)
        scaling: s.

    C is fp32 whatever the base's number format, as are V and U.
    """

    def __init__(
        self, linear: nn.Module, directions: Directions, core: Tensor, *, scaling: float
    ) -> None:
        self.linear = linear
        self.scaling = scaling
        self.directions = directions
        self.core = nn.Parameter(core)

    @property
    def trained(self) -> Mapping[str, nn.Parameter]:
        """C."""
        return {"core": self.core}

    def for_call(self, dtype: torch.dtype) -> CallPair:
        """Return A = V and B = U C as a call uses them."""
        V, U = self.directions
        if torch.is_grad_enabled():
            return CallPair(V, U @ self.core, self.scaling)
        return CallPair(V.to(dtype), (U @ self.core.detach()).to(dtype), self.scaling)


Update = LoraPair | Core
"""What is beside one frozen linear map: h = W x + s B A x, whatever of B and A is trained."""


@torch.no_grad()
def merged_weight(update: Update) -> Tensor:
    """Compute W + s B A in fp32, the weight with the update in it. *Shape:* (d, k)."""
    down, up, scaling = update.for_call(torch.float32)
    return torch.addmm(weight_of(update.linear).float(), up, down, alpha=scaling)


def kaiming_uniform(rank: int, k: int, generator: torch.Generator) -> Tensor:
    """Draw A as `nn.Linear` draws its weight: uniform within 1/sqrt(k).

    The bound does not depend on R, so a stack starts as its modules would.

    Returns:
        A in fp32. *Shape:* (rank, k)
    """
    bound = 1 / math.sqrt(k)
    return torch.empty(rank, k).uniform_(-bound, bound, generator=generator)
