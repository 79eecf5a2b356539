"""The super-adapter's weights: nested pairs on every layer, cut into parts and trained in parts.

Notation
    R     rank of every pair
    k     first rows of A and columns of B that a theta of stacked rank r has: min(r, R)
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lorecall import BaseModel, InjectionConfig
from lorecall.core.files import write_bytes
from lorecall.lm.attach import Injection
from lorecall.settings import TrainSettings

_STATE = ("exp_avg", "exp_avg_sq", "step")


class SuperAdapter:
    """A pair of rank R on every layer, with AdamW's state.

    Args:
        base: The frozen base.
        max_rank: R.
        seed: Seed of A's start; B is zero.

    Attributes:
        steps: Steps taken.
        tokens: Tokens trained.
        seconds: Seconds spent on them.
    """

    def __init__(self, base: BaseModel, *, max_rank: int, seed: int) -> None:
        n = base.n_layers
        everywhere = InjectionConfig(layers=tuple(range(n)), n_loras=n, rank=max_rank)
        with Injection(base, everywhere, seed=seed) as injection:
            self.pairs = {
                name: nn.Parameter(tensor) for name, tensor in injection.tensors().items()
            }
        self.max_rank = max_rank
        self.steps, self.tokens, self.seconds = 0, 0, 0.0
        self._optimizer = torch.optim.AdamW(self.pairs.values(), fused=True)
        self.forget()

    def part(self, theta: InjectionConfig) -> dict[str, Tensor]:
        """Cut out what a theta has, as `Injection.load` takes it; ranks above R are zeros."""
        ranks = theta.ranks()
        return {
            name: _fitted(whole.detach(), ranks[layer], name=name)
            for name, whole in self.pairs.items()
            if (layer := int(name.split(".")[1])) in ranks
        }

    def take(self, injection: Injection) -> None:
        """Add the gradients of a part to where it was cut out."""
        for name, parameter in zip(injection.tensors(), injection.parameters(), strict=True):
            whole = self.pairs[name].grad
            assert whole is not None
            assert parameter.grad is not None
            axis = _rank_axis(name)
            k = min(self.max_rank, parameter.shape[axis])
            whole.narrow(axis, 0, k).add_(parameter.grad.narrow(axis, 0, k).to(whole.device))

    def step(self, settings: TrainSettings, rate: float) -> None:
        """Take one step along the gradients that are there; what has none only decays."""
        for group in self._optimizer.param_groups:
            group["lr"], group["weight_decay"] = rate, settings.weight_decay
        nn.utils.clip_grad_norm_(self.pairs.values(), settings.clip_norm)
        self._optimizer.step()
        self.forget()
        self.steps += 1

    def forget(self) -> None:
        """Set every gradient to zero."""
        for parameter in self.pairs.values():
            parameter.grad = torch.zeros_like(parameter)

    def save(self, path: Path, identity: Mapping[str, object], *, whole: bool = True) -> None:
        """Write the weights, and what is needed to train on when `whole`."""
        tensors = {name: parameter.detach() for name, parameter in self.pairs.items()}
        for name, parameter in self.pairs.items() if whole else ():
            state = self._optimizer.state[parameter]
            tensors |= {f"{key}.{name}": state[key] for key in _STATE}
        told = {"identity": identity, "steps": self.steps}
        told |= {"tokens": self.tokens, "seconds": self.seconds}
        write_bytes(path, save(tensors, metadata={"told": json.dumps(told)}))

    def restore(self, path: Path, identity: Mapping[str, object]) -> bool:
        """Take over what was written; say whether anything was.

        Raises:
            SystemExit: It was written by another training.
        """
        if not path.exists():
            return False
        with safe_open(path, framework="pt") as file:
            told = json.loads(file.metadata()["told"])
            if told["identity"] != json.loads(json.dumps(identity)):
                raise SystemExit(f"{path} is of a training with other settings: choose --work")
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.steps, self.tokens = told["steps"], told["tokens"]
        self.seconds = told["seconds"]
        for name, parameter in self.pairs.items():
            parameter.data.copy_(stored[name])
            if f"step.{name}" in stored:
                state = {key: stored[f"{key}.{name}"] for key in _STATE}
                self._optimizer.state[parameter] = state
        return True


def _rank_axis(name: str) -> int:
    return 0 if name.endswith(".down") else 1


def _fitted(whole: Tensor, rank: int, *, name: str) -> Tensor:
    """Cut a half to a rank, or fill it up with zeros."""
    axis, k = _rank_axis(name), min(rank, whole.shape[_rank_axis(name)])
    missing = rank - k
    return F.pad(whole.narrow(axis, 0, k), (0, 0, 0, missing) if axis == 0 else (0, missing))
