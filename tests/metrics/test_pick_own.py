"""A person's own reply among other people's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorecall.errors import ConfigError
from lorecall.metrics import Picked, pick_own


def test_the_one_that_gains_most_is_picked() -> None:
    """Not the one of the lowest loss: what anyone might say is likely with either memory."""
    own = [(3.0, 1.0, 2.0), (3.0, 1.0, 2.0)]
    shared = [(3.4, 1.1, 2.3), (3.2, 1.1, 2.3)]  # gains 0.4, 0.1, 0.3 and 0.2, 0.1, 0.3
    assert pick_own(own, shared) == Picked(right=1, of=2, chance=1 / 3)


def test_where_nothing_is_gained_nothing_is_picked() -> None:
    """A memory that validation multiplied by 0 tells nobody apart."""
    losses = [(3.0, 2.0), (1.0, 4.0)]
    assert pick_own(losses, losses).right == 0


@given(
    st.lists(
        st.tuples(*(st.floats(0, 9) for _ in range(8))),
        min_size=1,
        max_size=12,
    )
)
def test_the_true_one_must_be_ahead_of_each_other(gains: list[tuple[float, ...]]) -> None:
    """One by one."""
    own = [(0.0,) * 8 for _ in gains]
    found = pick_own(own, gains)
    expected = sum(all(row[0] > other for other in row[1:]) for row in gains)
    assert found == Picked(right=expected, of=len(gains), chance=1 / 8)


@pytest.mark.parametrize(
    ("own", "shared"),
    [
        ([], []),
        ([(1.0,)], [(1.0,)]),
        ([(1.0, 2.0)], [(1.0, 2.0), (1.0, 2.0)]),
        ([(1.0, 2.0)], [(1.0, 2.0, 3.0)]),
        ([(1.0, 2.0), (1.0, 2.0, 3.0)], [(1.0, 2.0), (1.0, 2.0, 3.0)]),
    ],
)
def test_what_cannot_be_compared_is_refused(
    own: list[tuple[float, ...]], shared: list[tuple[float, ...]]
) -> None:
    """No query, one candidate, or other shapes."""
    with pytest.raises(ConfigError, match="a reply is picked from among several"):
        pick_own(own, shared)
