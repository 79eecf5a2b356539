"""A finished search: who of its trials is trained in full."""

from dataclasses import replace

import pytest

from lorecall.records import InjectionConfig
from lorecall.search.records import Hypervolume, SearchOutcome, Trial


def trial(number: int, loss: float) -> Trial:
    """Make a finished trial."""
    return Trial(
        number=number,
        config=InjectionConfig(layers=(number,), n_loras=1, rank=8),
        loss=loss,
        rouge_l=9.0,
        rouge_l_error=1.0,
        on_front=False,
        n_parameters=1,
        n_tokens=1,
        curve=((0.0, 5.0), (1.0, loss)),
        suggest_s=0.0,
        train_s=1.0,
        evaluate_s=1.0,
    )


TRIALS = (trial(1, 4.0), trial(3, 3.0), trial(5, 3.5), trial(7, 3.8))
FOUND = SearchOutcome(
    config=TRIALS[3].config,
    chosen=7,
    trials=TRIALS,
    hypervolume=Hypervolume(reference=(5.0, 0.0), trace=(1.0,), stopped="trials"),
    importance={},
)


@pytest.mark.parametrize(
    ("n", "numbers"), [(1, [7]), (2, [7, 3]), (3, [7, 3, 5]), (4, [7, 3, 5]), (9, [7, 3, 5, 1])]
)
def test_the_chosen_one_goes_first(n: int, numbers: list[int]) -> None:
    """Then those of the lowest loss; no more than there are, and nobody twice."""
    assert [each.number for each in FOUND.finalists(n)] == numbers
    agreed = replace(FOUND, chosen=3)
    assert [each.number for each in agreed.finalists(2)] == [3]  # choice and loss say the same
    assert [each.number for each in agreed.finalists(3)] == [3, 5]


@pytest.mark.parametrize(
    ("n", "designs", "numbers"),
    [
        (2, (1,), [7, 3, 1]),
        (2, (1, 5), [7, 3, 5]),
        (2, (3, 5), [7, 3]),
        (3, (7,), [7, 3, 5]),
        (2, (8,), [7, 3]),
        (4, (1,), [7, 3, 5, 1]),
    ],
)
def test_the_better_design_is_trained_in_full_too(
    n: int, designs: tuple[int, ...], numbers: list[int]
) -> None:
    """Once; one that was not tried is none."""
    known = [trial(number, 0.0).config for number in designs]
    assert [each.number for each in FOUND.finalists(n, designs=known)] == numbers
