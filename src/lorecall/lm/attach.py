"""A memory's pairs beside a base model, which stays as it is."""

from collections.abc import Iterator, Mapping
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from lorecall.errors import ArtefactError, ConfigError
from lorecall.lm.base import LanguageModel
from lorecall.lm.families.family import check_linears, linear_shape
from lorecall.lm.lora import CallPairs, Core, LoraPair, Update, kaiming_uniform
from lorecall.records import Form, InjectionConfig


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
        self._pairs: dict[str, Update] = {
            key: self._made(key, rank) for key, rank in self._ranks().items()
        }
        if tensors is not None:
            self.load(tensors)

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
            yield from pair.trained.values()

    @property
    def pairs(self) -> tuple[Update, ...]:
        """The pairs, or cores, in a fixed order."""
        return tuple(self._pairs.values())

    def named_pairs(self) -> Iterator[tuple[str, Update]]:
        """Go through them by name: `layers.{layer}.{linear}`."""
        yield from self._pairs.items()

    def for_call(self) -> CallPairs:
        """Return the pairs as one call uses them."""
        return {pair.linear: pair.for_call(self.base.dtype) for pair in self.pairs}

    def tensors(self) -> dict[str, Tensor]:
        """Copy what is trained to the CPU, by name.

        Of a pair `layers.{layer}.{linear}.down` (R x k) and `.up` (d x R); of a core `.core`
        (R x R).
        """
        return {
            f"{key}.{part}": parameter.detach().cpu().clone()
            for key, pair in self._pairs.items()
            for part, parameter in pair.trained.items()
        }

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over stored pairs.

        Raises:
            ArtefactError: Names or shapes are not those of this configuration on this base.
        """
        self._check(tensors)
        for key, pair in self._pairs.items():
            for part, parameter in pair.trained.items():
                parameter.copy_(tensors[f"{key}.{part}"])

    def _ranks(self) -> dict[str, int]:
        """Return the rank beside each linear."""
        return {
            f"layers.{layer}.{name}": rank
            for layer, rank in self.config.ranks().items()
            for name in self.linears
        }

    def _made(self, key: str, rank: int) -> Update:
        """Make what is beside a linear, as it is at the start."""
        linear, device, scaling = self._linear(key), self.base.device, self.config.scaling
        if self.config.form == "core":
            mixed = self.base.directions[key].first(rank)  # on the base's device, as its weights
            core = torch.zeros(rank, rank, device=device)
            return Core(linear, mixed, core, scaling=scaling)
        d, k = linear_shape(linear)
        down, up = self._start(key, (rank, k)), torch.zeros(d, rank)
        return LoraPair(linear, down.to(device), up.to(device), scaling=scaling)

    def _shapes(self, key: str, rank: int) -> dict[str, tuple[int, int]]:
        """Return the shapes of what is trained beside a linear, by name."""
        return shapes_of(self.config.form, rank, linear_shape(self._linear(key)))

    def _check(self, tensors: Mapping[str, Tensor]) -> None:
        wanted = {
            f"{key}.{part}": shape
            for key, rank in self._ranks().items()
            for part, shape in self._shapes(key, rank).items()
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
    if config.form == "core":
        rank, limit = max(config.ranks().values()), _mixed_at_most(base, linears)
        below = "the shared memory's"
    else:
        rank, limit, below = config.rank, base.rank_limit(linears), "the linears' own"
    if rank > limit:
        raise ConfigError(
            f"the rank must be within {below}",
            expected=f"at most {limit}",
            got=str(config.rank),
            next_step="Choose a lower rank."
            if limit
            else "Load the base with a shared memory, or take design.form=pair.",
        )


def _mixed_at_most(base: LanguageModel, linears: tuple[str, ...]) -> int:
    """Return how many directions a core may mix: 0 where there is no shared memory."""
    known = {key.split(".", 2)[2]: len(found.inputs) for key, found in base.directions.items()}
    return min(known.get(name, 0) for name in linears)


def shapes_of(form: Form, rank: int, shape: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Return the shapes of what is trained beside a linear, by the names that they are stored by.

    Args:
        form: A pair or a core.
        rank: Its rank.
        shape: (d, k) of the linear.
    """
    d, k = shape
    return {"core": (rank, rank)} if form == "core" else {"down": (rank, k), "up": (d, rank)}


def n_parameters_of(base: LanguageModel, config: InjectionConfig) -> int:
    """Return how many numbers theta trains on a base's default linears."""
    paths = [base.family.paths[name] for name in base.family.default]
    return sum(
        a * b
        for layer, rank in config.ranks().items()
        for path in paths
        for a, b in shapes_of(
            config.form, rank, linear_shape(base.model.get_submodule(path.format(layer=layer)))
        ).values()
    )
