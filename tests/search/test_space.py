"""Theta's space: parameters, configurations, and which of them are the same model."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from beartype.roar import BeartypeCallHintViolation
from hypothesis import given
from hypothesis import strategies as st

from lorecall.errors import ConfigError
from lorecall.records import InjectionConfig, Searched, default_lora
from lorecall.search.discrete import DiscreteSpace
from lorecall.search.space import InjectionSpace

ROWS = ("paper", "layer", "n", "rank", "n+rank", "n+layer", "rank+layer")


def params_of(layers: str, n: int, r: int) -> dict[str, bool | int]:
    """Make parameters from a string of layers such as `1010`."""
    on = {f"layer_{i:02d}": c == "1" for i, c in enumerate(layers)}
    return {**on, "n_loras": n, "rank": r}


@given(
    st.sampled_from(ROWS),
    st.integers(1, 12),
    st.sampled_from(["deal", "every"]),
    st.integers(0, 999),
)
def test_params_and_configs_round_trip(row: str, n_layers: int, placement: str, seed: int) -> None:
    """Every candidate is a configuration that gives the same parameters, in every row."""
    theta = InjectionSpace(n_layers=n_layers, max_loras=9, placement=placement, searched=row)
    space = DiscreteSpace(theta.distributions())
    for point in space.random(4, np.random.default_rng(seed)):
        params = space.params(point)
        if theta.is_candidate(params):
            assert theta.params(theta.config(params)) == params


def test_the_full_space_of_the_paper() -> None:
    """Thirty layers, n in 0..32 and five ranks, in that order."""
    space = DiscreteSpace(InjectionSpace(n_layers=30).distributions())
    assert space.names[:2] == ("layer_00", "layer_01")
    assert space.names[30:] == ("n_loras", "rank")
    assert space.n_points == 2**30 * 33 * 5


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("layer", {"layer_00", "layer_01"}),
        ("n", {"n_loras"}),
        ("rank", {"rank"}),
        ("n+rank", {"n_loras", "rank"}),
        ("rank+layer", {"layer_00", "layer_01", "rank"}),
    ],
)
def test_a_row_of_the_ablation_searches_its_own(row: str, names: set[str]) -> None:
    """What a row does not search is left out of its distributions."""
    assert set(InjectionSpace(n_layers=2, searched=row).distributions()) == names


def test_what_is_not_searched_is_fixed() -> None:
    """All layers, one module each, rank 16; never more modules than the space allows."""
    ranks = InjectionSpace(n_layers=3, searched="rank").config({"rank": 96})
    assert ranks == InjectionConfig(layers=(0, 1, 2), n_loras=3, rank=96)
    n = InjectionSpace(n_layers=3, searched="n").config({"n_loras": 5})
    assert n == InjectionConfig(layers=(0, 1, 2), n_loras=5, rank=16)
    large = InjectionSpace(n_layers=40, searched="rank").config({"rank": 8})
    assert large.n_loras == 32
    every = InjectionSpace(n_layers=40, searched="rank", placement="every").config({"rank": 8})
    assert every.n_loras == 1


def test_the_vanilla_model_is_no_candidate() -> None:
    """No module, or nowhere to put it, is the base itself."""
    theta = InjectionSpace(n_layers=3)
    assert not theta.is_candidate(params_of("111", 0, 8))
    assert not theta.is_candidate(params_of("000", 4, 8))
    assert theta.is_candidate(params_of("010", 1, 8))
    assert theta.same_as(params_of("111", 0, 8)) == theta.same_as(params_of("000", 4, 8))
    with pytest.raises(ConfigError):
        theta.config(params_of("000", 4, 8))


@pytest.mark.parametrize(
    ("placement", "one", "other"),
    [
        ("deal", params_of("1111", 2, 8), params_of("1001", 2, 8)),  # dealt to both ends
        ("deal", params_of("1000", 4, 8), params_of("1000", 2, 16)),  # stacked
        ("every", params_of("0110", 2, 16), params_of("0110", 1, 32)),
    ],
)
def test_the_same_model_has_one_key(
    placement: str, one: dict[str, int], other: dict[str, int]
) -> None:
    """Configurations that come to the same stacked ranks count as one."""
    theta = InjectionSpace(n_layers=4, placement=placement)
    assert theta.same_as(one) == theta.same_as(other)


@given(
    st.sampled_from(ROWS),
    st.integers(1, 8),
    st.sampled_from(["deal", "every"]),
    st.integers(0, 999),
)
def test_one_point_stands_for_each_model(
    row: str, n_layers: int, placement: str, seed: int
) -> None:
    """Whatever comes to the same model has the same point, which is a candidate and that model."""
    theta = InjectionSpace(n_layers=n_layers, max_loras=9, placement=placement, searched=row)
    space = DiscreteSpace(theta.distributions())
    standing: dict[object, object] = {}
    for point in space.random(64, np.random.default_rng(seed)):
        params = space.params(point)
        one = theta.canonical(params)
        assert space.find(one) is not None
        if theta.is_candidate(params):
            assert theta.is_candidate(one)
            assert theta.same_as(one) == theta.same_as(params)
            assert standing.setdefault(theta.same_as(params), one) == one
        else:
            assert one == params


@pytest.mark.parametrize(
    ("placement", "params", "expected"),
    [
        ("deal", params_of("1111", 2, 8), params_of("1001", 2, 8)),  # the inner ones have none
        ("deal", params_of("1000", 4, 8), params_of("1000", 1, 32)),
        ("deal", params_of("1100", 6, 32), params_of("1100", 2, 96)),
        ("deal", params_of("1100", 3, 32), params_of("1100", 3, 32)),  # 64 and 32
        ("every", params_of("0110", 3, 32), params_of("0110", 1, 96)),
        ("every", params_of("0110", 3, 8), params_of("0110", 3, 8)),  # there is no rank 24
    ],
)
def test_what_stands_for_a_model_is_simplest(
    placement: str, params: dict[str, int], expected: dict[str, int]
) -> None:
    """Only layers with a module are active, and its modules are few and large."""
    assert InjectionSpace(n_layers=4, placement=placement).canonical(params) == expected


def test_further_factors_stay_as_they_are() -> None:
    """Two scalings are two models."""
    params = {**params_of("1111", 2, 8), "scaling": 2.0}
    assert WIDE.canonical(params) == {**params_of("1001", 2, 8), "scaling": 2.0}


def test_different_models_have_different_keys() -> None:
    """A layer, a module or a rank more is another model."""
    theta = InjectionSpace(n_layers=4)
    keys = [
        theta.same_as(params_of(layers, n, r))
        for layers, n, r in (("1100", 2, 8), ("1010", 2, 8), ("1100", 3, 8), ("1100", 2, 16))
    ]
    assert len(set(keys)) == 4


@pytest.mark.parametrize(
    "config",
    [
        InjectionConfig(layers=(0, 7), n_loras=2, rank=8),
        InjectionConfig(layers=(0,), n_loras=99, rank=8),
        InjectionConfig(layers=(0,), n_loras=1, rank=7),
        InjectionConfig(layers=(0,), n_loras=1, rank=8, placement="every"),
        InjectionConfig(layers=(0,), n_loras=1, rank=8, scaling=2.0),
    ],
)
def test_a_config_outside_is_refused(config: InjectionConfig) -> None:
    """A configuration that the space does not hold is an error, not the nearest one."""
    with pytest.raises(ConfigError, match="theta"):
        InjectionSpace(n_layers=4).params(config)


def test_a_fixed_value_is_checked_too() -> None:
    """A row that fixes the rank does not hold another rank."""
    with pytest.raises(ConfigError):
        InjectionSpace(n_layers=2, searched="layer").params(
            InjectionConfig(layers=(0,), n_loras=2, rank=8)
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_layers": 0},
        {"max_loras": 0},
        {"ranks": ()},
        {"ranks": (16, 8)},
        {"ranks": (0, 8)},
        {"searched": "layer+n"},
        {"scalings": ()},
        {"scalings": (0.0, 1.0)},
        {"scalings": (2.0, 1.0)},
        {"scalings": (float("nan"),)},
    ],
)
def test_a_space_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    """Values outside their range are refused before any work."""
    # Where the test run checks types, an unknown row is refused by that check.
    with pytest.raises((ConfigError, BeartypeCallHintViolation)):
        InjectionSpace(**{"n_layers": 4, **wrong})


WIDE = InjectionSpace(n_layers=4, max_loras=9, scalings=(0.5, 1.0, 2.0))


@given(st.sampled_from(ROWS), st.integers(0, 999))
def test_further_factors_round_trip(row: str, seed: int) -> None:
    """Beside every row of the ablation."""
    theta = replace(WIDE, searched=row)
    space = DiscreteSpace(theta.distributions())
    assert space.names[-1] == "scaling"
    for point in space.random(4, np.random.default_rng(seed)):
        params = space.params(point)
        if theta.is_candidate(params):
            config = theta.config(params)
            assert config.scaling == params["scaling"]
            assert theta.params(config) == params


def test_further_factors_make_another_candidate() -> None:
    """The same pairs with another scaling are another; without any pair all are one."""
    params = {**params_of("1100", 2, 8), "scaling": 1.0}
    others = [params, {**params, "scaling": 2.0}]
    assert len({WIDE.same_as(other) for other in others}) == 2
    twin = {**params_of("1000", 4, 8), "scaling": 2.0}
    assert WIDE.same_as(twin) == WIDE.same_as({**twin, "n_loras": 2, "rank": 16})
    assert {WIDE.same_as({**other, "n_loras": 0}) for other in others} == {()}


def test_off_by_default() -> None:
    """The papers' values, no further input, and the key of a model is its pairs alone."""
    theta = InjectionSpace(n_layers=4)
    assert "scaling" not in theta.distributions()
    params = params_of("1100", 2, 8)
    config = theta.config(params)
    assert config == InjectionConfig(layers=(0, 1), n_loras=2, rank=8)
    assert (config.scaling, config.beside) == (1.0, {})
    assert theta.same_as(params) == ((0, 8), (1, 8))


