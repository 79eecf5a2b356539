"""A memory's pairs beside a base model, which stays as it is."""

from collections.abc import Iterator, Mapping
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from lorecall.errors import ArtefactError, ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.family import check_linears, linear_shape
from lorecall.lm.lora import CallPairs, LoraPair, kaiming_uniform
from lorecall.records import InjectionConfig


@runtime_checkable
class Stored(Protocol):
    """Pairs as they are stored."""

    @property
    def config(self) -> InjectionConfig:
        """Their theta."""
        ...

    @property
    def linears(self) -> tuple[str, ...]:
        """The linears that take a module."""
        ...

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Them, named as `Injection.tensors` names them."""
        ...


class Injection:
    """The pairs of one configuration for a base model.

    Nothing is put on the base: whoever computes with the pairs is given them. So one base serves
    any number of injections, and as many threads as there are, each with its own.

    Args:
        base: The frozen base.
        config: theta.
        seed: Seed of A's start. A layer's start depends on the seed and the layer alone, so
            candidates that share a layer start alike there.
        linears: Which linears take a module; None for the family's default, feed-forward ones.
        tensors: Stored pairs to begin with instead; named as `tensors` names them.

    Raises:
        ConfigError: A layer, rank or linear is outside the model.
        ArtefactError: The stored pairs are not those of this configuration on this base.

    Examples:
        >>> from lorecall import InjectionConfig
        >>> from lorecall.lm import Injection, tiny_base
        >>> theta = InjectionConfig(layers=(0, 2), n_loras=3, rank=4)
        >>> injection = Injection(tiny_base(width=32), theta)
        >>> injection.linears
        ('up_proj', 'down_proj')
        >>> {
        ...     name: tuple(tensor.shape)
        ...     for name, tensor in injection.tensors().items()
        ...     if "up_proj" in name
        ... }  # the lowest layer has two modules of rank 4
        {'layers.0.up_proj.down': (8, 32), 'layers.0.up_proj.up': (64, 8),
        'layers.2.up_proj.down': (4, 32), 'layers.2.up_proj.up': (64, 4)}
        >>> injection.n_parameters
        2304
    """

    def __init__(
        self,
        base: LanguageModel,
        config: InjectionConfig,
        *,
        seed: int = 0,
        linears: tuple[str, ...] | None = None,
        tensors: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.base = base
        self.config = config
        self._seed = seed
        self.linears = base.family.default if linears is None else linears
        check_linears(base.family, self.linears)
        _check_fits(base, config, self.linears)
        if tensors is not None:
            self._check(tensors)
        self._pairs: dict[str, LoraPair] = {}
        for key, shapes in self._shapes().items():
            down, up = (
                (self._start(key, shapes[0]), torch.zeros(shapes[1]))
                if tensors is None
                else (tensors[f"{key}.{half}"].float().clone() for half in ("down", "up"))
            )
            self._pairs[key] = LoraPair(
                self._linear(key),
                down.to(base.device),
                up.to(base.device),
                scaling=config.scaling,
            )

    @classmethod
    def of(cls, base: LanguageModel, memory: Stored) -> Self:
        """Make the pairs of a stored memory.

        Raises:
            ArtefactError: They do not fit theta or the base.
        """
        return cls(base, memory.config, linears=memory.linears, tensors=memory.tensors)

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
    def pairs(self) -> tuple[LoraPair, ...]:
        """The pairs, in a fixed order."""
        return tuple(self._pairs.values())

    def for_call(self) -> CallPairs:
        """Return the pairs as one call uses them."""
        return {pair.linear: pair.for_call(self.base.dtype) for pair in self.pairs}

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
        self._check(tensors)
        for key, pair in self._pairs.items():
            pair.down.copy_(tensors[f"{key}.down"])
            pair.up.copy_(tensors[f"{key}.up"])

    def _shapes(self) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
        """Return the shapes of A and B of each linear."""
        shapes: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
        for layer, rank in self.config.ranks().items():
            for name in self.linears:
                key = f"layers.{layer}.{name}"
                d, k = linear_shape(self._linear(key))
                shapes[key] = ((rank, k), (d, rank))
        return shapes

    def _check(self, tensors: Mapping[str, Tensor]) -> None:
        wanted = {
            f"{key}.{half}": shape
            for key, shapes in self._shapes().items()
            for half, shape in zip(("down", "up"), shapes, strict=True)
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

    def _start(self, key: str, shape: tuple[int, int]) -> Tensor:
        _, layer, name = key.split(".", 2)
        place = self.base.family.seed_place(name)
        seed = (self._seed * 4096 + int(layer)) * 16 + place
        return kaiming_uniform(*shape, torch.Generator().manual_seed(seed))

    def _linear(self, key: str) -> nn.Module:
        _, layer, name = key.split(".", 2)
        return self.base.model.get_submodule(self.base.family.paths[name].format(layer=layer))


def _check_fits(base: LanguageModel, config: InjectionConfig, linears: tuple[str, ...]) -> None:
    if config.layers[-1] >= base.n_layers:
        raise ConfigError(
            "the active layers must be in the model",
            expected=f"0 to {base.n_layers - 1}",
            got=str(config.layers[-1]),
            next_step=f"{base.name} has {base.n_layers} layers.",
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
        rank * sum(linear_shape(base.model.get_submodule(path.format(layer=layer))))
        for layer, rank in config.ranks().items()
        for path in paths
    )
