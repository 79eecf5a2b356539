"""Where an objective's chain ended, in memory and as a trial's attribute."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

CHAINS = "lorecall:chains"
"""System attribute of a trial: where the chains of its suggestion ended, one an objective."""

Floats = NDArray[np.float64]
_STORED = np.dtype("<f4")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """Where a chain ended, and how it moved.

    Args:
        size: What its observations were padded to.
        position: Unconstrained hyperparameters, shape (k,).
        mass: Inverse mass matrix, shape (k, k).
        step: Step size.

    Examples:
        >>> import numpy as np
        >>> from lorecall.search import ChainState
        >>> state = ChainState(size=16, position=np.array([0.5, 2.0]), mass=np.eye(2), step=0.25)
        >>> ChainState.from_json(state.as_json()).position
        array([0.5, 2. ])
    """

    size: int
    position: Floats
    mass: Floats
    step: float

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values: the position and half of the symmetric matrix, in fp32."""
        half = self.mass[np.tril_indices(len(self.position))]
        values = np.concatenate([self.position, half]).astype(_STORED)
        return {
            "size": self.size,
            "step": self.step,
            "k": len(self.position),
            "values": base64.b64encode(values.tobytes()).decode(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> "ChainState":
        """Read what `as_json` gave."""
        k = int(str(value["k"]))
        values = np.frombuffer(base64.b64decode(str(value["values"])), dtype=_STORED)
        half = np.zeros((k, k))
        half[np.tril_indices(k)] = values[k:]
        return cls(
            size=int(str(value["size"])),
            position=values[:k].astype(np.float64),
            mass=half + np.tril(half, -1).T,
            step=float(str(value["step"])),
        )


def last_draws(trials: Iterable[FrozenTrial], *, before: int) -> list[ChainState]:
    """Return where the chains ended of the last suggestion made before a trial; maybe none."""
    made = [t for t in trials if t.number < before and CHAINS in t.system_attrs]
    if not made:
        return []
    last = max(made, key=lambda trial: trial.number)
    return [ChainState.from_json(value) for value in last.system_attrs[CHAINS]]
