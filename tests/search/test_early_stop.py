"""Which trials are stopped early."""

import pytest

from lorecall.search.early_stop import is_hopeless

OTHERS = [(5.0, 4.0, 3.0), (5.0, 4.2, 3.2), (5.0, 4.4, 3.4), (5.0, 4.6, 3.6)]


@pytest.mark.parametrize(
    ("losses", "hopeless"),
    [
        ((5.0,), False),  # the base's own loss says nothing
        ((5.0, 4.2), False),
        ((5.0, 4.4), True),
        ((5.0, 4.4, 3.1), False),  # the last reading counts
        ((5.0, 4.1, 3.5), True),
        ((5.0, 4.1, 3.1, 9.0), False),  # no other went so far
    ],
)
def test_a_loss_above_the_median_there_is_hopeless(
    losses: tuple[float, ...],
    hopeless: bool,  # noqa: FBT001
) -> None:
    """Readings are compared with the same reading of the others."""
    assert is_hopeless(losses, OTHERS) is hopeless


def test_few_finished_trials_stop_nobody() -> None:
    """Four must have gone as far."""
    assert not is_hopeless((5.0, 9.9), OTHERS[:3])
    assert not is_hopeless((5.0, 4.1, 9.9), [*OTHERS[:3], (5.0, 4.0)])
