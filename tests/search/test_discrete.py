"""The discrete space: levels, codes, moves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from lorecall.errors import ConfigError
from lorecall.search.discrete import MAX_LEVELS, DiscreteSpace, levels_of

Kinds = dict[str, BaseDistribution]
BOOLEAN = CategoricalDistribution([False, True])


def columns() -> st.SearchStrategy[BaseDistribution]:
    """Draw a supported distribution."""
    integers = st.builds(
        lambda low, span, step: IntDistribution(low, low + span * step, step=step),
        st.integers(-5, 5),
        st.integers(0, 12),
        st.integers(1, 3),
    )
    ordinals = st.sets(st.integers(-9, 9), min_size=1, max_size=6).map(
        lambda numbers: CategoricalDistribution(sorted(numbers))
    )
    return st.one_of(st.just(BOOLEAN), integers, ordinals)


tables = st.lists(columns(), min_size=1, max_size=6).map(
    lambda kinds: {f"c{i}": kind for i, kind in enumerate(kinds)}
)


@given(tables, st.integers(0, 99))
def test_points_and_params_round_trip(kinds: Kinds, seed: int) -> None:
    """A point given as parameters comes back as the same point, whatever the space."""
    space = DiscreteSpace(kinds)
    for point in space.random(5, np.random.default_rng(seed)):
        assert (space.point(space.params(point)) == point).all()


@given(tables, st.integers(0, 99))
def test_codes_lie_in_the_unit_cube_and_tell_points_apart(kinds: Kinds, seed: int) -> None:
    """Codes are in [0, 1], reach both ends, and differ where points differ."""
    space = DiscreteSpace(kinds)
    points = np.unique(space.random(20, np.random.default_rng(seed)), axis=0)
    codes = space.encode(points)
    assert codes.min() >= 0
    assert codes.max() <= 1
    assert len(np.unique(codes, axis=0)) == len(points)
    assert (space.encode(space.sizes - 1) == (space.sizes > 1)).all()


@given(tables, st.integers(0, 99))
def test_neighbours_differ_in_one_column(kinds: Kinds, seed: int) -> None:
    """The one-exchange neighbours are all the points at distance one, each once."""
    space = DiscreteSpace(kinds)
    point = space.random(1, np.random.default_rng(seed))[0]
    near = space.neighbours(point)
    assert len(near) == len(np.unique(near, axis=0)) == (space.sizes - 1).sum()
    assert ((near != point).sum(axis=1) == 1).all()
    assert ((near >= 0) & (near < space.sizes)).all()


def test_levels_of_each_kind() -> None:
    """Booleans are two levels, integers keep their step, ordinals their numbers."""
    space = DiscreteSpace(
        {
            "b": CategoricalDistribution([True, False]),
            "i": IntDistribution(1, 7, step=3),
            "o": CategoricalDistribution([0.1, 1, 10.0]),
            "one": IntDistribution(4, 4),
        }
    )
    assert space.levels == ((False, True), (1, 4, 7), (0.1, 1, 10.0), (4,))
    assert space.n_points == 18
    assert len(space) == 4
    assert space.params(np.array([1, 2, 0, 0])) == {"b": True, "i": 7, "o": 0.1, "one": 4}
    assert space.encode(np.array([1, 1, 1, 0])).tolist() == [1.0, 0.5, 0.5, 0.0]


def test_points_of_one_configuration_have_one_code() -> None:
    """That of the point that stands for them; the points themselves stay apart."""
    kinds = {"a": CategoricalDistribution([False, True]), "i": IntDistribution(0, 4)}
    space = DiscreteSpace(kinds, canonical=lambda params: {**params, "a": params["i"] > 0})
    points = np.array([[0, 0], [1, 0], [0, 2], [1, 2]])
    assert space.canonical(points).tolist() == [[0, 0], [0, 0], [1, 2], [1, 2]]
    assert space.encode(points).tolist() == [[0, 0], [0, 0], [1, 0.5], [1, 0.5]]
    assert space.encode(points[1]).tolist() == [0, 0]
    assert space.params(points[1]) == {"a": True, "i": 0}
    assert space.encode(points[:0]).shape == (0, 2)


def test_all_points_are_enumerated_once() -> None:
    """A small space is enumerated without a gap or a repetition."""
    space = DiscreteSpace({"b": BOOLEAN, "i": IntDistribution(0, 4)})
    assert np.unique(space.all_points(), axis=0).shape == (10, 2)


def test_swaps_turn_one_boolean_on_and_another_off() -> None:
    """A swap keeps the number of booleans that are on, and leaves other columns alone."""
    space = DiscreteSpace({**{f"b{i}": BOOLEAN for i in range(5)}, "i": IntDistribution(0, 1)})
    point = np.array([1, 1, 0, 0, 0, 1])
    swapped = space.swaps(point, 30, np.random.default_rng(0))
    assert (swapped[:, :5].sum(axis=1) == 2).all()
    assert ((swapped != point).sum(axis=1) == 2).all()
    assert (swapped[:, 5] == 1).all()
    assert len(np.unique(swapped, axis=0)) == 6


def test_there_is_no_swap_where_all_booleans_agree() -> None:
    """With nothing to swap, no move is made up; integers of two levels are no booleans."""
    space = DiscreteSpace({"a": BOOLEAN, "b": BOOLEAN, "i": IntDistribution(0, 1)})
    assert space.swaps(np.array([1, 1, 0]), 4, np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize(
    "kind",
    [
        FloatDistribution(0, 1),
        FloatDistribution(1e-3, 1, log=True),
        FloatDistribution(0, 1, step=1e-6),
        IntDistribution(0, 10**12),
        CategoricalDistribution(range(MAX_LEVELS + 1)),
        CategoricalDistribution([1, 1]),
        CategoricalDistribution([True, 1]),
        CategoricalDistribution([0.5, float("nan")]),
    ],
)
def test_other_distributions_are_refused(kind: BaseDistribution) -> None:
    """A continuum, too many values, or values that cannot be told apart."""
    assert levels_of(kind) is None
    with pytest.raises(ConfigError, match="parameter x must be discrete: expected an integer"):
        DiscreteSpace({"x": kind})


@pytest.mark.parametrize(
    ("kind", "levels", "codes"),
    [
        (IntDistribution(1, 4, log=True), (1, 2, 3, 4), [[0], [0.5], [np.log(3) / np.log(4)], [1]]),
        (IntDistribution(2, 2, log=True), (2,), [[0]]),
        (FloatDistribution(-0.5, 0.5, step=0.5), (-0.5, 0.0, 0.5), [[0], [0.5], [1]]),
        (CategoricalDistribution([3, 1.5, 2]), (1.5, 2, 3), [[0], [0.5], [1]]),
        (CategoricalDistribution(["b", "a"]), ("b", "a"), [[0], [1]]),
        (CategoricalDistribution([None, 1, "a"]), (None, 1, "a"), np.eye(3)),
    ],
)
def test_codes_of_each_kind(
    kind: BaseDistribution, levels: tuple[object, ...], codes: list[list[float]]
) -> None:
    """Numbers lie in their order, on a logarithm where asked; names are one-hot."""
    space = DiscreteSpace({"x": kind, "on": BOOLEAN})
    assert space.levels[0] == levels
    points = np.array([[i, 1] for i in range(len(levels))])
    assert np.allclose(space.encode(points), [[*code, 1] for code in codes])
    assert [space.params(point)["x"] for point in points] == [*levels]
    assert all(kind._contains(kind.to_internal_repr(level)) for level in levels)


def test_a_stepped_float_is_found_however_it_was_rounded() -> None:
    """0.1 + 0.2 is 0.3; half a step is no level; a missing value is no None."""
    space = DiscreteSpace({"x": FloatDistribution(0.0, 1.0, step=0.1)})
    assert space.point({"x": 0.1 + 0.2}).tolist() == space.point({"x": 0.3}).tolist() == [3]
    assert space.find({"x": 0.35}) is None
    assert space.find({"x": None}) is None
    assert DiscreteSpace({"x": CategoricalDistribution([None, 1])}).find({}) is None


@pytest.mark.parametrize("params", [{}, {"i": 9}, {"i": "1"}, {"i": None}])
def test_a_point_outside_is_refused(params: dict[str, object]) -> None:
    """A missing parameter or another value is an error, and `find` says none."""
    space = DiscreteSpace({"i": IntDistribution(0, 8)})
    assert space.find(params) is None
    with pytest.raises(ConfigError, match=r"i in \(0, 1, \.\.\., 8\)"):
        space.point(params)


def test_other_parameters_are_ignored() -> None:
    """A trial may hold parameters that are not searched."""
    assert DiscreteSpace({"i": IntDistribution(0, 8)}).point({"i": 2, "x": 0.5}).tolist() == [2]