def test_a_single_value_is_fixed() -> None:
    """It is no input; a configuration with another value is outside."""
    theta = InjectionSpace(n_layers=2, scalings=(4.0,))
    assert "scaling" not in theta.distributions()
    config = theta.config(params_of("11", 2, 8))
    assert config.beside == {"scaling": 4.0}
    assert theta.params(config) == params_of("11", 2, 8)
    with pytest.raises(ConfigError, match="theta"):
        theta.params(replace(config, scaling=1.0))


def test_parameters_outside_are_refused() -> None:
    """A rank that is none of Table 2's is an error."""
    with pytest.raises(ConfigError, match="rank in"):
        InjectionSpace(n_layers=2).config(params_of("11", 2, 9))


class TestKnownDesigns:
    """What people train without a search, as points of the space."""

    def test_the_largest_and_the_default(self) -> None:
        """On all layers; the default is SPEC section 7's control."""
        space = InjectionSpace(n_layers=30)
        largest, default = (space.config(params) for params in space.known_designs())
        assert (largest.n_loras, largest.rank, len(largest.layers)) == (32, 96, 30)
        assert default == default_lora(30)

    def test_every_layer_takes_all_with_the_other_placement(self) -> None:
        """One module a layer is n = 1 there."""
        space = InjectionSpace(n_layers=3, max_loras=2, placement="every")
        largest, default = (space.config(params) for params in space.known_designs())
        assert largest.ranks() == dict.fromkeys(range(3), 2 * 96)
        assert default.ranks() == dict.fromkeys(range(3), 8)

    @pytest.mark.parametrize(
        ("row", "n_designs"), [("paper", 2), ("layer", 1), ("n", 2), ("rank", 2), ("rank+layer", 2)]
    )
    def test_they_are_points_of_every_row(self, row: str, n_designs: int) -> None:
        """One alone where nothing that differs is searched."""
        space = InjectionSpace(n_layers=4, max_loras=6, searched=cast("Searched", row))
        designs = space.known_designs()
        assert len(designs) == n_designs
        assert all(space.params(space.config(design)) == design for design in designs)

    def test_further_factors_are_the_papers_where_they_may_be(self) -> None:
        """The nearest there is otherwise, by the ratio."""
        largest, default, strong = (WIDE.config(design) for design in WIDE.known_designs())
        assert largest.beside == default.beside == {}
        assert strong == replace(default, scaling=WIDE.scalings[-1])
        space = InjectionSpace(n_layers=2, scalings=(0.2, 4.0))
        for design in space.known_designs():
            assert space.config(design).beside == {"scaling": 4.0}
