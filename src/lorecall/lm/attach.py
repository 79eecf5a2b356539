"""Put a memory on a base model and take it off again, leaving the base as it was."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from lorecall.errors import ArtefactError, ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.family import (
    check_linears,
    ffn_linear,
    linear_shape,
    replace_linear,
)
from lorecall.lm.lora import LoraGroup, LoraLinear, dropped
from lorecall.records import InjectionConfig


class _OnBase:
    """Something on a base that, as a context manager, takes itself off at the end of the block."""

    def remove(self) -> None:
        """Take it off."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()


class Injection(_OnBase):
    """The pairs of one configuration, on a base model until they are taken off.

    As a context manager it takes itself off at the end of the block.

    Args:
        base: The frozen base; it must carry no other memory.
        config: theta.
        seed: Seed of A's start. A layer's start depends on the seed and the layer alone, so
            candidates that share a layer start alike there.
        linears: Which linears take a module; None for the family's default, feed-forward ones.
        put_on: Whether to put the pairs on the base; a member of an `InjectionGroup` does not.

    Raises:
        ConfigError: A layer, rank or linear is outside the model, or a memory is on already.
    """

    def __init__(
        self,
        base: LanguageModel,
        config: InjectionConfig,
        *,
        seed: int = 0,
        linears: tuple[str, ...] | None = None,
        put_on: bool = True,
    ) -> None:
        self.base = base
        self.config = config
        self._seed = seed
        self.linears = base.family.default if linears is None else linears
        check_linears(base.family, self.linears)
        _check_fits(base, config, self.linears)
        self._pairs: dict[str, LoraLinear] = {}
        for layer, rank in config.ranks().items():
            for name in self.linears:
                self._make(layer, name, rank, seed)
        self._is_on = put_on
        if put_on:
            for key, pair in self._pairs.items():
                replace_linear(base.model, self._path(key), pair)

    @property
    def first_layer(self) -> int:
        """The lowest layer with a module."""
        return min(self.config.ranks())

    @property
    def frozen_to(self) -> int | None:
        """The layer before whose feed-forward block nothing is changed; None where there is none.

        A pair on attention changes queries, keys or values of its own layer, so all that never
        changes ends with the layer below.
        """
        if not set(self.linears) & set(self.base.family.attention):
            return self.first_layer
        return self.first_layer - 1 if self.first_layer else None

    @property
    def n_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters())

    def parameters(self) -> Iterator[nn.Parameter]:
        """Go through the trained tensors, in a fixed order."""
        for pair in self._pairs.values():
            yield pair.down
            yield pair.up

    @property
    def modules(self) -> tuple[LoraLinear, ...]:
        """The pairs with their linears, in a fixed order."""
        return tuple(self._pairs.values())

    def tensors(self) -> dict[str, Tensor]:
        """Copy the pairs to the CPU: `layers.{layer}.{linear}.down` (R x k), `.up` (d x R)."""
        named = {}
        for key, pair in self._pairs.items():
            named[f"{key}.down"] = pair.down.detach().cpu().clone()
            named[f"{key}.up"] = pair.up.detach().cpu().clone()
        return named

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over stored pairs.

        Raises:
            ArtefactError: Names or shapes are not those of this configuration on this base.
        """
        wanted = {
            f"{key}.{half}": tuple(tensor.shape)
            for key, pair in self._pairs.items()
            for half, tensor in (("down", pair.down), ("up", pair.up))
        }
        given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if wanted != given:
            odd = sorted(set(wanted.items()) ^ set(given.items()))[:2]
            raise ArtefactError(
                "the pairs must fit theta and the base",
                expected=f"{len(wanted)} tensors of theta's shapes",
                got=f"{len(given)} tensors, differing at {odd}",
                next_step="Load the memory on the base it was trained for.",
            )
        for key, pair in self._pairs.items():
            merged = pair.merged
            pair.unmerge()
            pair.down.copy_(tensors[f"{key}.down"])
            pair.up.copy_(tensors[f"{key}.up"])
            if merged:
                pair.merge()

    @contextmanager
    def dropping(self, step: int) -> Generator[None]:
        """Train with dropout for a block, where theta says so; what is read is read in full.

        What is dropped depends on the seed, the step, the layer and its linear alone, so candidates
        differ by theta and learn the same alone and side by side.

        Args:
            step: The number of the training step.
        """
        if not self.config.dropout:
            yield
            return
        for key, pair in self._pairs.items():
            _, layer, name = key.split(".", 2)
            place = [self._seed, step, int(layer), self.base.family.seed_place(name)]
            width = pair.down.shape[1]
            pair.dropping = dropped(width, self.config.dropout, seed=place).to(pair.down.device)
        try:
            yield
        finally:
            for pair in self._pairs.values():
                pair.dropping = None

    def merge(self) -> None:
        """Fold the pairs into the base's weights, for plain inference."""
        for pair in self._pairs.values():
            pair.merge()

    def unmerge(self) -> None:
        """Undo `merge`; the base's weights are bit-identical to before."""
        for pair in self._pairs.values():
            pair.unmerge()

    def remove(self) -> None:
        """Take the memory off; the base is bit-identical to before. Twice does no harm."""
        self.unmerge()
        if self._is_on:
            for key, pair in self._pairs.items():
                replace_linear(self.base.model, self._path(key), pair.linear)
        self._pairs = {}

    def pairs(self) -> Mapping[str, LoraLinear]:
        """Return each pair by the dotted path of its linear."""
        return {self._path(key): pair for key, pair in self._pairs.items()}

    def _make(self, layer: int, name: str, rank: int, seed: int) -> None:
        key, place = f"layers.{layer}.{name}", self.base.family.seed_place(name)
        generator = torch.Generator().manual_seed((seed * 4096 + layer) * 16 + place)
        linear = ffn_linear(self.base.model, self._path(key))
        self._pairs[key] = LoraLinear(
            linear, rank=rank, scaling=self.config.scaling, generator=generator
        )

    def _path(self, key: str) -> str:
        _, layer, name = key.split(".", 2)
        return self.base.family.paths[name].format(layer=layer)


