"""The records, and how theta deals its modules over the layers."""

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.errors import ConfigError
from lorecall.records import (
    History,
    InjectionConfig,
    Interval,
    Placement,
    Sample,
    evenly_spaced,
)

layer_sets = st.sets(st.integers(0, 40), min_size=1).map(lambda chosen: tuple(sorted(chosen)))
thetas = st.builds(
    InjectionConfig,
    layers=layer_sets,
    n_loras=st.integers(1, 64),
    rank=st.integers(1, 96),
    placement=st.sampled_from(["deal", "every"]),
)


@pytest.mark.parametrize(
    ("layers", "n", "placement", "expected"),
    [
        ((0, 1, 2, 3, 4), 3, "deal", {0: 1, 2: 1, 4: 1}),
        ((0, 1, 2, 3, 4), 2, "deal", {0: 1, 4: 1}),
        ((0, 1, 2, 3, 4), 1, "deal", {2: 1}),
        ((3, 7), 1, "deal", {3: 1}),
        ((1, 2, 5, 9), 3, "deal", {1: 1, 5: 1, 9: 1}),
        ((0, 3, 29), 3, "deal", {0: 1, 3: 1, 29: 1}),
        ((4,), 1, "deal", {4: 1}),
        ((0, 5), 5, "deal", {0: 3, 5: 2}),
        ((0, 1, 2), 7, "deal", {0: 3, 1: 2, 2: 2}),
        ((6,), 32, "deal", {6: 32}),
        ((0, 2, 4), 2, "every", {0: 2, 2: 2, 4: 2}),
        ((8,), 3, "every", {8: 3}),
    ],
)
def test_modules_per_layer_by_hand(
    layers: tuple[int, ...], n: int, placement: Placement, expected: dict[int, int]
) -> None:
    """Fewer modules than layers, as many, more, and a number for each."""
    config = InjectionConfig(layers=layers, n_loras=n, rank=8, placement=placement)
    assert config.modules_per_layer() == expected


@given(config=thetas)
def test_modules_are_dealt_whole_and_only_to_active_layers(config: InjectionConfig) -> None:
    """Dealt modules add up to n; layers without one are left out."""
    modules = config.modules_per_layer()
    total = config.n_loras * (len(config.layers) if config.placement == "every" else 1)
    assert sum(modules.values()) == total
    assert set(modules) <= set(config.layers)
    assert list(modules) == sorted(modules)
    assert min(modules.values()) >= 1


@given(config=thetas)
def test_modules_are_dealt_evenly(config: InjectionConfig) -> None:
    """No layer holds two modules more than another, and earlier layers come first."""
    counts = list(config.modules_per_layer().values())
    assert max(counts) - min(counts) <= 1
    assert counts == sorted(counts, reverse=True)


@given(config=thetas)
def test_the_stacked_rank_is_modules_times_rank(config: InjectionConfig) -> None:
    """One pair of rank k r stands for a layer's k modules."""
    modules = config.modules_per_layer()
    assert config.ranks() == {layer: k * config.rank for layer, k in modules.items()}


@given(size=st.integers(1, 60), data=st.data())
def test_evenly_spaced_items_are_distinct_and_spread(size: int, data: st.DataObject) -> None:
    """Both ends are included, in order, and no gap is two larger than another."""
    n = data.draw(st.integers(2, max(2, size)))
    if n > size:
        return
    picked = evenly_spaced(tuple(range(size)), n)
    gaps = [b - a for a, b in pairwise(picked)]
    assert len(set(picked)) == n
    assert (picked[0], picked[-1]) == (0, size - 1)
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("layers", [(), (3, 1), (1, 1), (-1, 2), (-1,)])
def test_odd_layers_are_refused(layers: tuple[int, ...]) -> None:
    """None, out of order, twice the same, negative."""
    with pytest.raises(ConfigError, match="distinct indices in ascending order"):
        InjectionConfig(layers=layers, n_loras=1, rank=8)


@pytest.mark.parametrize("name", ["n_loras", "rank"])
@pytest.mark.parametrize("value", [0, -1])
def test_numbers_below_one_are_refused(name: str, value: int) -> None:
    """No modules, or modules of no rank, would be the vanilla model."""
    with pytest.raises(ConfigError, match=f"{name} must be positive"):
        InjectionConfig(**{"layers": (0,), "n_loras": 1, "rank": 8, name: value})


def test_theta_is_frozen_and_compares_by_value() -> None:
    """Records pass between stages and are never changed on the way."""
    config = InjectionConfig(layers=(0,), n_loras=1, rank=8)
    assert config == InjectionConfig(layers=(0,), n_loras=1, rank=8)
    assert len({config, InjectionConfig(layers=(0,), n_loras=1, rank=8)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.rank = 16


@pytest.mark.parametrize(("author", "own"), [("user", "an answer"), ("assistant", "a question")])
def test_own_text_is_what_the_user_wrote(author: str, own: str) -> None:
    """On some datasets the user writes the responses, on others the queries."""
    sample = Sample(
        id="1",
        user="u",
        conversation="c",
        query="a question",
        response="an answer",
        authored_by=author,
    )
    assert sample.own_text == own


def test_a_history_without_drops_counts_none() -> None:
    """The default is shared by all and cannot be written to."""
    history = History(dataset="d", user="u", samples=())
    assert dict(history.dropped) == {}
    with pytest.raises(TypeError):
        history.dropped["x"] = 1


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(0.1, 0.2, "yes"), (-0.2, -0.1, "yes"), (-0.1, 0.1, "no"), (0.0, 0.1, "no"), (-0.1, 0, "no")],
)
def test_an_interval_excludes_zero_on_one_side_only(low: float, high: float, answer: str) -> None:
    """An interval that touches zero does not exclude it."""
    interval = Interval(value=(low + high) / 2, low=low, high=high)
    assert interval.excludes_zero is (answer == "yes")
