"""Theta's space: which layers are active, how many modules, of which rank.

As an option it has a further factor: the scaling.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from math import log
from typing import cast, get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from lorecall.core.checks import check_levels, check_range, choice
from lorecall.errors import ConfigError
from lorecall.records import PAPER_FACTORS, Inject, InjectionConfig, Placement, Searched, deal
from lorecall.search.discrete import DiscreteSpace, Params
from lorecall.settings import MAX_LORAS, MIN_SCALING, RANKS

FIXED_RANK = 16  # r where it is not searched (SPEC section 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectionSpace:
    """Theta's space (Table 2), or one of the ablated ones (Table 5).

    Args:
        n_layers: L, the base's layers.
        max_loras: The largest n.
        ranks: The values of r, ascending.
        placement: How n is read.
        inject: Which tokens the pairs act on.
        searched: What is searched; the rest is fixed: all layers active, one module a layer (at
            most `max_loras`), r = 16.
        scalings: The values of the scaling, ascending; a single one is fixed.

    Raises:
        ConfigError: A value is outside its range.

    Examples:
        >>> from lorecall.search import InjectionSpace
        >>> space = InjectionSpace(n_layers=2, max_loras=4, ranks=(8, 16))
        >>> list(space.distributions())
        ['layer_00', 'layer_01', 'n_loras', 'rank']
        >>> theta = {"layer_00": True, "layer_01": False, "n_loras": 2, "rank": 8}
        >>> space.config(theta).ranks()
        {0: 16}
    """

    n_layers: int
    max_loras: int = MAX_LORAS
    ranks: tuple[int, ...] = RANKS
    placement: Placement = "deal"
    inject: Inject = "all"
    searched: Searched = "paper"
    scalings: tuple[float, ...] = (PAPER_FACTORS["scaling"],)

    def __post_init__(self) -> None:
        check_range("n_layers", self.n_layers, low=1)
        check_range("max_loras", self.max_loras, low=1)
        check_levels("ranks", self.ranks, low=1)
        choice("what is searched", self.searched, get_args(Searched))
        check_levels("scalings", self.scalings, low=MIN_SCALING)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return Optuna's distributions of what is searched, by name."""
        kinds: dict[str, BaseDistribution] = {}
        if self._searches("layer"):
            kinds |= {
                name: CategoricalDistribution([False, True]) for name in _names(self.n_layers)
            }
        if self._searches("n"):
            kinds["n_loras"] = IntDistribution(0, self.max_loras)
        if self._searches("rank"):
            kinds["rank"] = CategoricalDistribution(self.ranks)
        if len(self.scalings) > 1:
            kinds["scaling"] = CategoricalDistribution(self.scalings)
        return kinds

    def columns(self) -> DiscreteSpace:
        """Return the discrete space of what is searched, with one code for each model."""
        return DiscreteSpace(self.distributions(), canonical=self.canonical)

    def config(self, params: Mapping[str, object]) -> InjectionConfig:
        """Return parameters as theta.

        Raises:
            ConfigError: A parameter is missing, outside its range, or they stand for the vanilla
                model (`is_candidate` is false).
        """
        space = self.columns()
        return self._config(space.params(space.point(params)))

    def params(self, config: InjectionConfig) -> Params:
        """Return theta as parameters.

        Raises:
            ConfigError: It is no point of this space.
        """
        params: Params = {
            **{name: i in config.layers for i, name in enumerate(_names(self.n_layers))},
            "n_loras": config.n_loras,
            "rank": config.rank,
            "scaling": config.scaling,
        }
        space = self.columns()
        params = {name: params[name] for name in space.names}
        if space.find(params) is None or self._config(params) != config:
            raise ConfigError(
                "theta must be in range",
                expected=f"a point of {self}",
                got=repr(config),
                next_step="Change the setting.",
            )
        return params

    def is_candidate(self, params: Mapping[str, object]) -> bool:
        """Whether there is any module: n = 0 or no active layer is the vanilla model."""
        return params.get("n_loras", 1) != 0 and bool(self._active(params))

    def same_as(self, params: Mapping[str, object]) -> Hashable:
        """Return the (layer, stacked rank) pairs that parameters come to, and a searched scaling.

        Parameters with equal ones are one model, trained alike.
        """
        layers, n, rank = self._theta(params)
        if not layers or not n:
            return ()
        pairs = tuple(self._ranks(layers, n, rank).items())
        return (*pairs, params["scaling"]) if "scaling" in params else pairs

    def canonical(self, params: Params) -> Params:
        """Return the parameters that a surrogate is shown for all that are the same model.

        No layer without a module is active in them, and the modules are as few and as large as they
        can be. The vanilla model, no candidate, stands for itself.
        """
        layers, n, rank = self._theta(params)
        if not layers or not n:
            return params
        ranks = self._ranks(layers, n, rank)
        simplest = dict(params)
        if self._searches("layer"):
            layers = tuple(ranks)
            simplest |= {name: i in ranks for i, name in enumerate(_names(self.n_layers))}
        if self._searches("n") and self._searches("rank"):
            simplest |= next(
                {"n_loras": n * rank // larger, "rank": larger}
                for larger in reversed(self.ranks)  # its own rank is among them
                if n * rank % larger == 0
                and self._ranks(layers, n * rank // larger, larger) == ranks
            )
        return simplest

    def known_designs(self) -> tuple[Params, ...]:
        """Return what people train without a search: the largest LoRA there is, and the default.

        Both are on all layers, at the scaling that is nearest to the paper's.
        Where the scaling is searched, the default at the highest comes after them: as good as the
        largest on the people it was tried on, and a twelfth of it (`experiments/LOG.md`). Each
        model once.
        """
        common: Params = {
            **dict.fromkeys(_names(self.n_layers), True),
            "scaling": min(self.scalings, key=lambda x: abs(log(x / PAPER_FACTORS["scaling"]))),
        }
        default = common | {"n_loras": self._one_each, "rank": self.ranks[0]}
        designs: list[Params] = [
            common | {"n_loras": self.max_loras, "rank": self.ranks[-1]},
            default,
            default | {"scaling": self.scalings[-1]},
        ]
        names = self.distributions()
        once = {
            self.same_as(params): params
            for params in ({name: design[name] for name in names} for design in designs)
        }
        return tuple(once.values())

    def _config(self, params: Mapping[str, object]) -> InjectionConfig:
        layers, n, rank = self._theta(params)
        return InjectionConfig(
            layers=layers,
            n_loras=n,
            rank=rank,
            placement=self.placement,
            inject=self.inject,
            scaling=float(cast("float", params.get("scaling", self.scalings[0]))),
        )

    def _theta(self, params: Mapping[str, object]) -> tuple[tuple[int, ...], int, int]:
        """Return (alpha, n, r), what is not searched as it is fixed."""
        return (
            self._active(params),
            cast("int", params.get("n_loras", self._one_each)),
            cast("int", params.get("rank", FIXED_RANK)),
        )

    @property
    def _one_each(self) -> int:
        """The n that puts one module in every layer, or as many as there may be."""
        return 1 if self.placement == "every" else min(self.n_layers, self.max_loras)

    def _ranks(self, layers: tuple[int, ...], n: int, rank: int) -> dict[int, int]:
        """Return the stacked rank of every layer that has a module."""
        return {layer: k * rank for layer, k in deal(layers, n, self.placement).items()}

    def _active(self, params: Mapping[str, object]) -> tuple[int, ...]:
        if not self._searches("layer"):
            return tuple(range(self.n_layers))
        return tuple(i for i, name in enumerate(_names(self.n_layers)) if params[name])

    def _searches(self, factor: str) -> bool:
        return self.searched == "paper" or factor in self.searched.split("+")


@cache
def _names(n_layers: int) -> tuple[str, ...]:
    return tuple(f"layer_{i:02d}" for i in range(n_layers))