class InjectionGroup(_OnBase):
    """The pairs of several configurations on one base, to be trained side by side.

    As a context manager it takes itself off at the end of the block.

    Args:
        base: The frozen base; it must carry no other memory.
        configs: One theta a member; all act on the same tokens.
        seed: Seed of A's start, the same for all members.

    Attributes:
        members: One injection a configuration, in order.

    Raises:
        ConfigError: As `Injection`.
    """

    def __init__(
        self, base: LanguageModel, configs: Sequence[InjectionConfig], *, seed: int = 0
    ) -> None:
        self.base = base
        self.members = [Injection(base, c, seed=seed, put_on=False) for c in configs]
        pairs = [member.pairs() for member in self.members]
        self._groups: dict[str, LoraGroup] = {}
        for path in sorted({path for own in pairs for path in own}):
            group = LoraGroup(ffn_linear(base.model, path), [own.get(path) for own in pairs])
            replace_linear(base.model, path, group)
            self._groups[path] = group

    @property
    def first_layer(self) -> int:
        """The lowest layer with a module of any member."""
        return min(member.first_layer for member in self.members)

    def activate(self, members: Sequence[int]) -> None:
        """Return whose rows come next."""
        for group in self._groups.values():
            group.active = tuple(members)

    def remove(self) -> None:
        """Take the memories off; the base is bit-identical to before."""
        for path, group in self._groups.items():
            replace_linear(self.base.model, path, group.linear)
        self._groups = {}


def _check_fits(base: LanguageModel, config: InjectionConfig, linears: tuple[str, ...]) -> None:
    if config.layers[-1] >= base.n_layers:
        raise ConfigError(
            "the active layers must be in the model",
            expected=f"0 to {base.n_layers - 1}",
            got=str(config.layers[-1]),
            next_step=f"{base.name} has {base.n_layers} layers.",
        )
    if any(isinstance(module, LoraLinear | LoraGroup) for module in base.model.modules()):
        raise ConfigError(
            "one memory at a time is on a base",
            expected="a base without a memory",
            got="a base that carries one",
            next_step="Take it off with remove(), or use it as a context manager.",
        )
    limit = base.rank_limit(linears)
    if config.rank > limit:
        raise ConfigError(
            "the rank must be below the linears' own",
            expected=f"at most {limit}",
            got=str(config.rank),
            next_step="Choose a lower rank.",
        )


def n_parameters_of(base: LanguageModel, config: InjectionConfig) -> int:
    """Return how many numbers theta trains on a base's default linears."""
    paths = [base.family.paths[name] for name in base.family.default]
    return sum(
        rank * sum(linear_shape(ffn_linear(base.model, path.format(layer=layer))))
        for layer, rank in config.ranks().items()
        for path in paths
    )
